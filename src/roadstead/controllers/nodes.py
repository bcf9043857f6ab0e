"""What a Node object says, and what is to be done about it: pure."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from roadstead.controllers import postings, reports
from roadstead.kube.resources import Json

_PROVIDER = "aws:///"


class Due(enum.Enum):
    """What is to be done about a Node now."""

    NOTHING = "nothing"
    DELETE = "delete"
    """Its host is gone."""
    DRAIN = "drain"


def due(name: str, node: Json | None, expected: Mapping[str, postings.Expected]) -> Due:
    """Nodes that are no instances of ours (made by users, for tests of theirs) are left alone."""
    mine = expected.get(name)
    if node is not None and _instance(node) and (mine is None or _instance(node) != mine.instance):
        return Due.DELETE
    if mine is not None and not mine.wanted:
        return Due.DRAIN
    return Due.NOTHING


def another(node: Json | None, instance: str) -> bool:
    """Whether it is the Node of an earlier instance that had the same name."""
    return node is not None and _instance(node) not in ("", instance)


def state(node: Json) -> reports.NodeState:
    """Without what is known of its drain."""
    status = node.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), None)
    reason = "its kubelet has not said anything yet"
    if ready is not None:
        reason = str(ready.get("message") or ready.get("reason") or "")
    is_ready = ready is not None and ready.get("status") == "True"
    return reports.NodeState(
        ready=is_ready,
        reason="" if is_ready else reason,
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion") or "").removeprefix("v"),
        unschedulable=bool(node["spec"].get("unschedulable")),
    )


def states(
    nodes: Mapping[str, Json],
    expected: Mapping[str, postings.Expected],
    drains: Mapping[str, tuple[reports.Drain, tuple[str, ...]]],
) -> dict[str, reports.NodeState]:
    """Of all that is reported. An expected node that never registered is missing, unless it is to go."""
    seen = {}
    for name in sorted({*nodes, *drains}):
        mine = expected.get(name)
        node = nodes.get(name)
        if node is not None and mine is not None and another(node, mine.instance):
            node = None
        if node is None and name not in drains:
            continue
        bare = state(node) if node is not None else reports.NodeState(ready=False, reason="it is not registered")
        drain, blocked = drains.get(name, (reports.Drain.NOT_ASKED, ()))
        seen[name] = reports.NodeState(
            ready=bare.ready,
            reason=bare.reason,
            version=bare.version,
            unschedulable=bare.unschedulable,
            drain=drain,
            blocked=blocked,
        )
    return seen


def is_ready(node: Json | None) -> bool:
    return node is not None and state(node).ready


def uid(node: Json) -> str:
    return str(node["metadata"]["uid"])


def _instance(node: Json) -> str:
    """`i-...` of `aws:///ZONE/i-...`, or nothing for a Node of another kind."""
    provider = str((node.get("spec") or {}).get("providerID") or "")
    return provider.rpartition("/")[2] if provider.startswith(_PROVIDER) else ""
