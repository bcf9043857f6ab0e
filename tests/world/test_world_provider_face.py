"""What every provider keeps of the promises of `clusters.provider`: the one of a machine, over its agent's real API and
a simulated machine, and the simulated one that the plans are tried with.

Whoever writes another provider adds it to PROVIDERS.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TypeAlias

import pytest
from testkit.worlds import parts
from testkit.worlds import place as places

from roadstead.clusters import observed, provider, resources, spec, versions
from roadstead.contract import leaving
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.store import keys

CLUSTER, GROUP = places.CLUSTER, places.GROUP
OLD, NEW = versions.find("1.36").patch, versions.find("1.37").patch
TURNS = 12
"""Enough for everything that was asked for to be done, and seen."""
LONGEST = 20
"""Calls after which what does not go never will."""

Phase = observed.Phase
Leave = leaving.Leave


@dataclass
class Substrate:
    """A provider in a world of its own. `place` has the store, where the desired states are."""

    place: places.Place
    made: provider.Provider
    turn: Callable[[], Awaitable[None]]
    refuse: Callable[[frozenset[str]], None]
    """Releases that cannot be had."""
    hold: Callable[[bool], None]
    """Whether pods are held where they are."""

    async def settle(self) -> None:
        for _ in range(TURNS):
            await self.turn()

    async def cluster(self, version: str = "1.37") -> resources.ManagedResource:
        """What is wanted of the cluster from now on."""
        await self.place.want_cluster(version=version)
        return resources.of(self.place.store.desired[CLUSTER])

    async def nodes(self, count: int) -> resources.ManagedResource:
        await self.place.want_nodes(count)
        return resources.of(self.place.store.desired[GROUP])

    async def tell(self, wanted: resources.ManagedResource) -> None:
        await self.made.tell(wanted.key, wanted.generation, wanted.parts)

    async def has(self, version: str = "1.37") -> resources.ManagedResource:
        """A cluster that is there."""
        wanted = await self.cluster(version)
        await self.tell(wanted)
        await self.settle()
        return wanted

    async def see(self, owner: keys.Key = CLUSTER) -> dict[str, observed.Part]:
        return dict((await self.made.see(owner)).parts)

    async def gone(self, wanted: resources.ManagedResource, leave: Leave = Leave.DROPPED) -> None:
        """Asked for as the reconciler does, until it is seen."""
        for _ in range(LONGEST):
            await self.made.remove(wanted.key, wanted.generation, wanted.ever, leave)
            await self.settle()
            seen = await self.see(wanted.key)
            if all((seen[one].phase, seen[one].generation) == (Phase.ABSENT, wanted.generation) for one in wanted.ever):
                return
        raise AssertionError(f"it does not go: {seen}")


@contextlib.asynccontextmanager
async def of_a_machine() -> AsyncIterator[Substrate]:
    place = places.Place()
    await place.prepare()
    place.reconciles = False
    program = asyncio.ensure_future(place.run())
    await place.turn()

    def refuse(releases: frozenset[str]) -> None:
        place.supply.refuses = releases

    def hold(held: bool) -> None:
        place.told.held = held

    try:
        yield Substrate(place, place.ran[-1], place.turn, refuse, hold)
    finally:
        program.cancel()
        await asyncio.wait([program])


@contextlib.asynccontextmanager
async def simulated() -> AsyncIterator[Substrate]:
    place = places.Place()
    await place.prepare()
    world = parts.World(place.clock)

    async def turn() -> None:
        await place.clock.advance(0.5)
        world.turn()

    def refuse(releases: frozenset[str]) -> None:
        world.refuses = releases

    def hold(held: bool) -> None:
        world.held = held

    yield Substrate(place, world, turn, refuse, hold)


PROVIDERS: dict[str, Callable[[], AbstractAsyncContextManager[Substrate]]] = {
    "machine": of_a_machine,
    "simulated": simulated,
}
Story: TypeAlias = Callable[[Substrate], Awaitable[None]]


@pytest.fixture(params=PROVIDERS)
def run(request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Lives a story with a new provider."""

    async def lived(story: Story) -> None:
        async with asyncio.timeout(60), PROVIDERS[request.param]() as substrate:
            await story(substrate)

    return lambda story: asyncio.run(lived(story))


def test_what_is_told_comes_to_be_ready_and_is_told_of(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        news = asyncio.ensure_future(anext(at.made.changes()))
        await at.turn()
        wanted = await at.has()
        seen = await at.see()
        assert {name: (part.phase, part.generation, part.release) for name, part in seen.items()} == dict.fromkeys(
            spec.MEMBERS, (Phase.READY, wanted.generation, NEW)
        )
        assert await news == CLUSTER
        whole = await at.made.see(CLUSTER)
        assert whole.endpoint
        assert whole.authority

    run(story)


def test_told_again_nothing_changes_and_of_a_newer_generation_nothing_is_disturbed(
    run: Callable[[Story], None],
) -> None:
    async def story(at: Substrate) -> None:
        wanted = await at.has()
        before = await at.see()
        await at.tell(wanted)
        assert await at.see() == before
        await at.settle()
        assert await at.see() == before
        newer = await at.cluster()
        assert newer.generation > wanted.generation
        await at.tell(newer)
        for _ in range(TURNS):
            assert {part.phase for part in (await at.see()).values()} == {Phase.READY}
            await at.turn()
        assert {part.generation for part in (await at.see()).values()} == {newer.generation}

    run(story)


def test_a_part_that_runs_keeps_its_release_until_it_is_replaced(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        await at.has("1.36")
        newer = await at.has("1.37")
        seen = await at.see()
        assert {name: seen[name].release for name in spec.API} == dict.fromkeys(spec.API, OLD)
        # What runs nothing of Kubernetes is of the release that it was told.
        assert {seen[name].release for name in spec.ETCD} == {NEW}
        assert {part.phase for part in seen.values()} == {Phase.READY}
        await at.made.replace(CLUSTER, "api-a", newer.generation, seen["api-a"].incarnation, newer.parts["api-a"])
        await at.settle()
        after = await at.see()
        assert (after["api-a"].phase, after["api-a"].release) == (Phase.READY, NEW)
        assert after["api-a"].incarnation > seen["api-a"].incarnation
        assert {name: part for name, part in after.items() if name != "api-a"} == {
            name: part for name, part in seen.items() if name != "api-a"
        }

    run(story)


def test_a_replacement_is_for_one_incarnation_and_one_generation(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        older = await at.has("1.36")
        wanted = await at.has("1.37")
        first = (await at.see())["api-a"].incarnation
        for _ in range(2):
            await at.made.replace(CLUSTER, "api-a", wanted.generation, first, wanted.parts["api-a"])
            await at.settle()
        second = (await at.see())["api-a"]
        await at.made.replace(CLUSTER, "api-a", wanted.generation, second.incarnation, wanted.parts["api-a"])
        await at.settle()
        third = (await at.see())["api-a"]
        assert first < second.incarnation < third.incarnation
        late = ((wanted.generation, first), (wanted.generation, second.incarnation))
        for generation, incarnation in (*late, (older.generation, third.incarnation)):
            await at.made.replace(CLUSTER, "api-a", generation, incarnation, older.parts["api-a"])
            await at.settle()
            assert (await at.see())["api-a"] == third

    run(story)


def test_what_comes_late_of_an_earlier_generation_changes_nothing(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        older = await at.has("1.36")
        await at.has("1.37")
        before = await at.see()
        await at.tell(older)
        await at.made.remove(CLUSTER, older.generation, spec.MEMBERS, Leave.DROPPED)
        await at.settle()
        assert await at.see() == before
        assert {part.phase for part in before.values()} == {Phase.READY}

    run(story)


def test_what_is_removed_is_gone_by_its_generation_and_stays_so(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        older = await at.has()
        last = await at.cluster()
        await at.gone(last)
        await at.tell(older)
        await at.settle()
        assert {part.phase for part in (await at.see()).values()} == {Phase.ABSENT}
        await at.gone(last)

    run(story)


def test_what_never_was_is_gone_too(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        await at.gone(await at.cluster())

    run(story)


def test_nodes_come_and_go_each_by_itself(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        await at.has()
        wanted = await at.nodes(3)
        await at.tell(wanted)
        await at.settle()
        seen = await at.see(GROUP)
        assert {name: part.phase for name, part in seen.items()} == dict.fromkeys(wanted.parts, Phase.READY)
        await at.made.remove(GROUP, wanted.generation, ["node-3"], Leave.MOVED)
        await at.settle()
        after = await at.see(GROUP)
        assert after["node-3"].phase is Phase.ABSENT
        assert {name: after[name] for name in ("node-1", "node-2")} == {
            name: seen[name] for name in ("node-1", "node-2")
        }
        assert {part.phase for part in (await at.see()).values()} == {Phase.READY}

    run(story)


@pytest.mark.parametrize("leave", [Leave.MOVED, Leave.ENDED])
def test_a_node_waits_for_what_is_to_leave_it_until_nobody_waits(run: Callable[[Story], None], leave: Leave) -> None:
    async def story(at: Substrate) -> None:
        await at.has()
        wanted = await at.nodes(2)
        await at.tell(wanted)
        await at.settle()
        at.hold(True)
        for _ in range(3):
            await at.made.remove(GROUP, wanted.generation, wanted.ever, leave)
            await at.settle()
        assert {part.phase for part in (await at.see(GROUP)).values()} == {Phase.READY}
        await at.made.remove(GROUP, wanted.generation, ["node-1"], Leave.DROPPED)
        await at.settle()
        seen = await at.see(GROUP)
        assert (seen["node-1"].phase, seen["node-2"].phase) == (Phase.ABSENT, Phase.READY)
        at.hold(False)
        await at.gone(wanted, leave)

    run(story)


def test_what_cannot_be_made_is_seen_to_be_refused_and_not_raised(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        at.refuse(frozenset({OLD}))
        refused = await at.has("1.36")
        seen = await at.see()
        assert {(part.phase, part.generation) for part in seen.values()} == {(Phase.REFUSED, refused.generation)}
        assert all(OLD in part.reason for part in seen.values())
        # Another release is to be had.
        await at.has("1.37")
        assert {part.phase for part in (await at.see()).values()} == {Phase.READY}

    run(story)


def test_what_cannot_be_made_is_known_before_anything_is_made(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        await at.has("1.36")
        before = await at.see()
        at.refuse(frozenset({NEW}))
        for _ in range(2):
            with pytest.raises(errors.Failed, match=NEW):
                await at.made.prepare(NEW)
        at.refuse(frozenset())
        for _ in range(2):
            await at.made.prepare(NEW)
        await at.settle()
        assert await at.see() == before

    run(story)


def test_of_an_owner_that_is_gone_nothing_is_seen_and_nothing_is_made(run: Callable[[Story], None]) -> None:
    async def story(at: Substrate) -> None:
        wanted = await at.cluster()
        await at.gone(wanted)
        await at.place.store.delete(CLUSTER)
        await at.settle()
        await at.tell(wanted)
        await at.settle()
        seen = await at.see()
        assert {part.phase for part in seen.values()} <= {Phase.ABSENT}

    run(story)


def test_what_the_plan_decided_is_what_is_drawn_on_a_machine() -> None:
    """Not what follows from the owner's desired state once more: the plan may have had its reasons."""

    async def story() -> None:
        async with of_a_machine() as at:
            await at.has()
            wanted = await at.nodes(1)
            other = replace(wanted.parts["node-1"], subnet="subnet-b", zone="eu-central-1b", instance_type="m5.large")
            assert other != wanted.parts["node-1"]
            await at.made.tell(GROUP, wanted.generation, {"node-1": other})
            await at.settle()
            drawn = [
                one.spec for (kind, id), one in at.place.machine.records.items() if ".i-" in id and kind == "hosts"
            ]
            (host,) = [each for each in drawn if isinstance(each, desired.Host)]
            assert host.zone == "eu-central-1b"
            assert host.legs[0].address.startswith("10.0.1.")
            assert host.shape == desired.Shape(vcpus=2, memory=8 << 30)

    asyncio.run(story())
