"""The disruption budget of cluster DNS, while a drain leaves its pods nowhere to go. Pure.

Of its two pods one may go at a time, once the other's successor runs. Where no successor can run, because the nodes
that still take pods are in fewer zones than the pods need, a drain would wait for ever: then the budget lets both go,
until there is room again. Budgets that somebody changed are theirs.
"""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.controllers import facts
from roadstead.controllers.system import coredns
from roadstead.kube.resources import Json

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
