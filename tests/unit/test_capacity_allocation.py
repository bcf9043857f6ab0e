"""What is allotted to clusters: no two have the same, nothing that is kept is given, what is taken back is free."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Coroutine
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies
from testkit.worlds import memory

from roadstead.clusters import spec
from roadstead.clusters.allocation import allocator, ipam
from roadstead.core import addresses, errors
from roadstead.network import spec as network
from roadstead.store import facts, keys

ACCOUNT, REGION = "012345678901", "eu-central-1"
SUBNETS = ("10.4.0.0/26", "10.4.0.64/27", "10.4.1.0/24")
DOINGS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["take", "leave", "give back"]),
        strategies.integers(0, 5),
        strategies.sampled_from(SUBNETS),
        strategies.integers(0, 3),
    ),
    max_size=40,
)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(DOINGS)
def test_no_two_owners_have_the_same_and_nothing_that_is_kept(doings: list[tuple[str, int, str, int]]) -> None:
    now = ipam.VpcAddresses()
    for what, number, subnet, count in doings:
        owner = f"owner-{number}"
        try:
            if what == "take":
                now = ipam.with_address(now, subnet, owner)
            elif what == "leave":
                now = ipam.with_prefixes(now, subnet, owner, count)
            else:
                now = now.without(owner)
                assert now.of(owner) == ()
        except errors.LimitExceeded:
            continue
    held = [ipaddress.IPv4Network(each) for each in now.holders]
    for one, other in itertools.combinations(held, 2):
        assert not one.overlaps(other)
    for subnet in SUBNETS:
        # The last address may be a pod's: nothing here broadcasts.
        kept = [ipaddress.IPv4Address(each) for each in addresses.reserved(subnet)[:4]]
        assert not [one for one in held for address in kept if address in one]
        singles = {each.network_address for each in held if each.prefixlen == 32}
        assert ipaddress.IPv4Network(subnet).broadcast_address not in singles
    for each in held:
        assert any(each.subnet_of(ipaddress.IPv4Network(subnet)) for subnet in SUBNETS)
    assert ipam.read(ipam.written(now)) == now


@hypothesis.settings(max_examples=50, deadline=None)
@hypothesis.given(strategies.integers(0, 20), strategies.integers(0, 3))
def test_what_is_taken_back_is_free_again(taken: int, count: int) -> None:
    def full(now: ipam.VpcAddresses) -> tuple[ipam.VpcAddresses, int]:
        for number in itertools.count():
            try:
                with_one = ipam.with_address(now, SUBNETS[0], f"{number}")
                now = ipam.with_prefixes(with_one, SUBNETS[0], f"{number}", count)
            except errors.LimitExceeded:
                return now, number
        raise AssertionError

    now, room = full(ipam.VpcAddresses())
    owner = f"{taken % room}"
    had = now.of(owner)
    now = now.without(owner)
    for each in had[:1]:
        assert each not in now.holders
    again = ipam.with_prefixes(ipam.with_address(now, SUBNETS[0], "new"), SUBNETS[0], "new", count)
    assert again.of("new") == had


def lived(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def given() -> tuple[memory.MemoryStore, allocator.Allocator]:
    store = memory.MemoryStore()
    for zone, cidr in zip("abc", SUBNETS, strict=True):
        made = network.Subnet(
            id=f"s-{zone}", vpc="vpc-1", cidr=cidr, zone=f"{REGION}{zone}", zone_id="z", created_at=0.0
        )
        await store.put(network.subnet_key(ACCOUNT, REGION, made.id), network.SUBNETS.written(made))
    return store, allocator.Allocator(store, allocator.EndpointSettings(public="192.0.2.1"), lambda _, _port: True)


async def asked(store: memory.MemoryStore, name: str) -> facts.State:
    place = spec.Place(vpc="vpc-1", vpc_cidr="10.4.0.0/16", subnets=("s-a", "s-b", "s-c"), zones=("a", "b", "c"))
    wanted = spec.Cluster(
        name=name, role="r", version="1.37", place=place, service_cidr="10.100.0.0/16", created_at=0.0, creator="c"
    )
    await store.put(spec.key(ACCOUNT, REGION, name), spec.written(wanted))
    state = await store.get(spec.key(ACCOUNT, REGION, name))
    assert state is not None
    return state


def held(store: memory.MemoryStore) -> dict[str, str]:
    kept = store.desired.get(ipam.key(ACCOUNT, REGION, "vpc-1"))
    return dict(ipam.read(kept.body).holders) if kept else {}


def test_clusters_stand_apart_and_each_stays_where_it_is() -> None:
    async def story() -> None:
        store, allocations = await given()
        states = [await asked(store, name) for name in ("one", "two", "three")]
        stands = await asyncio.gather(*(allocations.give(state) for state in states))
        assert len({each.cidr for each in stands}) == len({each.port for each in stands}) == 3
        assert [await allocations.give(state) for state in states] == stands
        for each in stands:
            zones = [
                addresses.contains(cidr, each.api_vpc[letter]) for letter, cidr in zip("abc", SUBNETS, strict=True)
            ]
            assert zones == [True] * 3
            assert sorted(held(store)[address] for address in (*each.api_vpc.values(), each.private)) == [each.id] * 4
        assert len(held(store)) == 12
        await allocations.take_back(states[0].key)
        await allocations.take_back(states[0].key)
        assert stands[0].id not in held(store).values()
        assert await allocations.find(states[0].key) is None
        # One of the same name that comes later is another one, on allocations that is free again.
        await store.delete(states[0].key)
        later = await allocations.give(await asked(store, "one"))
        assert (later.cidr, later.port, later.api_vpc) == (stands[0].cidr, stands[0].port, stands[0].api_vpc)
        assert later.id != stands[0].id

    lived(story())


def test_nothing_is_given_to_a_cluster_that_is_gone() -> None:
    async def story() -> None:
        store, allocations = await given()
        state = await asked(store, "one")
        await store.delete(state.key)
        with pytest.raises(errors.NotFound):
            await allocations.give(state)
        assert held(store) == {}

    lived(story())


def test_nodes_have_an_address_and_networks_for_pods_until_they_are_gone() -> None:
    async def story() -> None:
        store, allocations = await given()
        key: keys.Key = (await asked(store, "one")).key
        first = await allocations.give_node(key, "vpc-1", "s-c", "c-1.i-1", 2)
        assert first == ("10.4.1.4", ("10.4.1.224/28", "10.4.1.240/28"))
        assert await allocations.give_node(key, "vpc-1", "s-c", "c-1.i-1", 2) == first
        assert (await allocations.give_node(key, "vpc-1", "s-c", "c-1.i-2", 2))[0] == "10.4.1.5"
        assert await allocations.addresses(key, "vpc-1") == {"c-1.i-1": "10.4.1.4", "c-1.i-2": "10.4.1.5"}
        before = held(store)
        with pytest.raises(errors.LimitExceeded, match="has 1 free networks of 16 addresses"):
            await allocations.give_node(key, "vpc-1", "s-b", "c-1.i-3", 2)
        assert held(store) == before
        await allocations.take_back_node(key, "vpc-1", ["c-1.i-1", "c-1.i-9"])
        assert await allocations.give_node(key, "vpc-1", "s-c", "c-1.i-4", 2) == first

    lived(story())
