"""What a Node object says, and what is to be done about it: pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import msgspec

from roadstead.controllers.runtime import targets
from roadstead.kube.resources import Json

GIVEN = "roadstead.dev/given"
"""An annotation: the labels and taints of its nodegroup that the Node was given last."""
CORDONED = "roadstead.dev/cordoned"
"""An annotation: it takes no pods because it was to go, and nobody else wanted that."""

NEAR = "roadstead.dev/NearLimit"
"""A condition: something of the node, or of the machine that it is on, is near its end."""

_PROVIDER = "aws:///"
_NEVER = "9999-01-01T00:00:00Z"
_SILENT = 60.0
"""Seconds after which a Node that says itself that it is not ready will not end its pods, either."""


def is_left(name: str, node: Json, expected: Mapping[str, targets.ExpectedNode]) -> bool:
    """Whether its host is gone. Nodes that are no instances of ours (users make some, for tests) are left alone."""
    mine = expected.get(name)
    return bool(_instance(node)) and (mine is None or _instance(node) != mine.instance)


def another(node: Json | None, instance: str) -> bool:
    """Whether it is the Node of an earlier instance that had the same name."""
    return node is not None and _instance(node) not in ("", instance)


def change(node: Json, mine: targets.ExpectedNode) -> Json | None:
    """What is to be another way with an expected Node: a JSON merge patch, good only for the Node as it was read.

    What its nodegroup changed is changed, once: kubelet sets labels and taints when it registers, and never again.
    What others made of them since stays: a network's agent takes away the taint that kept pods off until it was ready.
    """
    before = given(node)
    metadata: Json = {}
    spec: Json = {}
    annotations: dict[str, str | None] = {}
    if before != mine.marks:
        metadata["labels"] = _labels(before, mine.marks)
        annotations[GIVEN] = msgspec.json.encode(mine.marks, order="deterministic").decode()
        there = node["spec"].get("taints") or []
        # Before anything is remembered it has the taints with which it registered.
        taints = there if before is None else _taints(there, before, mine.marks)
        if taints != there:
            spec["taints"] = taints
    if mine.leave is None and CORDONED in _annotations(node):
        annotations[CORDONED] = None
        spec["unschedulable"] = None
    if not annotations:
        return None
    metadata |= {"annotations": annotations, "resourceVersion": node["metadata"]["resourceVersion"]}
    return {"metadata": metadata, **({"spec": spec} if spec else {})}


def condition(node: Json, mine: targets.ExpectedNode, now: float) -> Json | None:
    """What is to be another way with an expected Node's status, as `change`. now: seconds since 1970.

    kubelet leaves conditions alone that are not its own. A Node that never was near the end of anything has none.
    """
    there = (node.get("status") or {}).get("conditions") or []
    before = next((each for each in there if each.get("type") == NEAR), None)
    fresh = {
        "type": NEAR,
        "status": "True" if mine.near else "False",
        "reason": "NearLimit" if mine.near else "Enough",
        "message": "; ".join(mine.near),
    }
    if before is None and not mine.near:
        return None
    if before is not None and {name: before.get(name, "") for name in fresh} == fresh:
        return None
    since = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if before is not None and before.get("status") == fresh["status"]:
        since = before.get("lastTransitionTime") or since
    others = [each for each in there if each.get("type") != NEAR]
    return {
        "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
        "status": {"conditions": [*others, {**fresh, "lastTransitionTime": since}]},
    }


def cordon(node: Json) -> Json | None:
    """The merge patch by which it takes no pods any more."""
    if node["spec"].get("unschedulable"):
        return None
    return {"metadata": {"annotations": {CORDONED: "true"}}, "spec": {"unschedulable": True}}


def given(node: Json) -> targets.NodeMarks | None:
    """What it was given last. None: nothing yet, or nobody can tell any more."""
    try:
        return msgspec.json.decode(_annotations(node).get(GIVEN, ""), type=targets.NodeMarks)
    except msgspec.MsgspecError:
        return None


def _labels(before: targets.NodeMarks | None, now: targets.NodeMarks) -> dict[str, str | None]:
    was = before.labels if before is not None else {}
    changed = {name: value for name, value in now.labels.items() if was.get(name) != value}
    return {**dict.fromkeys(was.keys() - now.labels.keys()), **changed}


def _taints(there: list[Json], before: targets.NodeMarks, now: targets.NodeMarks) -> list[Json]:
    ours = {(taint.key, taint.effect) for taint in {*before.taints} ^ {*now.taints}}
    others = [taint for taint in there if (taint["key"], taint["effect"]) not in ours]
    fresh = [taint for taint in now.taints if taint not in before.taints]
    return [*others, *({"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in fresh)]


def _annotations(node: Json) -> Mapping[str, str]:
    return node["metadata"].get("annotations") or {}


def is_dead(node: Json, now: float) -> bool:
    """Whether nobody is there to end its pods. now: seconds since 1970.

    A node that is merely not ready may be about to be. Of one whose kubelet says nothing, Kubernetes has waited for
    50 s itself before it says so: `Unknown`.
    """
    ready = ready_condition(node)
    if ready is None or ready.get("status") == "True":
        return False
    since = dt.datetime.fromisoformat(ready.get("lastTransitionTime") or _NEVER)
    return ready.get("status") == "Unknown" or now - since.timestamp() > _SILENT


def ready_condition(node: Json) -> Json | None:
    """What its kubelet, or Kubernetes in its place, says of it; None: nothing yet."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == "Ready"), None)


def uid(node: Json) -> str:
    """Of the object: one that is made again under its name has another."""
    return str(node["metadata"]["uid"])


def _instance(node: Json) -> str:
    """`i-...` of `aws:///ZONE/i-...`, or nothing for a Node of another kind."""
    provider = str((node.get("spec") or {}).get("providerID") or "")
    return provider.rpartition("/")[2] if provider.startswith(_PROVIDER) else ""
