"""All clusters: a runtime for each that is a target, as long as it is one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from roadstead.controllers.runtime import cluster, controller, outbox, targets
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.core.loops import loop

log = logging.getLogger(__name__)

_AGAIN = loop.Backoff(first=1.0, most=60.0)


class Manager:
    """`run` works until it is cancelled.

    controllers: those that are at work in every cluster.
    to: where goes what they cause.
    """

    def __init__(
        self,
        told: targets.Targets,
        controllers: tuple[controller.Controller, ...],
        to: outbox.Outbox,
        *,
        clock: clocks.Clock | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._targets = told
        self._settings = cluster.RuntimeSettings(
            controllers=controllers, outbox=to, clock=clock or clocks.SystemClock(), now=now
        )
        self._runtimes: dict[targets.ClusterKey, _Running] = {}

    async def run(self) -> None:
        """Begins without a runtime, whatever an earlier run has left."""
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
                self._settings.outbox.reports.forget(key)
        for key, target in wanted.items():
            if key in self._runtimes:
                self._runtimes[key].runtime.update(target)
            else:
                begun = cluster.ClusterRuntime(target, self._settings)
                self._runtimes[key] = _Running(begun, tasks.create_task(self._keep(begun)))

    async def _keep(self, runtime: cluster.ClusterRuntime) -> None:
        """A fault in one cluster's runtime is no other's: it is told, and begins anew."""
        failures = 0
        while True:
            try:
                await runtime.run()
            except Exception:
                failures += 1
                delay = _AGAIN.delay(failures)
                log.exception("cluster %s: the runtime failed; it begins anew in %.0f s", runtime.name, delay)
                clock = self._settings.clock
                await clock.wait(asyncio.Event(), clock.now() + delay)


@dataclass(frozen=True)
class _Running:
    runtime: cluster.ClusterRuntime
    task: asyncio.Task[None]
