"""All clusters: a mission for each that is posted, as long as it is posted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from roadstead.controllers import facts, mission, postings, reports
from roadstead.core import clock as clocks
from roadstead.core import concurrency, loop
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

_AGAIN = loop.Backoff(first=1.0, most=60.0)
_DRAIN = 15 * 60.0
"""Seconds: as EKS has it (EKS User Guide, "Managed node update behavior": PodEvictionFailure)."""


class Embassy:
    """`run` works until it is cancelled; what it sees is in `reports`.

    objects: the objects that every cluster is to have, from its facts; pure (`controllers.system.objects`).
    tell: is told what was decided there.
    drain: seconds that the pods of a node that is to go are given. Then it goes all the same.
    """

    def __init__(
        self,
        posted: postings.Postings,
        objects: Callable[[facts.SystemFacts], tuple[Json, ...]],
        *,
        tell: reports.Tell,
        drain: float = _DRAIN,
        clock: clocks.Clock | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._postings = posted
        self._orders = mission.Orders(
            objects=objects, tell=tell, drain=drain, clock=clock or clocks.SystemClock(), now=now
        )
        self.reports = reports.Reports()
        self._missions: dict[postings.ClusterKey, _Running] = {}

    async def run(self) -> None:
        # What was begun by a run that failed has ended with it.
        self._missions.clear()
        async with asyncio.TaskGroup() as tasks:
            async for _ in self._postings.changes():
                await self._look(tasks)

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        wanted = self._postings.current()
        for key, running in list(self._missions.items()):
            posting = wanted.get(key)
            if posting is None or not running.mission.reaches(posting):
                del self._missions[key]
                await concurrency.end(running.task)
            if posting is None:
                self.reports.forget(key)
        for key, posting in wanted.items():
            if key in self._missions:
                self._missions[key].mission.update(posting)
            else:
                sent = mission.Mission(posting, self._orders, self.reports)
                self._missions[key] = _Running(sent, tasks.create_task(self._keep(sent, posting)))

    async def _keep(self, sent: mission.Mission, posting: postings.Posting) -> None:
        """A fault in one cluster's mission is no other's: it is told, and begins anew."""
        failures = 0
        while True:
            try:
                await sent.run()
            except Exception:
                failures += 1
                delay = _AGAIN.delay(failures)
                log.exception("cluster %s: the mission failed; it begins anew in %.0f s", posting.system.name, delay)
                clock = self._orders.clock
                await clock.wait(asyncio.Event(), clock.now() + delay)


class _Running:
    def __init__(self, sent: mission.Mission, task: asyncio.Task[None]) -> None:
        self.mission = sent
        self.task = task
