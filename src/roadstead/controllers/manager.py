"""All clusters: a runtime for each that is a target, as long as it is one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from roadstead.controllers import facts, reports, runtime, targets
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.core.loops import loop
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

_AGAIN = loop.Backoff(first=1.0, most=60.0)
_DRAIN = 15 * 60.0
"""Seconds: as EKS has it (EKS User Guide, "Managed node update behavior": PodEvictionFailure)."""


class Manager:
    """`run` works until it is cancelled; what it sees is in `reports`.

    objects: the objects that every cluster is to have, from its facts; pure (`controllers.system.objects`).
    tell: is told what was decided there.
    drain: seconds that the pods of a node that is to go are given. Then it goes all the same.
    """

    def __init__(
        self,
        posted: targets.Targets,
        objects: Callable[[facts.SystemFacts], tuple[Json, ...]],
        *,
        tell: reports.Tell,
        drain: float = _DRAIN,
        clock: clocks.Clock | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._targets = posted
        self._settings = runtime.RuntimeSettings(
            objects=objects, tell=tell, drain=drain, clock=clock or clocks.SystemClock(), now=now
        )
        self.reports = reports.Reports()
        self._runtimes: dict[targets.ClusterKey, _Running] = {}

    async def run(self) -> None:
        # What was begun by a run that failed has ended with it.
        self._runtimes.clear()
        async with asyncio.TaskGroup() as tasks:
            async for _ in self._targets.changes():
                await self._look(tasks)

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        wanted = self._targets.current()
        for key, running in list(self._runtimes.items()):
            target = wanted.get(key)
            if target is None or not running.runtime.reaches(target):
                del self._runtimes[key]
                await concurrency.end(running.task)
            if target is None:
                self.reports.forget(key)
        for key, target in wanted.items():
            if key in self._runtimes:
                self._runtimes[key].runtime.update(target)
            else:
                sent = runtime.ClusterRuntime(target, self._settings, self.reports)
                self._runtimes[key] = _Running(sent, tasks.create_task(self._keep(sent, target)))

    async def _keep(self, sent: runtime.ClusterRuntime, target: targets.ClusterTarget) -> None:
        """A fault in one cluster's runtime is no other's: it is told, and begins anew."""
        failures = 0
        while True:
            try:
                await sent.run()
            except Exception:
                failures += 1
                delay = _AGAIN.delay(failures)
                log.exception("cluster %s: the runtime failed; it begins anew in %.0f s", target.system.name, delay)
                clock = self._settings.clock
                await clock.wait(asyncio.Event(), clock.now() + delay)


class _Running:
    def __init__(self, sent: runtime.ClusterRuntime, task: asyncio.Task[None]) -> None:
        self.runtime = sent
        self.task = task
