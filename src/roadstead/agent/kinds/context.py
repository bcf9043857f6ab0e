"""What the steps share: the desired states, the rooms, and the log of observations."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Literal, TypeVar, cast

import msgspec

from roadstead.agent import listeners
from roadstead.agent.fabric import fabric
from roadstead.agent.hosts import hosts
from roadstead.agent.kinds import kind
from roadstead.agent.pods import pods
from roadstead.agent.records import begun, blobs, host_ids, kept_jobs, observation_log, register
from roadstead.agent.records import desired as store
from roadstead.agent.stores import stores
from roadstead.agent.units import units
from roadstead.contract.messages import observed
from roadstead.core import errors, instance
from roadstead.core.loops import loop

log = logging.getLogger("roadstead.agent")

Memory = TypeVar("Memory")

Phase = Literal["pending", "making", "running", "ready", "failing", "stopped", "deleting", "not-understood"]


@dataclass
class StepContext:
    """One agent at work. Everything in it has its own lifetime; this only joins them."""

    instance: instance.Instance
    kinds: kind.Kinds
    records: store.DesiredStore
    ids: host_ids.HostIds
    begun: begun.BegunUnits
    jobs: kept_jobs.KeptJobs
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
    _wanted: tuple[int, kind.Wanted] = field(default_factory=lambda: (-1, kind.Wanted()))
    """What is wanted, and the version of the records that it was computed from."""
    _memories: dict[type[object], object] = field(default_factory=dict)

    def memory(self, of: type[Memory]) -> Memory:
        """What one module remembers between its steps, of a type that is its own; empty when first asked for."""
        if of not in self._memories:
            self._memories[of] = of()
        return cast("Memory", self._memories[of])

    def wanted(self) -> kind.Wanted:
        """All that is asked for now; computed once for each change."""
        version, known = self._wanted
        if version != self.records.version:
            known = kind.Wanted(self.records.records.values())
            self._wanted = (self.records.version, known)
        return known

    def parts(self, whole: store.Key) -> list[store.DesiredRecord]:
        """What is of this object alone: a host's units."""
        return kind.parts(self.kinds, self.records.records.values(), whole)

    def wake_parts(self, whole: store.Key) -> None:
        """What is of this object alone looks again."""
        for part in self.parts(whole):
            self.wake(*part.key)

    def wake_users(self, used: store.Key) -> None:
        """Whoever needs this object looks again."""
        for user in kind.users(self.kinds, self.records.records.values()).get(used, ()):
            self.wake(*user)

    def wake(self, name: str, id: str, after: float = 0.0) -> None:
        """It looks again in `after` seconds, or earlier when it is already due earlier."""
        self.loop.wake((name, id), after)

    def loop_forget(self, key: store.Key) -> None:
        """What failed of it is forgotten, and it is no more looked at. Its record stays."""
        self.loop.forget(key)

    def gone(self, record: store.DesiredRecord) -> None:
        """Everything that the record stood for is gone: so is what is remembered of it, and it itself."""
        self.kinds[record.kind].forget(self, record.id)
        self.records.gone(record.key)
        self.observations.gone(record.key)
        self.loop.forget(record.key)

    def phase(self, name: str, id: str) -> str | None:
        """As it was seen last; None: not seen yet."""
        seen = self.observations.get((name, id))
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
        """Keep what was seen of an object; True when it is news. What it was warned of stays."""
        before = self.observations.get(record.key)
        return self.observations.put(
            observed.Observation(
                warnings=() if before is None else before.warnings,
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

    def warn(self, key: store.Key, warnings: tuple[str, ...]) -> None:
        """Keep what is near its end of an object that was seen; said when it is news."""
        seen = self.observations.get(key)
        if seen is not None:
            for sentence in set(warnings) - set(seen.warnings):
                log.warning("%s/%s %s", *key, sentence)
            self.observations.put(msgspec.structs.replace(seen, warnings=warnings))

    def log_drift(self, record: store.DesiredRecord, difference: str) -> None:
        """Somebody has changed what the agent made: told, as it is made anew."""
        log.warning("%s/%s: %s; mended", record.kind, record.id, difference)

    def loop_now(self) -> float:
        """Seconds on the loop's clock."""
        return self.loop.now()

    def log_failure(self, key: store.Key, error: Exception, again: float) -> None:
        """`again`: seconds until it is tried again. What is no error of ours has its trace."""
        if isinstance(error, errors.Error):
            log.warning("%s/%s: %s (again in %.1f s) %s", *key, error.message, again, error.facts)
        else:
            log.error("%s/%s: again in %.1f s", *key, again, exc_info=error)
