"""What the controllers decide, kept among the events of its clusters and nodegroups."""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Callable

from roadstead.clusters import events
from roadstead.controllers.runtime import outbox, targets
from roadstead.core import errors
from roadstead.store import interface, keys

log = logging.getLogger(__name__)

_HOUR = 3600.0
"""Seconds in which the same is kept once."""
_MOST = 30
"""Of one reason and cluster within that time: who asks for certificates decides how many are denied."""
_WARNINGS = frozenset({"CertificateDenied", "DrainBlocked"})


class EventRecorder:
    """`run` until cancelled. `now`: seconds since 1970."""

    def __init__(self, store: interface.Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._queue: asyncio.Queue[tuple[targets.ClusterKey, outbox.Notice]] = asyncio.Queue()
        self._kept: dict[tuple[targets.ClusterKey, str], collections.deque[tuple[float, str]]] = {}

    def tell(self, cluster: targets.ClusterKey, notice: outbox.Notice) -> None:
        """See controllers' outbox.Outbox, `events`."""
        self._queue.put_nowait((cluster, notice))

    async def run(self) -> None:
        while True:
            cluster, notice = await self._queue.get()
            now = self._now()
            if not self._is_news(cluster, notice, now):
                continue
            event = events.Event(
                "WARNING" if notice.reason in _WARNINGS else "NORMAL", notice.reason, notice.message, notice.facts
            )
            try:
                await self._store.commit(events.append(keys.Key.parse(notice.nodegroup or cluster), event, now))
            except errors.Error as error:
                log.warning("%s: an event is not kept (%s): %s", cluster, error.message, notice.message)

    def _is_news(self, cluster: targets.ClusterKey, notice: outbox.Notice, now: float) -> bool:
        kept = self._kept.setdefault((cluster, notice.reason), collections.deque())
        while kept and kept[0][0] <= now - _HOUR:
            kept.popleft()
        if len(kept) >= _MOST or any(message == notice.message for _, message in kept):
            return False
        kept.append((now, notice.message))
        return True
