"""What clusters stand on: given, found and taken back while others look at it; nothing of it outlives its cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from testkit.worlds import place as places
from testkit.worlds.place import ACCOUNT, CLUSTER, GROUP, REGION, VPC

from roadstead.clusters import observed, plan, provider
from roadstead.clusters.allocation import allocator, cluster_secrets, ipam
from roadstead.clusters.lifecycles import NODEGROUP
from roadstead.network import spec as network
from roadstead.store import facts, keys

ALLOTMENTS = ipam.key(ACCOUNT, REGION, VPC)


def lived(story: Callable[[places.Place], Awaitable[None]]) -> None:
    async def whole() -> None:
        place = places.Place()
        await place.prepare()
        await story(place)

    asyncio.run(whole())


def test_secrets_read_while_their_cluster_goes_are_not_those_of_the_next_of_its_name() -> None:
    class Slow(places.Store):
        """Answers what it has read only when the test says so."""

        answer = asyncio.Event()

        async def secret(self, key: keys.Key) -> facts.Secret | None:
            found = await super().secret(key)
            await self.answer.wait()
            return found

    async def story() -> None:
        place = places.Place()
        await place.prepare()
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        store = Slow(**{**vars(place.store)})
        secret = cluster_secrets.ClusterSecrets(store, place.machine, lambda: place.moment, place.seeds)
        looking = asyncio.ensure_future(secret.find(CLUSTER))
        await asyncio.sleep(0)
        await secret.forget(CLUSTER)
        store.answer.set()
        await looking
        assert await secret.find(CLUSTER) is None

    asyncio.run(story())


def test_taking_back_twice_leaves_no_book_of_a_vpc() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        allocations = allocator.Allocator(place.store, allocator.EndpointSettings(), lambda _, _port: True)
        state = await place.store.get(CLUSTER)
        assert state is not None
        await allocations.give(state)
        await allocations.give_node(CLUSTER, VPC, "subnet-a", "c-1.i-1", 1)
        await allocations.take_back(CLUSTER)
        assert ALLOTMENTS in place.store.desired
        await allocations.take_back_node(CLUSTER, VPC, ["c-1.i-1"])
        assert ALLOTMENTS not in place.store.desired
        await allocations.take_back(CLUSTER)
        await allocations.take_back_node(CLUSTER, VPC, ["c-1.i-1"])
        assert ALLOTMENTS not in place.store.desired

    lived(story)


def test_what_a_vpc_left_that_was_deleted_while_serve_was_down_goes() -> None:
    async def story(place: places.Place) -> None:
        await place.until(lambda: ("networks", VPC) in place.machine.records)
        await place.store.put(ALLOTMENTS, ipam.written(ipam.VpcAddresses({"10.0.0.4": "c-1"})))
        for zone in "abc":
            await place.store.delete(network.subnet_key(ACCOUNT, REGION, f"subnet-{zone}"))
        await place.store.delete(network.vpc_key(ACCOUNT, REGION, VPC))
        await place.until(lambda: not place.machine.records and not place.store.desired)

    lived(story)


def test_what_was_refused_is_looked_at_again() -> None:
    """There may be room by then; while nothing can be done about it nobody waits for a change."""
    refused = observed.Part("node-1", observed.Phase.REFUSED, 5, reason="no room")
    wanted = {"node-1": provider.PartSpec("1.37.2", "a")}
    now = plan.Situation(NODEGROUP, "DEGRADED", 5, wanted, ("node-1",), {"node-1": refused})
    assert plan.plan(now) == ((), plan.REFUSED_AGAIN)


def test_what_is_refused_to_a_part_that_runs_is_said_and_it_runs_on() -> None:
    """An update is over then, and not told for ever."""

    async def story(place: places.Place) -> None:
        await place.want_cluster()
        await place.until(place.is_active(CLUSTER))
        await place.want_nodes(1)
        await place.until(place.is_active(GROUP))
        await place.store.delete(network.subnet_key(ACCOUNT, REGION, "subnet-a"))
        await place.want_nodes(1)

        def kept() -> tuple[observed.Part, ...]:
            return observed.read(place.store.observed[GROUP].body).parts

        await place.until(lambda: kept()[0].phase is observed.Phase.REFUSED)
        assert "is in no subnet of zone" in kept()[0].reason
        assert len(place.hosts()) == 7 + 1

    lived(story)
