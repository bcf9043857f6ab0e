"""The disruption budget of cluster DNS, while a drain leaves its pods nowhere to go.

Of its two pods one may go at a time, once the other's successor runs. Where no successor can run, because the nodes
that still take pods are in fewer zones than the pods need, a drain would wait for ever: then the budget lets both go,
until there is room again. Budgets that somebody changed are theirs.
"""

from __future__ import annotations

import logging
import operator
from collections.abc import Iterable

from roadstead.controllers.runtime import controller, facts
from roadstead.controllers.system import coredns, parts, state
from roadstead.core import errors
from roadstead.kube import resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

OPENED = "roadstead.dev/opened"
"""An annotation of a budget: it lets everything go for as long as there is nowhere to go."""
EVERYTHING = "100%"
_ZONE = "topology.kubernetes.io/zone"


def nowhere(nodes: Iterable[Json], of: facts.SystemFacts) -> bool:
    """Whether a node is cordoned, and those that are not are in too few zones for the pods of cluster DNS."""
    every = list(nodes)
    open_nodes = [node for node in every if not node["spec"].get("unschedulable")]
    zones = {(node["metadata"].get("labels") or {}).get(_ZONE) for node in open_nodes}
    return len(open_nodes) < len(every) and len(zones) < min(2, coredns.expected_zones(of))


def change(budget: Json, *, opened: bool) -> Json | None:
    """What is to be another way with the budget, as a merge patch; good only for the budget as it was read."""
    metadata, most = budget["metadata"], budget["spec"].get("maxUnavailable")
    marked = OPENED in (metadata.get("annotations") or {})
    if opened and not marked and most == coredns.AT_ONCE:
        mark, most = "true", EVERYTHING
    elif not opened and marked:
        mark, most = None, coredns.AT_ONCE if most == EVERYTHING else most
    else:
        return None
    return {
        "metadata": {"annotations": {OPENED: mark}, "resourceVersion": metadata["resourceVersion"]},
        "spec": {"maxUnavailable": most},
    }


_whole = controller.all_at_once(operator.attrgetter("nodes"))


def _wakes(change: controller.Change, view: controller.View) -> Iterable[str]:
    """The system's objects, of which it is one, are put in place as they are without a drain."""
    match change:
        case controller.Reported(state.Applied()):
            return ("",)
        case _:
            return _whole(change, view)


class _Budget:
    """Of one cluster."""

    def __init__(self, cluster: controller.Cluster) -> None:
        self._cluster = cluster
        self._seen: tuple[bool, float] | None = None
        """What it was looked at for last, and when what was there then had been put in place."""

    async def work(self, _: str) -> None:
        cluster = self._cluster
        opened = nowhere(cluster.objects(resources.NODES).values(), cluster.target.system)
        applied = cluster.reported(state.Applied) or state.Applied()
        if not cluster.listed(resources.NODES) or self._seen == (opened, applied.at):
            return
        try:
            there = await cluster.connection.get(resources.BUDGETS, coredns.NAME, parts.NAMESPACE)
        except errors.NotFound:
            # It may be made yet: then this is looked at anew.
            return
        if (patch := change(there, opened=opened)) is not None:
            await cluster.connection.patch(resources.BUDGETS, coredns.NAME, patch, parts.NAMESPACE)
            where = "nowhere" if opened else "somewhere"
            name = cluster.target.system.name
            log.info("cluster %s: pods of cluster DNS have %s to go while nodes are drained", name, where)
        self._seen = opened, applied.at


CONTROLLER = controller.Controller(
    named=lambda _: "budget of cluster DNS",
    watches=(resources.NODES,),
    wakes=_wakes,
    work=lambda cluster: _Budget(cluster).work,
)
