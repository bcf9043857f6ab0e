"""What was seen in clusters becomes insights, kept in the store: so they are told also while nobody looks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from roadstead.clusters import spec
from roadstead.clusters.insights import around, facts, kept
from roadstead.controllers.runtime import reports
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import reconciler
from roadstead.store import following, interface, keys, writes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _News:
    """What a report is made of that may be another one; without it there is nothing to do before the time is over."""

    seen: facts.InCluster | None
    failed: facts.LookFailed | None
    away: str
    request: kept.Request


class InsightRecorder:
    """`run` until cancelled. `now`: seconds since 1970."""

    def __init__(
        self, store: interface.Store, told: reports.Reports, now: Callable[[], float], clock: clocks.Clock
    ) -> None:
        self._store = store
        self._told = told
        self._now = now
        self._kept: dict[str, tuple[float, _News]] = {}
        self._reconciler: reconciler.Reconciler[str] = reconciler.Reconciler(
            self._work,
            (reconciler.told(told.changes, lambda key: (key,)), self._follow),
            log=log,
            named=lambda key: f"insights of {key}",
            clock=clock,
        )

    async def run(self) -> None:
        await self._reconciler.run()

    async def _follow(self, wake: reconciler.Wake[str]) -> None:
        """Refreshes that are asked for."""

        def asked(report: keys.Key) -> None:
            wake(keys.Key(report.account, report.region, spec.KIND, *report.names).text)

        await following.resources(self._store, (kept.KIND,))(asked)

    async def _work(self, text: str) -> float | None:
        """Of one cluster. Nothing is kept of one that is gone, or goes."""
        cluster = keys.Key.parse(text)
        key = kept.key(cluster.account, cluster.region, *cluster.names)
        state, there = await self._store.get(cluster), await self._store.get(key)
        if state is None:
            self._kept.pop(text, None)
            self._reconciler.forget(text)
            return None
        if spec.read(state.desired.body).deleting:
            return None
        request = kept.REPORTS.read(there.desired.body) if there else kept.Request()
        news = self._news(text, request)
        now = self._now()
        last = self._kept.get(text)
        if news.seen is None and news.failed is None and not news.away:
            # Its controllers have not said anything: what was kept last stays, and grows old.
            return None
        if last is not None and last[1] == news and now - last[0] < kept.EVERY:
            return kept.EVERY - (now - last[0])
        before = kept.read(there.observation.body) if there and there.observation else None
        look = kept.Look(
            at=now,
            around=await around.around(self._store, state),
            seen=news.seen,
            failed=news.failed,
            away=news.away,
        )
        report = kept.written(kept.after(before, look, request))
        try:
            generation = there.desired.generation if there else await self._begun(state.desired.generation, cluster)
            await self._store.observe(key, report, generation)
        except (errors.NotFound, errors.Conflict, errors.AlreadyExists) as error:
            # Somebody asked for a refresh, or for the cluster to go: what follows from that comes next.
            log.debug("insights of %s are not kept: %s", text, error.message)
            return 1.0
        self._kept[text] = (now, news)
        return kept.EVERY

    def _news(self, text: str, request: kept.Request) -> _News:
        api = self._told.of(text, reports.ApiReport)
        return _News(
            self._told.of(text, facts.InCluster),
            self._told.of(text, facts.LookFailed),
            api.reason if api is not None and not api.answering else "",
            request,
        )

    async def _begun(self, generation: int, cluster: keys.Key) -> int:
        """The first report of a cluster that nobody has asked for; only while the cluster is as it was."""
        key = kept.key(cluster.account, cluster.region, *cluster.names)
        put = kept.REPORTS.put(key, kept.Request(), writes.Absent())
        return await self._store.commit(put, writes.Require(cluster, writes.At(generation)))
