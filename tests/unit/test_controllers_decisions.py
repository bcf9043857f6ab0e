"""What the controllers decide without asking anyone: tokens, Nodes, pods to leave, roles, digests, reports."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.contract import leaving
from roadstead.controllers.nodes import drain, eviction, states, tokens
from roadstead.controllers.nodes import node as nodes
from roadstead.controllers.runtime import reports, targets
from roadstead.controllers.system import applying, rbac
from roadstead.kube import resources
from roadstead.kube.resources import Json

ONE = targets.ExpectedNode(
    instance="i-1", address="192.168.1.1", token_id="aaaaa1", token_secret="s" * 16, nodegroup="workers"
)
TWO = replace(ONE, instance="i-2", token_id="aaaaa2")


def kept(secret: Json) -> Json:
    """As the API answers it."""
    texts: dict[str, str] = secret["stringData"]
    coded = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    return {**{key: value for key, value in secret.items() if key != "stringData"}, "data": coded}


def test_each_wanted_node_has_a_token_and_nobody_else() -> None:
    first = tokens.plan(
        {"one": ONE, "two": TWO, "gone": replace(ONE, token_id="aaaaa3", leave=leaving.Leave.MOVED)}, (), 0.0
    )
    assert [resources.name(secret) for secret in first.apply] == ["bootstrap-token-aaaaa1", "bootstrap-token-aaaaa2"]
    there = [kept(secret) for secret in first.apply]
    assert tokens.plan({"one": ONE, "two": TWO}, there, 60.0) == tokens.Plan((), ())
    assert tokens.plan({"one": ONE}, there, 60.0) == tokens.Plan((), ("bootstrap-token-aaaaa2",))


@pytest.mark.parametrize(
    ("field", "value"),
    [("token-secret", "other"), ("auth-extra-groups", "system:masters"), ("expiration", "soon"), ("token-id", "\xff")],
)
def test_a_token_that_was_changed_is_written_again(field: str, value: str) -> None:
    (secret,) = tokens.plan({"one": ONE}, (), 0.0).apply
    there = kept(secret)
    there["data"][field] = base64.b64encode(value.encode("latin1")).decode()
    assert tokens.plan({"one": ONE}, [there], 0.0).apply == (secret,)


@given(st.floats(0, 3 * tokens.LIFE))
def test_a_token_is_renewed_before_it_ends(later: float) -> None:
    (secret,) = tokens.plan({"one": ONE}, (), 0.0).apply
    renewed = tokens.plan({"one": ONE}, [kept(secret)], later).apply
    assert bool(renewed) == (tokens.LIFE - later <= tokens.RENEWED)


def node(provider: str = "aws:///eu-central-1a/i-1", **status: object) -> Json:
    return {"metadata": {"name": "one", "uid": "u"}, "spec": {"providerID": provider}, "status": status}


@pytest.mark.parametrize(
    ("there", "expected", "left"),
    [
        (node(), {"one": ONE}, False),
        (node(), {}, True),
        (node(), {"one": TWO}, True),
        (node(), {"one": replace(TWO, leave=leaving.Leave.MOVED)}, True),
        (node(), {"one": replace(ONE, leave=leaving.Leave.MOVED)}, False),
        (node(""), {}, False),
        (node("kwok://one"), {}, False),
        (node(""), {"one": ONE}, False),
    ],
)
def test_which_nodes_are_left_behind(there: Json, expected: dict[str, targets.ExpectedNode], left: bool) -> None:
    assert nodes.is_left("one", there, expected) is left


GOING = replace(ONE, leave=leaving.Leave.MOVED)


@pytest.mark.parametrize(
    ("mine", "there", "known", "left", "step"),
    [
        (None, node(), True, 60.0, drain.Stay()),
        (ONE, node(), True, 60.0, drain.Stay()),
        (replace(GOING, leave=leaving.Leave.DROPPED), node(), True, 60.0, drain.Go()),
        (replace(GOING, leave=leaving.Leave.DROPPED), None, False, -1.0, drain.Go()),
        (GOING, None, False, 60.0, drain.Wait()),
        (GOING, node(), False, 0.0, drain.GiveUp("the cluster's API does not answer")),
        (GOING, None, True, 60.0, drain.Go()),
        (replace(GOING, instance="i-2"), node(), True, 60.0, drain.Go()),
        (GOING, node(), True, 60.0, drain.Evict(GOING, node(), leaving.Leave.MOVED)),
        (GOING, node(), True, -1.0, drain.Evict(GOING, node(), leaving.Leave.MOVED)),
    ],
)
def test_what_is_next_for_a_node_that_may_be_to_go(
    mine: targets.ExpectedNode | None, there: Json | None, known: bool, left: float, step: drain.Step
) -> None:
    assert drain.decide(mine, there, known=known, left=left) == step


def test_what_a_node_says() -> None:
    info = {"kubeletVersion": "v1.37.2"}
    ready = node(conditions=[{"type": "Ready", "status": "True", "message": "is posting"}], nodeInfo=info)
    assert states.state(ready) == states.NodeState(ready=True, version="1.37.2")
    cold = node(conditions=[{"type": "Ready", "status": "Unknown", "message": "stopped posting"}])
    assert states.state(cold) == states.NodeState(ready=False, reason="stopped posting")
    assert not states.state(node()).ready


def test_an_earlier_instance_is_not_reported_as_the_new_one() -> None:
    assert states.states({"one": node()}, {"one": ONE}).keys() == {"one"}
    assert states.states({"one": node()}, {"one": TWO}) == {}


def test_what_is_told_of_a_node_is_what_it_says_and_how_far_its_drain_is() -> None:
    told = reports.Reports()
    told.keep("a", states.Drains({"one": states.Drain(states.DrainState.BLOCKED, ("a pod",))}))
    assert states.every(told, "a") == {}
    told.keep("a", states.Nodes({"two": states.NodeState(ready=True)}))
    assert states.every(told, "a") == {
        "one": states.NodeState(
            ready=False, reason="it is not registered", drain=states.DrainState.BLOCKED, blocked=("a pod",)
        ),
        "two": states.NodeState(ready=True),
    }


def pod(**meta: object) -> Json:
    return {"metadata": {"name": "p", "namespace": "n", **meta}, "status": {"phase": "Running"}}


@pytest.mark.parametrize(
    ("there", "leaves", "is_asked"),
    [
        (pod(), True, True),
        (pod(deletionTimestamp="t"), True, False),
        (pod(ownerReferences=[{"kind": "DaemonSet", "controller": True}]), False, False),
        (pod(ownerReferences=[{"kind": "ReplicaSet", "controller": True}]), True, True),
        (pod(annotations={"kubernetes.io/config.mirror": "x"}), False, False),
        ({**pod(), "status": {"phase": "Succeeded"}}, False, False),
    ],
)
def test_which_pods_leave_a_node(there: Json, leaves: bool, is_asked: bool) -> None:
    assert bool(eviction.to_leave([there])) == leaves
    assert bool(eviction.to_ask([there])) == is_asked


@pytest.mark.parametrize(
    ("ready", "dead"),
    [
        (None, False),
        ({"status": "True"}, False),
        ({"status": "Unknown", "lastTransitionTime": "2026-11-01T00:00:59Z"}, True),
        ({"status": "False", "lastTransitionTime": "2026-11-01T00:00:59Z"}, False),
        ({"status": "False", "lastTransitionTime": "2026-10-31T23:59:59Z"}, True),
        ({"status": "False", "lastTransitionTime": None}, False),
    ],
)
def test_which_nodes_are_dead(ready: Json | None, dead: bool) -> None:
    """A minute after midnight: one that has just said that it is not ready may be about to be."""
    now = dt.datetime(2026, 11, 1, 0, 1, tzinfo=dt.UTC).timestamp()
    there = node(conditions=[{"type": "Ready", **ready}] if ready is not None else [])
    assert nodes.is_dead(there, now) is dead


def noted(text: str) -> Json:
    there = node()
    return {**there, "metadata": {**there["metadata"], "resourceVersion": "7", "annotations": {nodes.GIVEN: text}}}


def test_a_node_that_has_what_its_nodegroup_gives_is_left_alone() -> None:
    marks = targets.NodeMarks(labels={"b": "2", "a": "1"}, taints=(targets.NodeTaint(key="k", effect="NoSchedule"),))
    change = nodes.change(noted(""), replace(ONE, marks=marks))
    assert change is not None
    assert change["metadata"]["resourceVersion"] == "7"
    same = noted(change["metadata"]["annotations"][nodes.GIVEN])
    assert nodes.given(same) == marks
    other_order = replace(marks, labels={"a": "1", "b": "2"})
    assert nodes.change(same, replace(ONE, marks=other_order)) is None


def test_a_node_says_in_a_condition_what_is_near_its_end_for_as_long_as_it_is_so() -> None:
    others = {"type": "Ready", "status": "True"}
    bare = {**noted(""), "status": {"conditions": [others]}}
    assert nodes.condition(bare, ONE, 0.0) is None
    near = replace(ONE, near=("is near its limit of 800 processes and threads", "the disk is near its end"))
    first = nodes.condition(bare, near, 60.0)
    assert first == {
        "metadata": {"resourceVersion": "7"},
        "status": {
            "conditions": [
                others,
                {
                    "type": "roadstead.dev/NearLimit",
                    "status": "True",
                    "reason": "NearLimit",
                    "message": "is near its limit of 800 processes and threads; the disk is near its end",
                    "lastTransitionTime": "1970-01-01T00:01:00Z",
                },
            ]
        },
    }
    there = {**bare, "status": first["status"]}
    assert nodes.condition(there, near, 90.0) is None
    less = nodes.condition(there, replace(near, near=("the disk is near its end",)), 90.0)
    assert less is not None
    assert less["status"]["conditions"][1]["lastTransitionTime"] == "1970-01-01T00:01:00Z"
    over = nodes.condition(there, ONE, 120.0)
    assert over is not None
    assert (over["status"]["conditions"][0], over["status"]["conditions"][1]["status"]) == (others, "False")
    assert over["status"]["conditions"][1]["lastTransitionTime"] == "1970-01-01T00:02:00Z"
    assert nodes.condition({**bare, "status": over["status"]}, ONE, 150.0) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"labels": {"a": 1}}', '{"taints": [{"key": "k"}]}'])
def test_what_a_node_made_of_its_annotation_takes_nothing_from_it(text: str) -> None:
    """A node may write what it likes on its own Node."""
    change = nodes.change(noted(text), replace(ONE, marks=targets.NodeMarks(labels={"a": "1"})))
    assert change is not None
    assert change["metadata"]["labels"] == {"a": "1"}
    assert "spec" not in change


def test_nobody_is_made_a_master_and_every_object_has_a_place() -> None:
    for thing in rbac.objects():
        assert resources.of(thing).path(resources.name(thing))
        assert "system:masters" not in str(thing)
    bound = {resources.name(thing): thing for thing in rbac.objects() if thing["kind"] == "ClusterRoleBinding"}
    assert bound["eks:access-policy:AmazonEKSViewPolicy"]["roleRef"]["name"] == "view"


def test_a_digest_is_of_the_content_and_the_release() -> None:
    one, two = {"kind": "A", "metadata": {"name": "a", "labels": {}}}, {"kind": "B"}
    same = {"metadata": {"labels": {}, "name": "a"}, "kind": "A"}
    assert applying.digest([one, two], "1.37.2") == applying.digest([two, same], "1.37.2")
    assert applying.digest([one, two], "1.37.2") != applying.digest([one, two], "1.37.3")
    assert applying.digest([one, two], "1.37.2") != applying.digest([one], "1.37.2")


def test_reports_tell_each_follower_of_changes_alone() -> None:
    async def story() -> None:
        told = reports.Reports()
        follower = told.changes()
        other = told.changes()
        waiting = [asyncio.ensure_future(anext(changes)) for changes in (follower, other)]
        await asyncio.sleep(0)
        assert told.keep("a", reports.ApiReport(answering=True))
        assert [await one for one in waiting] == ["a", "a"]
        again = asyncio.ensure_future(anext(other))
        assert not told.keep("a", reports.ApiReport(answering=True))
        told.forget("never known")
        assert not (await asyncio.wait([again], timeout=0.01))[0]
        told.keep("b", states.Nodes({"n": states.NodeState(ready=True)}))
        told.forget("b")
        assert await anext(follower) == "b"
        assert await again == "b"
        assert states.every(told, "b") == {}
        late = told.changes()
        assert await anext(late) == "a"
        await late.aclose()
        for changes in (follower, other):
            await changes.aclose()

    asyncio.run(story())
