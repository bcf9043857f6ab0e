"""The controllers against a small API server: how the nodes that they expect are drained, what those are given of their
nodegroup's labels and taints, and when the system's objects are applied.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, cast

from tests.wire import small_api

from roadstead.contract import leaving
from roadstead.controllers.nodes import drain, node, states
from roadstead.controllers.runtime import facts, manager, outbox, targets
from roadstead.controllers.system import state
from roadstead.core import concurrency
from roadstead.kube.resources import Json
from roadstead.serve import controllers

LONG = 60.0
"""Seconds that a drain may take, in tests that must not wait for it."""
SOON = 20.0
TIMES = drain.DrainTimes(most=LONG, turn=LONG)
"""Nothing is seen just because a drain was begun anew."""
DEDICATED = targets.NodeTaint(key="dedicated", value="gpu", effect="NoSchedule")
STARTING = targets.NodeTaint(key="agent-not-ready", effect="NoExecute")


def expected(name: str, **more: Any) -> targets.ExpectedNode:
    node = targets.ExpectedNode(
        instance=f"i-{name}", address="192.168.1.1", token_id="abcde1", token_secret="s" * 16, nodegroup="workers"
    )
    return replace(node, **more)


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    meta = {"name": "settings", "namespace": "kube-system"}
    return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"release": of.release}},)


class Scene:
    """A controllers' manager at work at a small API server. See targets.Targets for `current` and `changes`."""

    def __init__(self, api: small_api.Api, times: drain.DrainTimes) -> None:
        nobody = cast("Any", None)
        self.api = api
        self.target = targets.ClusterTarget(key="one", servers=(api.url,), credentials=nobody, system=small_api.SYSTEM)
        self.outbox = outbox.Outbox(events=lambda *_: None)
        self.manager = manager.Manager(self, controllers.controllers(objects, times), self.outbox)
        self._changed = asyncio.Event()

    def current(self) -> Mapping[str, targets.ClusterTarget]:
        return {"one": self.target}

    async def changes(self) -> AsyncIterator[object]:
        while True:
            yield None
            await self._changed.wait()
            self._changed.clear()

    def becomes(self, **more: Any) -> None:
        """What is wanted of the cluster."""
        self.target = replace(self.target, **more)
        self._changed.set()

    def expects(self, **expected: targets.ExpectedNode) -> None:
        self.becomes(nodes=expected)

    async def has(self, *names: str, **spec: Any) -> None:
        """Nodes that are wanted have joined."""
        self.expects(**{name: expected(name) for name in names})
        for name in names:
            self.api.node(name, **spec)
        await self.until(lambda: set(names) <= states.every(self.outbox.reports, "one").keys())

    def there(self, name: str) -> Json:
        return self.api.objects["nodes", "", name]

    def seen(self, name: str) -> states.NodeState:
        return states.of(self.outbox.reports, "one", name) or states.NodeState(ready=False)

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not what():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


def play(story: Callable[[Scene], Awaitable[None]], times: drain.DrainTimes = TIMES) -> None:
    async def run() -> None:
        async with small_api.serving() as api:
            world = Scene(api, times)
            working = asyncio.ensure_future(world.manager.run())
            try:
                async with asyncio.timeout(LONG):
                    await world.until(lambda: state.of(world.outbox.reports, "one").applied)
                    await story(world)
            finally:
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working

    asyncio.run(run())


def going(name: str, leave: leaving.Leave = leaving.Leave.MOVED) -> targets.ExpectedNode:
    return expected(name, leave=leave)


def test_nodes_are_drained_side_by_side_for_their_time_and_then_go_all_the_same() -> None:
    """Each says which pod and which budget hold it."""
    names = [f"n{number}" for number in range(5)]

    async def story(world: Scene) -> None:
        await world.has(*names)
        for name in names:
            world.api.pod(f"held-{name}", name)
            world.api.pod(f"free-{name}", name)
            world.api.held.add(f"held-{name}")
        began = time.monotonic()
        world.expects(**{name: going(name) for name in names})
        await world.until(lambda: all(world.seen(name).drain is states.DrainState.BLOCKED for name in names))
        # One after the other they would take 20 s.
        assert 4.0 <= time.monotonic() - began < 16.0
        for name in names:
            assert world.seen(name).blocked == (f"pod default/held-{name}: {small_api.BUDGET}",)
        assert world.api.names("pods") == {f"held-{name}" for name in names}

    play(story, replace(TIMES, most=4.0))


def test_what_holds_a_node_is_told_while_it_is_waited_for() -> None:
    async def story(world: Scene) -> None:
        await world.has("n1")
        world.api.pod("web", "n1")
        world.api.held.add("web")
        world.expects(n1=going("n1"))
        await world.until(lambda: bool(world.seen("n1").blocked))
        assert world.seen("n1").drain is states.DrainState.AT_WORK
        world.api.held.clear()
        await world.until(lambda: world.seen("n1").drain is states.DrainState.DONE)
        assert world.seen("n1").blocked == ()

    play(story, replace(TIMES, turn=0.1))


def test_a_pod_that_ends_is_waited_for() -> None:
    async def story(world: Scene) -> None:
        await world.has("n1")
        world.api.pod("slow", "n1")
        world.api.lingering.add("slow")
        world.expects(n1=going("n1"))
        await world.until(lambda: "POST pods/slow/eviction" in world.api.asked)
        await asyncio.sleep(0.2)
        assert world.seen("n1").drain is states.DrainState.AT_WORK
        world.api.take(("pods", "default", "slow"))
        await world.until(lambda: world.seen("n1").drain is states.DrainState.DONE)
        assert world.api.asked.count("POST pods/slow/eviction") == 1

    play(story)


def test_a_node_that_is_wanted_again_is_left_alone_and_takes_pods() -> None:
    async def story(world: Scene) -> None:
        await world.has("n1", "theirs")
        cordoned = {**world.there("theirs"), "spec": {**world.there("theirs")["spec"], "unschedulable": True}}
        world.api.put(("nodes", "", "theirs"), cordoned)
        await world.until(lambda: world.seen("theirs").unschedulable)
        for name in ("n1", "theirs"):
            world.api.pod(f"held-{name}", name)
            world.api.held.add(f"held-{name}")
        world.expects(n1=going("n1"), theirs=going("theirs"))
        await world.until(lambda: len([each for each in world.api.asked if "eviction" in each]) == 2)
        assert world.there("n1")["spec"]["unschedulable"]
        world.expects(n1=expected("n1"), theirs=expected("theirs"))
        await world.until(lambda: "unschedulable" not in world.there("n1")["spec"])
        assert node.CORDONED not in world.there("n1")["metadata"]["annotations"]
        # Who cordoned a node before still has it so.
        assert world.there("theirs")["spec"]["unschedulable"]
        asked = len(world.api.asked)
        await asyncio.sleep(2.3)
        assert not [each for each in world.api.asked[asked:] if "eviction" in each]

    play(story)


def test_when_the_whole_cluster_goes_drains_that_are_at_work_end_at_once() -> None:
    """One nodegroup was deleted first, and was drained onto another one, which is deleted now."""

    async def story(world: Scene) -> None:
        await world.has("n1")
        world.api.pod("web", "n1")
        world.api.held.add("web")
        world.expects(n1=going("n1"), n2=expected("n2"))
        await world.until(lambda: "POST pods/web/eviction" in world.api.asked)
        world.expects(n1=going("n1", leaving.Leave.DROPPED), n2=going("n2", leaving.Leave.DROPPED))
        done = states.DrainState.DONE
        await world.until(lambda: (world.seen("n1").drain, world.seen("n2").drain) == (done, done))

    play(story, replace(TIMES, again=LONG))


def test_pods_that_nobody_could_take_end_in_their_own_time() -> None:
    async def story(world: Scene) -> None:
        await world.has("n1")
        for name in ("held", "slow"):
            world.api.pod(name, "n1")
        world.api.held.add("held")
        world.api.lingering.add("slow")
        world.expects(n1=going("n1", leaving.Leave.ENDED))
        # Each in its own time: which of the two is asked for first is open.
        await world.until(lambda: {"DELETE pods/held", "DELETE pods/slow"} <= set(world.api.asked))
        await world.until(lambda: world.api.names("pods") == {"slow"})
        assert world.seen("n1").drain is states.DrainState.AT_WORK
        world.api.take(("pods", "default", "slow"))
        await world.until(lambda: world.seen("n1").drain is states.DrainState.DONE)

    play(story)


def test_a_dead_node_is_not_waited_for() -> None:
    async def story(world: Scene) -> None:
        await world.has("n1")
        world.api.says("n1", "Unknown")
        await world.until(lambda: not world.seen("n1").ready)
        for name in ("held", "slow", "free"):
            world.api.pod(name, "n1")
        world.api.held.add("held")
        world.api.lingering.add("slow")
        world.expects(n1=going("n1"))
        await world.until(lambda: world.seen("n1").drain is states.DrainState.DONE)
        assert world.api.names("pods") == {"held", "slow"}

    play(story)


def test_a_node_is_given_what_its_kubelet_may_not_set() -> None:
    async def story(world: Scene) -> None:
        first = targets.NodeMarks(labels={"team": "blue", "node-role.kubernetes.io/worker": ""}, taints=(DEDICATED,))
        world.expects(n1=expected("n1", marks=first))
        world.api.conflicts = 2
        world.api.node("n1", labels={"team": "blue", "kubernetes.io/os": "linux"}, taints=[])
        await world.until(lambda: world.seen("n1").marks == first)
        labels = world.there("n1")["metadata"]["labels"]
        assert labels == {"team": "blue", "kubernetes.io/os": "linux", "node-role.kubernetes.io/worker": ""}
        # It registered with its taints: one that is not there any more was taken away since.
        assert world.there("n1")["spec"]["taints"] == []
        asked = world.api.asked.count("PATCH nodes/n1")
        world.api.says("n1", "True")
        await asyncio.sleep(0.2)
        assert world.api.asked.count("PATCH nodes/n1") == asked

    play(story)


def test_changed_labels_and_taints_reach_a_node_and_others_stay() -> None:
    async def story(world: Scene) -> None:
        before = targets.NodeMarks(labels={"team": "blue", "old": "1", "tier": "web"}, taints=(DEDICATED, STARTING))
        world.expects(n1=expected("n1", marks=before))
        taints = [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
        world.api.node("n1", labels={"team": "blue", "old": "1", "tier": "web"}, taints=taints)
        await world.until(lambda: world.seen("n1").marks == before)
        # What others do: a label and a taint more, another value of a label of ours.
        theirs = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-11-01T00:00:00Z"}
        node = world.there("n1")
        meta = {**node["metadata"], "labels": {**node["metadata"]["labels"], "mine": "yes", "tier": "db"}}
        spec = {**node["spec"], "taints": [*taints, theirs]}
        world.api.put(("nodes", "", "n1"), {**node, "metadata": meta, "spec": spec})
        cpu = replace(DEDICATED, value="cpu")
        slow = targets.NodeTaint(key="slow", effect="PreferNoSchedule")
        after = targets.NodeMarks(labels={"team": "red", "new": "2", "tier": "web"}, taints=(cpu, STARTING, slow))
        world.expects(n1=expected("n1", marks=after))
        await world.until(lambda: world.seen("n1").marks == after)
        assert world.there("n1")["metadata"]["labels"] == {"team": "red", "new": "2", "tier": "db", "mine": "yes"}
        assert world.there("n1")["spec"]["taints"] == [
            theirs,
            {"key": "dedicated", "value": "cpu", "effect": "NoSchedule"},
            {"key": "slow", "value": "", "effect": "PreferNoSchedule"},
        ]
        world.expects(n1=expected("n1"))
        await world.until(lambda: world.seen("n1").marks == targets.NodeMarks())
        assert world.there("n1")["metadata"]["labels"] == {"mine": "yes"}
        assert world.there("n1")["spec"]["taints"] == [theirs]

    play(story)


def test_what_is_near_its_end_is_a_condition_of_its_node() -> None:
    async def story(world: Scene) -> None:
        await world.has("n1", "n2")
        near = ("is near its limit of 800 processes and threads",)

        def condition(name: str) -> list[tuple[str, str]]:
            found = world.there(name)["status"]["conditions"]
            return [(each["status"], each["message"]) for each in found if each["type"] == node.NEAR]

        world.api.conflicts = 1
        world.expects(n1=expected("n1", near=near), n2=expected("n2"))
        await world.until(lambda: condition("n1") == [("True", near[0])])
        assert "PATCH nodes/n1/status" in world.api.asked
        assert world.seen("n1").ready
        world.expects(n1=expected("n1"), n2=expected("n2"))
        await world.until(lambda: condition("n1") == [("False", "")])
        assert condition("n2") == []

    play(story)


def test_the_budget_of_cluster_dns_holds_no_drain_that_has_nowhere_to_go() -> None:
    place = ("poddisruptionbudgets", "kube-system", "coredns")

    async def story(world: Scene) -> None:
        def most() -> object:
            return world.api.objects[place]["spec"]["maxUnavailable"]

        def cordon(name: str, *, on: bool) -> None:
            there = world.there(name)
            world.api.put(("nodes", "", name), {**there, "spec": {**there["spec"], "unschedulable": on}})

        meta = {"name": "coredns", "namespace": "kube-system"}
        world.api.put(place, {"metadata": meta, "spec": {"maxUnavailable": 1}})
        await world.has("n1", "n2")
        # Somebody else cordons, as kubectl and eksctl do.
        for name in ("n1", "n2"):
            assert most() == 1
            cordon(name, on=True)
        await world.until(lambda: most() == "100%")
        cordon("n2", on=False)
        await world.until(lambda: most() == 1)
        assert not world.api.objects[place]["metadata"]["annotations"]

    play(story)


def test_the_systems_objects_are_applied_once_until_others_are_wanted() -> None:
    """And it is told that they are not all there meanwhile."""
    settings, marker = "PATCH configmaps/settings", "PATCH configmaps/roadstead-system"

    async def story(world: Scene) -> None:
        assert [world.api.asked.count(one) for one in (settings, marker)] == [1, 1]
        told = []
        changes = world.outbox.reports.changes()
        world.becomes(system=replace(small_api.SYSTEM, release="1.37.3"))
        async with contextlib.aclosing(changes):
            async for _ in changes:
                told.append(state.of(world.outbox.reports, "one").applied)
                if told[-1] and False in told:
                    break
        there = world.api.objects["configmaps", "kube-system", "settings"]
        assert there["data"] == {"release": "1.37.3"}
        assert [world.api.asked.count(one) for one in (settings, marker)] == [2, 2]
        # Another manager, as after a start of serve, changes nothing.
        own = len([one for one in world.api.asked if "clusterrole" in one])
        again = Scene(world.api, TIMES)
        again.target = world.target
        working = asyncio.ensure_future(again.manager.run())
        try:
            await again.until(lambda: state.of(again.outbox.reports, "one").applied)
        finally:
            await concurrency.end(working)
        assert len([one for one in world.api.asked if "clusterrole" in one]) == 2 * own
        assert [world.api.asked.count(one) for one in (settings, marker)] == [2, 2]

    play(story)
