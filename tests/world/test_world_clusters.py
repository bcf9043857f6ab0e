"""The reconciler of clusters in the world: it ends as wanted, stays so, disturbs one at a time, bears being cut off."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies
from testkit.worlds import memory, parts

from roadstead.clusters import (
    lifecycles,
    nodegroups,
    observed,
    plan,
    provider,
    reconciler,
    resources,
    spec,
    versions,
    views,
)
from roadstead.core import clock as clocks
from roadstead.core import lifecycle
from roadstead.store import keys

TICK = 0.5
LONGEST = 2500.0
"""Seconds of the world after which a plan that has not ended never will: each of the parts of a cluster that is updated
twice may fail for a while each time, one after another."""

ACCOUNT, REGION = "012345678901", "eu-central-1"
CLUSTER = spec.key(ACCOUNT, REGION, "shop")
GROUP = nodegroups.key(ACCOUNT, REGION, "shop", "workers")
PLACE = spec.Place(vpc="vpc-1", vpc_cidr="192.168.0.0/16", subnets=("subnet-1", "subnet-2"), zones=("a", "b"))

DELAYS = strategies.sampled_from([0.0, 0.5, 2.0, 4.0, 9.0, 25.0])
FATES = strategies.lists(
    strategies.builds(
        parts.Fate,
        arrivals=strategies.lists(DELAYS, max_size=2).map(tuple),
        start=strategies.sampled_from([0.5, 3.0, 12.0]),
        lag=strategies.sampled_from([0.0, 0.5, 3.0, 11.0]),
        fails=strategies.sampled_from([0.0, 0.0, 4.0, 45.0]),
    ),
    max_size=30,
)
USUAL = parts.Fate(start=1.5, lag=0.5)
PAUSES = strategies.sampled_from([1.0, 4.0, 15.0, 40.0])
CUTS = strategies.frozensets(strategies.integers(0, 80), max_size=4)
"""Ticks at which the reconciler dies and is started again."""


def cluster(version: str, *, update: str | None = None, deleting: bool = False) -> bytes:
    wanted = spec.Cluster(
        name="shop",
        role="arn:aws:iam::012345678901:role/shop",
        version=version,
        place=PLACE,
        service_cidr="10.100.0.0/16",
        created_at=0.0,
        creator="arn:aws:iam::012345678901:user/admin",
        update=update,
        deleting=deleting,
    )
    return spec.written(wanted)


def group(count: int, most: int, *, update: str | None = None, deleting: bool = False) -> bytes:
    wanted = nodegroups.Nodegroup(
        cluster="shop",
        name="workers",
        role="arn:aws:iam::012345678901:role/node",
        version="1.36",
        subnets=PLACE.subnets,
        zones=PLACE.zones,
        vpc=PLACE.vpc,
        scaling=nodegroups.Scaling(0, 9, count),
        most=most,
        created_at=0.0,
        modified_at=0.0,
        update=update,
        deleting=deleting,
    )
    return nodegroups.written(wanted)


class Story:
    """A store, a world, and a reconciler between them that is started anew when it was cut off."""

    def __init__(self, key: keys.Key, fates: list[parts.Fate]) -> None:
        self.key = key
        self.clock = clocks.FakeClock()
        self.store = memory.MemoryStore()
        self.world = parts.World(self.clock, itertools.chain(fates, itertools.repeat(USUAL)))

    def start(self) -> asyncio.Task[None]:
        tools = reconciler.ReconcilerTools(self.store, self.world, self.clock.now, self.clock)
        return asyncio.ensure_future(reconciler.ClusterReconciler(tools).run())

    async def at_its_end(self) -> bool:
        """Nothing is on its way, and nothing is to be done."""
        if not self.world.quiet:
            return False
        state = await self.store.get(self.key)
        if state is None:
            return True
        sight = observed.lasting(views.seen(state), await self.world.see(self.key), self.clock.now())
        situation = resources.situation(resources.of(state.desired), views.seen(state), sight)
        return plan.plan(situation) == ((), None)

    async def live(self, bodies: list[tuple[float, bytes]], cuts: frozenset[int]) -> None:
        """bodies: desired states, each with how long after the one before it is asked for."""
        program, tick, due = self.start(), 0, 0.0
        coming = list(bodies)
        try:
            while coming or not await self.at_its_end():
                assert self.clock.now() < LONGEST, "it does not end"
                if coming and self.clock.now() >= due:
                    await self.store.put(self.key, coming.pop(0)[1])
                    due = self.clock.now() + (coming[0][0] if coming else 0.0)
                if tick in cuts:
                    program.cancel()
                    await asyncio.wait([program])
                    program = self.start()
                assert not program.done()
                await self.clock.advance(TICK)
                self.world.turn()
                tick += 1
        finally:
            program.cancel()
            await asyncio.wait([program])

    @property
    def seen(self) -> observed.Observed:
        return observed.read(self.store.observed[self.key].body)


def live(key: keys.Key, fates: list[parts.Fate], bodies: list[tuple[float, bytes]], cuts: frozenset[int]) -> Story:
    async def told() -> Story:
        story = Story(key, fates)
        await story.live(bodies, cuts)
        return story

    return asyncio.run(told())


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(FATES, strategies.tuples(PAUSES, PAUSES), CUTS)
def test_a_cluster_is_updated_one_part_at_a_time_and_ends_as_wanted(
    fates: list[parts.Fate], pauses: tuple[float, float], cuts: frozenset[int]
) -> None:
    bodies = [
        (0.0, cluster("1.35")),
        (pauses[0], cluster("1.36", update="u1")),
        (pauses[1], cluster("1.37", update="u2")),
    ]
    story = live(CLUSTER, fates, bodies, cuts)
    assert story.world.worst <= 1
    assert (story.seen.status, story.seen.settled) == ("ACTIVE", "u2")
    runs = {part.name: (part.phase, part.release) for part in story.seen.parts}
    assert runs == {name: (observed.Phase.READY, versions.find("1.37").patch) for name in spec.MEMBERS}


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(FATES, PAUSES, CUTS)
def test_a_deleted_cluster_leaves_nothing_whatever_is_still_on_its_way(
    fates: list[parts.Fate], pause: float, cuts: frozenset[int]
) -> None:
    story = live(CLUSTER, fates, [(0.0, cluster("1.36")), (pause, cluster("1.36", deleting=True))], cuts)
    assert CLUSTER not in story.store.desired
    assert story.world.present() == []


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(FATES, strategies.lists(strategies.integers(0, 5), min_size=1, max_size=4), PAUSES, CUTS)
def test_a_nodegroup_has_as_many_nodes_as_wanted_last_and_then_none(
    fates: list[parts.Fate], sizes: list[int], pause: float, cuts: frozenset[int]
) -> None:
    most = [max(sizes[: number + 1]) for number in range(len(sizes))]
    bodies = [(pause, group(size, top, update=str(n))) for n, (size, top) in enumerate(zip(sizes, most, strict=True))]
    story = live(GROUP, fates, bodies, cuts)
    assert [name for _, name in story.world.present()] == list(nodegroups.nodes(sizes[-1]))
    assert story.seen.status == "ACTIVE"
    gone = live(GROUP, fates, [*bodies, (pause, group(sizes[-1], most[-1], deleting=True))], cuts)
    assert GROUP not in gone.store.desired
    assert gone.world.present() == []


def test_nothing_is_done_twice_when_all_goes_well() -> None:
    story = live(CLUSTER, [], [(0.0, cluster("1.36")), (5.0, cluster("1.37", update="u"))], frozenset())
    first, second = sorted({generation for _, _, generation in story.world.steps})
    assert [(what, part) for what, part, generation in story.world.steps if generation == first] == [
        ("tell", name) for name in spec.MEMBERS
    ]
    assert [(what, part) for what, part, generation in story.world.steps if generation == second] == [
        *(("tell", name) for name in spec.MEMBERS),
        # etcd and the edge run nothing of Kubernetes.
        *(("replace", name) for name in spec.API),
    ]


def situation(life: lifecycle.Lifecycle = lifecycles.CLUSTER, status: str = "UPDATING") -> plan.Situation:
    seen = {name: observed.Part(name, observed.Phase.READY, 7, "1.37.2", 1) for name in "abc"}
    wanted = {name: provider.PartSpec("1.37.2", name) for name in "abc"}
    return plan.Situation(life, status, 7, wanted, tuple("abc"), seen)


def test_nothing_is_disturbed_before_all_know_the_current_generation() -> None:
    now = situation()
    stale = {**now.seen, "c": replace(now.seen["c"], generation=6), "a": replace(now.seen["a"], release="1.36.3")}
    steps, again = plan.plan(replace(now, seen=stale))
    assert [(type(step), getattr(step, "part", "")) for step in steps] == [(plan.Tell, "c")]
    assert again is not None


@pytest.mark.parametrize("phase", [observed.Phase.MAKING, observed.Phase.FAILING, observed.Phase.ABSENT])
def test_nothing_is_replaced_while_one_is_away(phase: observed.Phase) -> None:
    now = situation()
    seen = {**now.seen, "c": replace(now.seen["c"], phase=phase), "a": replace(now.seen["a"], release="1.36.3")}
    assert plan.plan(replace(now, seen=seen)) == ((), plan.AGAIN)


def test_what_the_agent_refuses_ends_the_making_or_the_update() -> None:
    for status in ("CREATING", "UPDATING"):
        now = situation(status=status)
        refused = replace(now.seen["b"], phase=observed.Phase.REFUSED, reason="no engine")
        steps, _ = plan.plan(replace(now, seen={**now.seen, "b": refused}))
        assert [step.event for step in steps if isinstance(step, plan.Turn)] == ["failed"]


def test_a_failing_node_makes_its_nodegroup_degraded_and_a_ready_one_well_again() -> None:
    now = situation(lifecycles.NODEGROUP, "ACTIVE")
    failing = replace(now.seen["b"], phase=observed.Phase.FAILING, reason="no space")
    steps, _ = plan.plan(replace(now, seen={**now.seen, "b": failing}))
    # The same again would fail no less.
    assert steps == (plan.Turn("degraded", 7, "b: no space"),)
    steps, _ = plan.plan(replace(now, status="DEGRADED"))
    assert [step.event for step in steps if isinstance(step, plan.Turn)] == ["ready"]
