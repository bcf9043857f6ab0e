"""Everything behind its API, built once and run as one: who needs whom is written here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from roadstead.agent_client import asynchronous
from roadstead.clusters import provider as providers
from roadstead.clusters.allocation import allocator
from roadstead.clusters.components import registries
from roadstead.contract import programs
from roadstead.controllers.runtime import controller, manager, outbox
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.engine import settings as engine_settings
from roadstead.provider import engine_supply, mirror
from roadstead.serve import (
    controllers,
    event_recorder,
    insight_recorder,
    machine_projection,
    names_file,
    renewal,
    report_adapter,
    targets,
    wiring,
)
from roadstead.serve.images import system_images
from roadstead.serve.sections import catalog, publisher
from roadstead.serve.sections import source as sections
from roadstead.store import interface


@dataclass(frozen=True, kw_only=True)
class TaskSettings:
    """What serve's tasks depend on of this machine."""

    socket: Path
    """The agent's."""
    state: Path
    """serve's folder."""
    engines: Path | None = None
    """Their cache; None: as the environment has it."""
    supplier: Path | None = None
    """The socket of who gets and builds them; None: serve does."""
    sections: Path | None = None
    """The folder of what porter answers from; None: there is no porter."""
    endpoints: allocator.EndpointSettings = field(default_factory=allocator.EndpointSettings)
    user: int = field(default_factory=os.getuid)
    """The user id that serve runs as."""
    porter: int = field(default_factory=os.getuid)
    """The one that porter runs as."""
    registries: registries.Registries = field(default_factory=registries.Registries)
    controllers: tuple[controller.Controller, ...] = ()
    """Of services, beside those that every cluster has."""


log = logging.getLogger(__name__)

_ANEW = 1.0
"""Seconds."""


class Runs(Protocol):
    """Works until it is cancelled, or has nothing left to do."""

    async def run(self) -> None: ...


@dataclass(frozen=True)
class Tasks:
    """`provider` is for the reconciler; `run` until cancelled."""

    provider: providers.Provider
    tasks: tuple[Runs, ...]

    async def run(self) -> None:
        await concurrency.together(*map(_lasting, self.tasks))


@contextlib.asynccontextmanager
async def opened(store: interface.Store, settings: TaskSettings) -> AsyncIterator[Tasks]:
    """Serve's tasks over a store. Nothing is asked of the agent before `run`."""
    clock = clocks.SystemClock()
    given = engine_settings.from_environment(
        {**os.environ, **({programs.CACHE: str(settings.engines)} if settings.engines else {})}
    )
    async with asynchronous.AsyncClient(settings.socket) as client:
        known = mirror.AgentMirror(client, clock)
        supply = engine_supply.EngineSupply(client, known, given, settings.supplier)
        images = system_images.SystemImages(supply, given, settings.state / "images")
        wired = wiring.wired(
            wiring.Given(
                store=store,
                client=client,
                mirror=known,
                clock=clock,
                now=_now,
                supply=supply,
                seed=supply.seed,
                images=images,
                endpoints=settings.endpoints,
                is_free=allocator.port_is_free,
                user=settings.user,
                porter=settings.porter,
                registries=settings.registries,
            )
        )
        allocations, secrets, networks = wired.allocations, wired.secrets, wired.networks
        clusters = targets.StoreTargets(targets.TargetTools(store, allocations, secrets, images.names, known))
        recorder = event_recorder.EventRecorder(store, time.time)
        to = outbox.Outbox(events=recorder.tell)
        controlling = manager.Manager(clusters, (*controllers.controllers(), *settings.controllers), to)
        provider = wired.provider(report_adapter.ReportAdapter(to.reports, clusters.trouble))
        insights = insight_recorder.InsightRecorder(store, to.reports, time.time, clock)
        seen = machine_projection.MachineProjection(store, client, known, clock)
        follows = renewal.Renewal(renewal.RenewalTools(store, allocations, secrets, settings.registries, _now))
        await follows.once()
        tasks: list[Runs] = [
            known,
            supply,
            images,
            networks,
            wired.images,
            clusters,
            controlling,
            recorder,
            insights,
            provider,
            seen,
        ]
        tasks += [follows, names_file.NamesFile(store, settings.state)]
        if settings.sections is not None:
            given_to = sections.Given(store, secrets, _now)
            tasks.append(publisher.Publisher(store, settings.sections, catalog.sources(given_to)))
        yield Tasks(provider, tuple(tasks))


async def _lasting(task: Runs) -> None:
    """One that fails in a way that nobody foresaw is said with its trace and begun anew: the others go on."""
    while True:
        try:
            await task.run()
            return
        except Exception:
            log.exception("%s failed; it is begun anew in %g s", type(task).__name__, _ANEW)
        await asyncio.sleep(_ANEW)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def public(address: str, ports: range) -> allocator.EndpointSettings:
    """Clusters are reached at an address of the machine, each at one of these ports."""
    return allocator.EndpointSettings(public=address, ports=ports)
