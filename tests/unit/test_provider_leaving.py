"""How nodes go: whose pods are moved first, whose are ended where they are, and whose nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import msgspec
import pytest
from testkit.worlds import place as places
from testkit.worlds.place import ACCOUNT, CLUSTER, GROUP, REGION

from roadstead.cli.infrastructure import parts
from roadstead.clusters import nodegroups
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.clusters.insights import kept as insights
from roadstead.contract import leaving, naming
from roadstead.contract.messages import observed
from roadstead.controllers.nodes import states
from roadstead.controllers.runtime import facts as system
from roadstead.controllers.runtime import reports
from roadstead.controllers.runtime import targets as told
from roadstead.core import errors
from roadstead.provider import mirror, node_metadata
from roadstead.serve import report_adapter, targets
from roadstead.store import keys

Leave = leaving.Leave
OTHER = nodegroups.key(ACCOUNT, REGION, "shop", "other")
TURNS = 60


def group(desired: int, *, deleting: bool = False, **tags: str) -> nodegroups.Nodegroup:
    return nodegroups.Nodegroup(
        cluster="shop",
        name="ng",
        role="r",
        version="1.37",
        subnets=(),
        zones=(),
        vpc="vpc-1",
        scaling=nodegroups.Scaling(0, 9, desired),
        created_at=0.0,
        modified_at=0.0,
        deleting=deleting,
        tags={key.replace("_", "/"): value for key, value in tags.items()},
    )


@pytest.mark.parametrize(
    ("one", "others", "leave"),
    [
        (group(2), [], Leave.MOVED),
        (group(2, deleting=True), [group(1)], Leave.MOVED),
        (group(0), [group(1)], Leave.MOVED),
        (group(0), [], Leave.ENDED),
        (group(0), [group(3, deleting=True)], Leave.ENDED),
        (group(2, deleting=True), [group(0)], Leave.ENDED),
        (group(2, deleting=True), [], Leave.DROPPED),
        (group(2, deleting=True), [group(3, deleting=True)], Leave.DROPPED),
        (group(2, deleting=True, roadstead_drain="false"), [group(1)], Leave.DROPPED),
        (group(2, deleting=True, roadstead_drain="true"), [group(1)], Leave.MOVED),
    ],
)
def test_how_pods_leave(one: nodegroups.Nodegroup, others: list[nodegroups.Nodegroup], leave: Leave) -> None:
    assert nodegroups.leave(one, [one, *others]) is leave


def test_the_command_sets_the_tag_that_is_read() -> None:
    assert parts.DRAIN == nodegroups.DRAIN


def lived(story: Callable[[places.Place], Awaitable[None]]) -> None:
    async def whole() -> None:
        place = places.Place()
        await place.prepare()
        async with asyncio.timeout(60):
            await place.want_cluster()
            await place.until(place.is_active(CLUSTER))
            await story(place)

    asyncio.run(whole())


def turns(count: int) -> Callable[[], bool]:
    """So many turns have passed."""
    left = iter(range(count))
    return lambda: next(left, None) is None


def test_a_deleted_nodegroup_waits_for_its_pods_while_others_stay() -> None:
    async def story(place: places.Place) -> None:
        place.told.held = True
        await place.want_nodes(2)
        await place.want_nodes(1, name="other")
        await place.until(lambda: place.is_active(GROUP)() and place.is_active(OTHER)())
        await place.want_nodes(2, deleting=True)
        await place.until(turns(TURNS))
        assert len(place.hosts()) == 7 + 3
        place.told.held = False
        await place.until(place.is_gone(GROUP))
        assert len(place.hosts()) == 7 + 1

    lived(story)


def test_with_all_nodegroups_deleted_one_after_the_other_nobody_waits() -> None:
    """As `delete cluster` does it: the first may have been seen before the second was asked for."""

    async def story(place: places.Place) -> None:
        place.told.held = True
        await place.want_nodes(2)
        await place.want_nodes(1, name="other")
        await place.until(lambda: place.is_active(GROUP)() and place.is_active(OTHER)())
        await place.want_nodes(2, deleting=True)
        await place.until(turns(10))
        assert len(place.hosts()) == 7 + 3
        await place.want_nodes(1, name="other", deleting=True)
        began = place.clock.now()
        await place.until(lambda: place.is_gone(GROUP)() and place.is_gone(OTHER)())
        assert place.clock.now() - began < 15

    lived(story)


def test_one_that_is_not_to_be_drained_is_not() -> None:
    async def story(place: places.Place) -> None:
        place.told.held = True
        await place.want_nodes(2)
        await place.want_nodes(1, name="other")
        await place.until(lambda: place.is_active(GROUP)() and place.is_active(OTHER)())
        await place.want_nodes(2, deleting=True, tags={nodegroups.DRAIN: "false"})
        await place.until(place.is_gone(GROUP))
        assert len(place.hosts()) == 7 + 1

    lived(story)


async def posted(place: places.Place) -> dict[str, told.ExpectedNode]:
    """What the controllers are told of the nodes."""
    ((_, target),) = await all_posted(place, "ready")
    return dict(target.nodes)


async def all_posted(place: places.Place, phase: str) -> list[tuple[str, told.ClusterTarget]]:
    """`phase`: of every network at the agent."""

    async def images() -> system.Images:
        return system.Images(coredns="c", provisioner="p")

    allocations = allocator.Allocator(place.store, allocator.EndpointSettings(), lambda _, _port: True)
    secret = cluster_secrets.ClusterSecrets(place.store, place.machine, cast("Any", None), place.seeds)
    known = mirror.AgentMirror(place.machine, place.clock)
    for kind, id in place.machine.records:
        if kind == "networks":
            said = {"kind": kind, "id": id, "generation": 1, "phase": phase}
            known.seen[kind, id] = msgspec.convert(said, observed.Observation)
    made = targets.StoreTargets(targets.TargetTools(place.store, allocations, secret, images, known))
    troubles: dict[str, errors.Error] = {}
    found = [each async for each in made._all(troubles)]
    assert not troubles
    return found


def test_nobody_goes_to_a_cluster_before_its_network_is_there() -> None:
    """The machine would have no other way for what is meant for its servers than into the world."""

    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        assert await all_posted(place, "making") == []
        assert len(await all_posted(place, "ready")) == 1

    lived(story)


def test_the_controllers_are_told_of_a_refresh_of_insights_until_it_has_ended() -> None:
    async def story(place: places.Place) -> None:
        async def refresh() -> str:
            ((_, target),) = await all_posted(place, "ready")
            return target.refresh

        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        assert await refresh() == ""
        key = insights.key(ACCOUNT, REGION, "shop")
        generation = await place.store.commit(insights.REPORTS.put(key, insights.Request("r1", 1.0)))
        assert await refresh() == "r1"
        report = insights.Report(at=2.0, version="1.37", settled="r1", settled_at=2.0)
        await place.store.observe(key, insights.written(report), generation)
        assert await refresh() == ""

    lived(story)


def test_what_the_controllers_are_told_of_nodes_that_go() -> None:
    async def story(place: places.Place) -> None:
        labels = {"team": "blue", "node-role.kubernetes.io/worker": "", "kubernetes.io/arch": "mine"}
        taints = (nodegroups.Taint("dedicated", "NO_SCHEDULE", "gpu"),)
        await place.want_nodes(1, labels=labels, taints=taints)
        await place.until(place.is_active(GROUP))
        (one,) = (await posted(place)).values()
        assert one.leave is None
        # What kubelet keeps right itself is left to it.
        assert one.marks.labels == {
            "team": "blue",
            "node-role.kubernetes.io/worker": "",
            "eks.amazonaws.com/capacityType": "ON_DEMAND",
            "eks.amazonaws.com/nodegroup": "ng",
            "eks.amazonaws.com/nodegroup-image": "AL2023_x86_64_STANDARD",
        }
        assert one.marks.taints == (told.NodeTaint(key="dedicated", value="gpu", effect="NoSchedule"),)
        await place.want_nodes(0, most=1)
        (one,) = (await posted(place)).values()
        assert one.leave is Leave.ENDED
        await place.want_nodes(1, deleting=True)
        (one,) = (await posted(place)).values()
        assert one.leave is Leave.DROPPED
        await place.want_nodes(1, name="other")
        (one,) = (await posted(place)).values()
        assert one.leave is Leave.MOVED

    lived(story)


def test_a_node_is_ready_when_it_has_what_its_nodegroup_gives_it_now() -> None:
    wanted = node_metadata.of(replace(group(1), labels={"team": "red"}))
    cluster = keys.Key(ACCOUNT, REGION, "cluster", "shop")
    seen = reports.Reports()
    word = report_adapter.ReportAdapter(seen, lambda _: None)
    name = naming.node("10.0.0.5", REGION)
    for given, ready in (
        (None, False),
        (told.NodeMarks(labels={"team": "blue"}), False),
        (targets.marks(wanted), True),
    ):
        seen.keep(cluster.text, states.Nodes({name: states.NodeState(ready=True, marks=given)}))
        assert word.node(cluster, name, wanted).ready is ready


@pytest.mark.parametrize("state", states.DrainState)
def test_a_node_goes_when_it_is_drained_or_its_time_is_over(state: states.DrainState) -> None:
    cluster = keys.Key(ACCOUNT, REGION, "cluster", "shop")
    seen = reports.Reports()
    word = report_adapter.ReportAdapter(seen, lambda _: None)
    assert not word.drained(cluster, "n")
    seen.keep(cluster.text, states.Nodes({"n": states.NodeState(ready=True)}))
    seen.keep(cluster.text, states.Drains({"n": states.Drain(state)}))
    assert word.drained(cluster, "n") is (state in (states.DrainState.DONE, states.DrainState.BLOCKED))
