"""What the steps share: the desired states, the rooms, and the log of observations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from roadstead.agent import listeners
from roadstead.agent.api import checks
from roadstead.agent.fabric import fabric
from roadstead.agent.hosts import hosts
from roadstead.agent.pods import pods
from roadstead.agent.records import blobs, observation_log, register
from roadstead.agent.records import desired as store
from roadstead.agent.stores import stores
from roadstead.agent.units import units
from roadstead.contract.messages import observed
from roadstead.core import errors, instance
from roadstead.core.loops import loop

log = logging.getLogger("roadstead.agent")

MACHINE = ""
"""In the place of a host's id."""

Phase = Literal["pending", "making", "running", "ready", "failing", "stopped", "deleting", "not-understood"]


@dataclass
class Deaths:
    """How often a host died soon after its start, for the back-off of its re-making."""

    count: int = 0
    restarts: int = 0
    not_before: float = 0.0
    """On the loop's clock."""


@dataclass(frozen=True)
class WrittenFile:
    """A unit's definition as it was written into one life of its host. `at` is on the loop's clock."""

    generation: int
    host: int | None
    """The host's PID 1."""
    at: float


@dataclass
class LateImages:
    """Of a unit that runs: the images that its host was seen to have, and what kept others the last time."""

    has: tuple[str, ...] = ()
    kept: str = ""


@dataclass
class StepContext:
    """One agent at work. Everything in it has its own lifetime; this only joins them."""

    instance: instance.Instance
    records: store.DesiredStore
    blobs: blobs.Blobs
    observations: observation_log.ObservationLog
    fabric: fabric.Fabric
    hosts: hosts.Hosts
    units: units.Units
    listeners: listeners.Listeners
    pods: pods.Pods
    stores: stores.Stores
    register: register.Register
    spawn: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
    bring: Callable[[str, str, str], Awaitable[None]]
    """Imports an archive of images: host, engine with `ctr`, digest."""
    loop: loop.Loop[store.Key] = field(init=False)
    deaths: dict[str, Deaths] = field(default_factory=dict)
    watched: dict[str, int] = field(default_factory=dict)
    """The PID 1 of each host whose end is waited for."""
    written: dict[str, WrittenFile] = field(default_factory=dict)
    """What was last written of each unit: a look that only asks whether it is ready reads no file again."""
    asked: tuple[int, checks.WantedStates | None] = (-1, None)
    """What is wanted, and the version of the records that it was computed from."""
    importing: dict[str, str] = field(default_factory=dict)
    """By unit whose images are on their way to its host: empty, or what kept them."""
    late: dict[str, LateImages] = field(default_factory=dict)
    """By unit that was started before its host had all images that it is to have by now."""
    filling: dict[str, bool] = field(default_factory=dict)
    """By unit whose store is on its way to its host's disk: whether that is over."""
    near: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By host what is near its end; MACHINE: of the machine."""
    remaking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wanted(self) -> checks.WantedStates:
        """All that is asked for now; computed once for each change."""
        version, known = self.asked
        if known is None or version != self.records.version:
            known = checks.wanted(self.records.records.values())
            self.asked = (self.records.version, known)
        return known

    def wake(self, kind: str, id: str, after: float = 0.0) -> None:
        self.loop.wake((kind, id), after)

    def loop_forget(self, key: store.Key) -> None:
        self.loop.forget(key)

    def gone(self, record: store.DesiredRecord) -> None:
        """Everything that the record stood for is gone: so is it, from disk, then from sight."""
        self.records.gone(record.key)
        self.observations.gone(record.key)
        self.loop.forget(record.key)

    def phase(self, kind: str, id: str) -> str | None:
        seen = self.observations.get((kind, id))
        return None if seen is None else seen.phase

    def observe(
        self,
        record: store.DesiredRecord,
        phase: Phase,
        *,
        reason: str = "",
        pid: int | None = None,
        since: float | None = None,
        restarts: int = 0,
        exit: observed.Exit | None = None,
        restart_pending: bool = False,
    ) -> bool:
        """Keep what was seen of an object; True when it is news."""
        return self.observations.put(
            observed.Observation(
                warnings=self.near.get(record.id, ()) if record.kind == "hosts" else (),
                kind=record.kind,
                id=record.id,
                generation=record.generation,
                phase=phase,
                reason=reason,
                pid=pid,
                since=since,
                restarts=restarts,
                exit=exit,
                restart_pending=restart_pending,
            )
        )

    def warn(self, id: str, warnings: tuple[str, ...]) -> None:
        """Keep what is near its end of a host, or of the MACHINE; said when it is news."""
        for sentence in set(warnings) - set(self.near.get(id, ())):
            log.warning("%s", f"host {id} {sentence}" if id else sentence)
        if warnings:
            self.near[id] = warnings
        else:
            self.near.pop(id, None)
        seen = self.observations.get(("hosts", id))
        if seen is not None:
            self.observations.put(msgspec.structs.replace(seen, warnings=warnings))

    def log_drift(self, record: store.DesiredRecord, difference: str) -> None:
        log.warning("%s/%s: %s; mended", record.kind, record.id, difference)

    def loop_now(self) -> float:
        """Seconds on the loop's clock."""
        return self.loop.now()

    def log_failure(self, key: store.Key, error: Exception, again: float) -> None:
        if isinstance(error, errors.Error):
            log.warning("%s/%s: %s (again in %.1f s) %s", *key, error.message, again, error.facts)
        else:
            log.error("%s/%s: again in %.1f s", *key, again, exc_info=error)
