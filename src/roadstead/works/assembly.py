"""Everything behind the desk, built once and run as one: who needs whom is written here and nowhere else."""

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
from roadstead.clusters import agent
from roadstead.clusters.components import registries
from roadstead.clusters.ground import land as lands
from roadstead.clusters.ground import materials
from roadstead.clusters.hands import mirror, shelf
from roadstead.contract import programs
from roadstead.controllers import embassy, system
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.engine import settings as engine_settings
from roadstead.store import interface
from roadstead.works import book, doors, images, names, postings, renewal, sight, wiring, words


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the works depend on of this machine."""

    socket: Path
    """The agent's."""
    state: Path
    """serve's folder."""
    engines: Path | None = None
    """Their cache; None: as the environment has it."""
    supplier: Path | None = None
    """The socket of who gets and builds them; None: serve does."""
    snapshot: Path | None = None
    """What porter answers from; None: there is no porter."""
    ground: lands.Settings = field(default_factory=lands.Settings)
    user: int = field(default_factory=os.getuid)
    """The user id that serve runs as."""
    porter: int = field(default_factory=os.getuid)
    """The one that porter runs as."""
    registries: registries.Registries = field(default_factory=registries.Registries)


log = logging.getLogger(__name__)

_ANEW = 1.0
"""Seconds."""


class Runs(Protocol):
    """Works until it is cancelled, or has nothing left to do."""

    async def run(self) -> None: ...


@dataclass(frozen=True)
class Works:
    """`agent` is for the office; `run` until cancelled."""

    agent: agent.Agent
    posted: postings.Postings
    materials: materials.Materials
    land: lands.Land
    tasks: tuple[Runs, ...]

    async def run(self) -> None:
        await concurrency.together(*map(_lasting, self.tasks))


@contextlib.asynccontextmanager
async def opened(store: interface.Store, settings: Settings) -> AsyncIterator[Works]:
    """The works of a store. Nothing is asked of the agent before `run`."""
    clock = clocks.SystemClock()
    given = engine_settings.from_environment(
        {**os.environ, **({programs.CACHE: str(settings.engines)} if settings.engines else {})}
    )
    async with asynchronous.AsyncClient(settings.socket) as client:
        known = mirror.Mirror(client, clock)
        shelved = shelf.Shelf(client, known, given, settings.supplier)
        shown = images.SystemImages(shelved, given, settings.state / "images")
        wired = wiring.wired(
            wiring.Given(
                store=store,
                client=client,
                mirror=known,
                clock=clock,
                now=_now,
                shelf=shelved,
                seed=shelved.seed,
                images=shown,
                ground=settings.ground,
                is_free=lands.port_is_free,
                user=settings.user,
                porter=settings.porter,
                registries=settings.registries,
            )
        )
        land, secret, routed, stocked = wired.land, wired.materials, wired.networks, wired.stock
        posted = postings.Postings(postings.Tools(store, land, secret, stocked, shown.names, known))
        booked = book.Book(store, time.time)
        sent = embassy.Embassy(posted, system.objects, tell=booked.tell)
        made = wired.hands(words.Words(sent.reports, posted.trouble))
        looking = sight.Sight(store, client, known, clock)
        follows = renewal.Renewal(renewal.Tools(store, land, secret, settings.registries, _now))
        await follows.once()
        tasks: list[Runs] = [known, shelved, shown, routed, stocked, posted, sent, booked, made, looking, follows]
        tasks.append(names.Names(store, settings.state))
        if settings.snapshot is not None:
            tasks.append(doors.Snapshots(store, land, secret, settings.snapshot))
        yield Works(made, posted, secret, land, tuple(tasks))


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


def public(address: str, ports: range) -> lands.Settings:
    """Clusters are reached at an address of the machine, each at one of these ports."""
    return lands.Settings(public=address, ports=ports)
