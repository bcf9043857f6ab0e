"""What is reported of a cluster's nodes: what their Nodes say, and how far those are that are to go.

Two controllers report, each its own part: this one what Nodes say, `drain` its drains. `of` and `every` join them.
"""

from __future__ import annotations

import enum
import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from roadstead.controllers.nodes import node as nodes
from roadstead.controllers.runtime import controller, reports, targets
from roadstead.core import foreign
from roadstead.kube import resources
from roadstead.kube.resources import Json


class DrainState(enum.Enum):
    """How far a node is that is to go."""

    NOT_ASKED = "not asked"
    AT_WORK = "at work"
    """`blocked` says what is left."""
    DONE = "done"
    """Nothing is left there that can go."""
    BLOCKED = "blocked"
    """The time for it is over: the node goes against what `blocked` says. Until it does it is tried again."""


@dataclass(frozen=True)
class Drain:
    """Of a node that is to go."""

    state: DrainState = DrainState.NOT_ASKED
    blocked: tuple[str, ...] = ()
    """One sentence for each pod that is still there, with the budget that holds it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocked", tuple(map(foreign.bounded, self.blocked)))


@dataclass(frozen=True)
class Drains:
    """A report: the nodes that are to go, by the Node's name."""

    nodes: Mapping[str, Drain]


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A Node as the cluster sees it."""

    ready: bool
    reason: str = ""
    """Why it is not ready: the condition's words."""
    version: str = ""
    """Of its kubelet: `1.37.2`."""
    unschedulable: bool = False
    drain: DrainState = DrainState.NOT_ASKED
    blocked: tuple[str, ...] = ()
    """As Drain has it."""
    marks: targets.NodeMarks | None = None
    """What it was given last of its nodegroup's."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason", "version")
        object.__setattr__(self, "blocked", tuple(map(foreign.bounded, self.blocked)))


_UNREGISTERED = NodeState(ready=False, reason="it is not registered")


@dataclass(frozen=True)
class Nodes:
    """A report: the Nodes that there are, by name; without what is known of their drains."""

    nodes: Mapping[str, NodeState] = field(default_factory=dict)


def of(told: reports.Reports, key: targets.ClusterKey, name: str) -> NodeState | None:
    """One node. None: the Nodes are not known yet, or it never registered, unless it is being drained."""
    seen, drains = told.of(key, Nodes), told.of(key, Drains)
    if seen is None:
        return None
    node, drain = seen.nodes.get(name), drains.nodes.get(name) if drains is not None else None
    return node if drain is None else replace(node or _UNREGISTERED, drain=drain.state, blocked=drain.blocked)


def every(told: reports.Reports, key: targets.ClusterKey) -> dict[str, NodeState]:
    """All nodes of which `of` knows something, by name."""
    seen, drains = told.of(key, Nodes), told.of(key, Drains)
    names = {*(seen.nodes if seen is not None else ()), *(drains.nodes if drains is not None else ())}
    states = ((name, of(told, key, name)) for name in sorted(names))
    return {name: state for name, state in states if state is not None}


async def _work(cluster: controller.Cluster, _: str) -> None:
    if cluster.listed(resources.NODES):
        cluster.outbox.report(Nodes(states(cluster.objects(resources.NODES), cluster.target.nodes)))


CONTROLLER = controller.Controller(
    named=lambda _: "states of nodes",
    watches=(resources.NODES,),
    wakes=controller.all_at_once(operator.attrgetter("nodes")),
    work=lambda cluster: functools.partial(_work, cluster),
    away=True,
)


def states(there: Mapping[str, Json], expected: Mapping[str, targets.ExpectedNode]) -> dict[str, NodeState]:
    """What Nodes say. One of an earlier instance says nothing of that which is expected under its name."""
    return {
        name: state(node)
        for name, node in sorted(there.items())
        if name not in expected or not nodes.another(node, expected[name].instance)
    }


def state(node: Json) -> NodeState:
    """What a Node says."""
    status = node.get("status") or {}
    ready = nodes.ready_condition(node)
    reason = "its kubelet has not said anything yet"
    if ready is not None:
        reason = str(ready.get("message") or ready.get("reason") or "")
    is_ready = ready is not None and ready.get("status") == "True"
    return NodeState(
        ready=is_ready,
        reason="" if is_ready else reason,
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion") or "").removeprefix("v"),
        unschedulable=bool(node["spec"].get("unschedulable")),
        marks=nodes.given(node),
    )
