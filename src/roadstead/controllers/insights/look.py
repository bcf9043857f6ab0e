"""Looks into a cluster for its insights, when a refresh is asked for and every few minutes.

A look costs each API server one answer of `/metrics`, and its cluster some lists of what there is little of. The first
one waits until the cluster has come up: there is enough to do then.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from roadstead.clusters.insights import facts, kept
from roadstead.controllers.insights import asking
from roadstead.controllers.runtime import controller
from roadstead.core import errors
from roadstead.kube import resources

log = logging.getLogger(__name__)

_FIRST = 60.0
"""Seconds."""


def _wakes(change: controller.Change, _: controller.View) -> Iterable[str]:
    match change:
        case controller.Began() | controller.Listed():
            return ("",)
        case controller.Retargeted(before, now):
            return ("",) if now.refresh and before.refresh != now.refresh else ()
    return ()


class _Look:
    """Of one cluster."""

    def __init__(self, cluster: controller.Cluster) -> None:
        self._cluster = cluster
        self._due = cluster.clock.now() + _FIRST
        self._done = ""
        """The last refresh that was looked for."""

    async def work(self, _: str) -> float | None:
        cluster = self._cluster
        if not cluster.listed(resources.NODES):
            return None
        refresh, now = cluster.target.refresh, cluster.clock.now()
        asked = bool(refresh) and refresh != self._done
        if not asked and now < self._due:
            return self._due - now
        try:
            seen = await asking.seen(cluster, cluster.now(), refresh if asked else "")
        except errors.Error as error:
            if asked:
                self._done = refresh
                cluster.outbox.report(facts.LookFailed(at=cluster.now(), refresh=refresh, reason=str(error)))
            raise
        self._done = refresh if asked else self._done
        self._due = cluster.clock.now() + kept.EVERY
        cluster.outbox.report(seen)
        return kept.EVERY


CONTROLLER = controller.Controller(
    named=lambda _: "insights",
    # Its versions are known already, to others.
    watches=(resources.NODES,),
    wakes=_wakes,
    work=lambda cluster: _Look(cluster).work,
)
