"""What serve keeps of what controllers saw: a report for each cluster that stays, and none for one that goes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from testkit import waiting
from testkit.worlds import memory
from tests.world import test_world_clusters as worlds

from roadstead.clusters.insights import facts, kept
from roadstead.clusters.insights.finding import Status
from roadstead.controllers.runtime import reports
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.serve import insight_recorder
from roadstead.store import keys

KEY = kept.key(worlds.CLUSTER.account, worlds.CLUSTER.region, *worlds.CLUSTER.names)
SEEN = facts.InCluster(at=1000.0, servers=())


class Scene:
    def __init__(self) -> None:
        self.store, self.reports, self.clock = memory.MemoryStore(), reports.Reports(), clocks.FakeClock()

    def now(self) -> float:
        return 1000.0 + self.clock.now()

    def report(self) -> kept.Report | None:
        seen = self.store.observed.get(KEY)
        return kept.read(seen.body) if seen else None

    def status(self, word: str) -> Status | None:
        report = self.report()
        return next((each.finding.status for each in report.results if each.check == word), None) if report else None

    def answers(self, reason: str = "") -> None:
        self.reports.keep(worlds.CLUSTER.text, reports.ApiReport(answering=not reason, reason=reason))


def play(story: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        scene = Scene()
        recorder = insight_recorder.InsightRecorder(scene.store, scene.reports, scene.now, scene.clock)
        working = asyncio.ensure_future(recorder.run())
        try:
            async with asyncio.timeout(20):
                await story(scene)
        finally:
            await concurrency.end(working)

    asyncio.run(run())


async def until(what: str, so: Callable[[], bool]) -> None:
    await waiting.turns(what, so, 10)


def test_what_was_seen_is_kept_and_kept_anew_when_it_grows_old_or_the_cluster_is_away() -> None:
    async def story(scene: Scene) -> None:
        await scene.store.put(worlds.CLUSTER, worlds.cluster("1.37"))
        scene.answers()
        scene.reports.keep(worlds.CLUSTER.text, SEEN)
        await until("it is kept", lambda: scene.status("webhooks") is Status.PASSING)
        assert scene.status("cluster-health") is Status.ERROR
        scene.answers("it is away")
        await until("it is away", lambda: scene.status("webhooks") is Status.UNKNOWN)
        scene.answers()
        await until("it is back", lambda: scene.status("webhooks") is Status.PASSING)
        await scene.clock.advance(kept.EVERY)
        await until("it is kept anew", lambda: (scene.report() or SEEN).at == scene.now())
        assert scene.status("webhooks") is Status.PASSING
        await scene.clock.advance(kept.STALE)
        await until("it is too old", lambda: scene.status("webhooks") is Status.UNKNOWN)

    play(story)


def test_nothing_is_kept_of_a_cluster_that_goes() -> None:
    async def story(scene: Scene) -> None:
        await scene.store.put(worlds.CLUSTER, worlds.cluster("1.37", deleting=True))
        scene.reports.keep(worlds.CLUSTER.text, SEEN)
        other = keys.Key(worlds.CLUSTER.account, worlds.CLUSTER.region, "cluster", "other")
        await scene.store.put(other, worlds.cluster("1.37"))
        scene.reports.keep(other.text, SEEN)
        stays = kept.key(other.account, other.region, "other")
        await until("the other is kept", lambda: stays in scene.store.observed)
        assert KEY not in scene.store.desired

    play(story)


def test_a_refresh_of_a_cluster_that_is_away_fails_as_soon_as_it_is_asked_for() -> None:
    async def story(scene: Scene) -> None:
        await scene.store.put(worlds.CLUSTER, worlds.cluster("1.37"))
        scene.answers("it is away")
        await until("it is kept", lambda: scene.report() is not None)
        await scene.store.commit(kept.REPORTS.put(KEY, kept.Request("r1", scene.now())))
        await until("it has ended", lambda: (scene.report() or kept.Report(at=0.0, version="")).settled == "r1")
        report = scene.report()
        assert report is not None
        assert report.problem == "it is away"

    play(story)
