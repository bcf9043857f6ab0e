"""What the machine carries: the kernel's texts, the sums, what is promised, rooms of subnets, hidden networks."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Sequence

import hypothesis
import msgspec
import pytest
from hypothesis import strategies
from testkit.worlds import memory

from roadstead.agent import machine as kernel
from roadstead.clusters import nodegroups, observed, spec
from roadstead.clusters.allocation import allocator, ipam, names
from roadstead.clusters.capacity import facts, neighbours, promises, subnets, sums
from roadstead.contract import naming
from roadstead.contract.messages import machine
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.network import sizes
from roadstead.network import spec as network
from roadstead.serve import machine_projection
from roadstead.store import facts as stored
from roadstead.store import keys, writes

GIB = 2**30
ACCOUNT, REGION = "012345678901", "eu-central-1"
MACHINE = machine.Machine(
    memory=8 * GIB, available=6 * GIB, cores=4, disk=100 * GIB, free=20 * GIB, kernel="6.1.0", routes=()
)
PLACE = spec.Place(vpc="vpc-1", vpc_cidr="10.0.0.0/16", subnets=("subnet-a", "subnet-b"), zones=("a", "b"))

MEMINFO = """MemTotal:        8000000 kB
MemFree:          100000 kB
MemAvailable:    5000000 kB
HugePages_Total:       0
"""
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
rs1\t000013C6\t010012C6\t0003\t0\t0\t0\tC0FFFFFF\t0\t0\t0
*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0
eth1\t0000110A\t00000000\t0000\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def routes(*cidrs: str) -> tuple[machine.Route, ...]:
    return tuple(machine.Route(to=cidr, device="eth0") for cidr in cidrs)


def test_what_the_kernel_says_of_memory() -> None:
    found = kernel.parse_memory(MEMINFO)
    assert (found["MemTotal"], found["MemAvailable"]) == (8_000_000 * 1024, 5_000_000 * 1024)
    with pytest.raises(errors.Failed, match="MemAvailable"):
        kernel.parse_memory("MemTotal: 5 kB\n")


def test_what_the_kernel_says_of_routes() -> None:
    assert kernel.parse_routes(ROUTES, {"rs1"}) == (
        machine.Route(to="0.0.0.0/0", device="eth0", via="192.168.1.1"),
        machine.Route(to="192.168.1.0/24", device="eth0"),
    )
    other = kernel.parse_routes(ROUTES, set())[-1]
    assert other == machine.Route(to="198.19.0.0/26", device="rs1", via="198.18.0.1")


def test_the_sum_is_shown_when_memory_is_short() -> None:
    promised = sums.Promised(sums.Load(2, 4), sums.Load(1, 4))
    sums.check(MACHINE, promised, sums.Load(control_planes=3))
    with pytest.raises(errors.LimitExceeded) as refused:
        sums.check(MACHINE, promised, sums.Load(control_planes=4, nodes=1))
    assert refused.value.message == (
        "Not enough memory: this machine has 8 GiB, 6 GiB of it available now; what exists (2 control planes and "
        "4 nodes) is promised 3 GiB, 1.8 GiB of it not taken yet; 4 control planes and 1 node more would need "
        "4.95 GiB. Delete something, or ask for fewer nodes."
    )


def test_what_is_available_now_counts_beside_what_there_is() -> None:
    busy = msgspec.structs.replace(MACHINE, available=GIB)
    sums.check(busy, sums.Promised(), sums.Load(nodes=6))
    with pytest.raises(errors.LimitExceeded, match="1 GiB of it available now"):
        sums.check(busy, sums.Promised(), sums.Load(control_planes=1))


def test_the_sum_is_shown_when_the_disk_is_short() -> None:
    full = msgspec.structs.replace(MACHINE, free=3 * GIB)
    sums.check(full, sums.Promised(), sums.Load(control_planes=2, nodes=2))
    with pytest.raises(errors.LimitExceeded) as refused:
        sums.check(full, sums.Promised(sums.Load(1, 1), sums.Load(nodes=1)), sums.Load(nodes=3))
    assert refused.value.message == (
        "Not enough disk: 3 GiB of 100 GiB are free where Roadstead keeps its state; what is being made (1 node) is "
        "promised 1 GiB; 3 nodes more would need 3 GiB. Make room, or ask for fewer nodes."
    )


def test_what_is_kept_for_the_machine_is_not_given_away() -> None:
    keeps = msgspec.structs.replace(MACHINE, kept_memory=GIB, kept_disk=2 * GIB, free=4 * GIB)
    sums.check(keeps, sums.Promised(), sums.Load(nodes=2))
    with pytest.raises(
        errors.LimitExceeded, match=r"4 GiB of 100 GiB are free .* \(2 GiB are kept for the machine itself\);"
    ):
        sums.check(keeps, sums.Promised(), sums.Load(nodes=3))
    roomy, promised = msgspec.structs.replace(keeps, free=100 * GIB), sums.Promised(sums.Load(control_planes=5))
    sums.check(roomy, promised, sums.Load(nodes=6))
    with pytest.raises(errors.LimitExceeded, match=r"has 8 GiB \(1 GiB are kept for the machine itself\), 6 GiB of it"):
        sums.check(roomy, promised, sums.Load(nodes=7))


def cluster(deleting: bool = False) -> bytes:
    return spec.written(
        spec.Cluster(
            name="shop",
            role="r",
            version="1.37",
            place=PLACE,
            service_cidr="10.100.0.0/16",
            created_at=0.0,
            creator="c",
            deleting=deleting,
        )
    )


def group(count: int, *, deleting: bool = False, type: str = "t3.medium") -> nodegroups.Nodegroup:
    return nodegroups.Nodegroup(
        cluster="shop",
        name="workers",
        role="r",
        version="1.37",
        subnets=PLACE.subnets,
        zones=PLACE.zones,
        vpc="vpc-1",
        types=(type,),
        scaling=nodegroups.Scaling(0, 99, count),
        most=count,
        created_at=0.0,
        modified_at=0.0,
        deleting=deleting,
    )


def state(key: keys.Key, body: bytes, seen: observed.Observed | None) -> stored.State:
    desired = stored.Desired(key, body, 1, 1)
    return stored.State(desired, stored.Observation(key, observed.written(seen), 1, 2) if seen else None)


CLUSTER = spec.key(ACCOUNT, REGION, "shop")
GROUP = nodegroups.key(ACCOUNT, REGION, "shop", "workers")


def test_what_clusters_and_nodegroups_are_promised() -> None:
    one, none = sums.Load(control_planes=1), sums.Load()
    assert promises.of_cluster(state(CLUSTER, cluster(), None)) == sums.Promised(one, one)
    active = observed.Observed("ACTIVE")
    assert promises.of_cluster(state(CLUSTER, cluster(), active)) == sums.Promised(one, none)
    assert promises.of_cluster(state(CLUSTER, cluster(deleting=True), active)) == sums.Promised(one, none)
    parts = tuple(
        observed.Part(f"node-{n}", observed.Phase.READY if n < 3 else observed.Phase.MAKING) for n in (1, 2, 3)
    )
    seen = observed.Observed("UPDATING", parts=parts)
    grown = promises.of_nodegroup(state(GROUP, nodegroups.written(group(5)), seen))
    assert grown == sums.Promised(sums.Load(nodes=5), sums.Load(nodes=3))
    shrunk = promises.of_nodegroup(state(GROUP, nodegroups.written(group(1)), seen))
    assert shrunk == sums.Promised(sums.Load(nodes=3), none)
    going = promises.of_nodegroup(state(GROUP, nodegroups.written(group(3, deleting=True)), seen))
    assert going == sums.Promised(sums.Load(nodes=3), none)


def test_nothing_is_refused_while_the_machine_is_not_known() -> None:
    async def story() -> None:
        store = memory.MemoryStore()
        assert await promises.room(store, sums.Load(control_planes=1000)) == ()
        await facts.keep(store, MACHINE)
        assert await facts.find(store) == MACHINE
        with pytest.raises(errors.LimitExceeded):
            await promises.room(store, sums.Load(control_planes=1000))
        await store.put(CLUSTER, cluster())
        await store.put(spec.key("111111111111", "us-east-1", "other"), cluster())
        # 8 GiB, and 2.4 GiB of the 6 GiB that are available are promised to two that are coming.
        (mine,) = await promises.room(store, sums.Load(control_planes=3))
        (other,) = await promises.room(store, sums.Load(nodes=1))
        with pytest.raises(errors.LimitExceeded):
            await promises.room(store, sums.Load(control_planes=4))
        await store.commit(other, writes.Put(spec.key(ACCOUNT, REGION, "third"), cluster()))
        with pytest.raises(errors.Conflict):
            await store.commit(mine, writes.Put(spec.key(ACCOUNT, REGION, "fourth"), cluster()))
        assert await facts.find(store) == MACHINE

    asyncio.run(story())


@pytest.mark.parametrize(
    ("change", "age", "news"),
    [
        ({}, 100.0, False),
        ({"available": MACHINE.available - GIB}, 0.0, True),
        ({"available": MACHINE.available - 1000}, 3.0, False),
        ({"available": MACHINE.available - 1000}, 30.0, True),
        ({"free": MACHINE.free - 10 * GIB}, 0.0, True),
        ({"routes": routes("10.1.0.0/16")}, 0.0, True),
        ({"near": ("the disk is near its end",)}, 0.0, True),
        ({"kept_disk": GIB}, 0.0, True),
    ],
)
def test_only_news_of_the_machine_are_kept(change: dict[str, object], age: float, news: bool) -> None:
    assert machine_projection.is_news(MACHINE, msgspec.structs.replace(MACHINE, **change), age) is news


class Agent:
    """An agent's client that is away for a while, and the news of its return."""

    def __init__(self) -> None:
        self.says: machine.Machine | None = MACHINE
        self.asked = 0
        self.back: asyncio.Queue[str] = asyncio.Queue()

    async def machine(self) -> machine.Machine:
        self.asked += 1
        if self.says is None:
            raise errors.Busy("away")
        return self.says

    async def changes(self) -> AsyncIterator[str]:
        while True:
            yield await self.back.get()


def test_the_machine_is_kept_as_it_is_seen_and_looked_at_when_the_agent_is_back() -> None:
    async def story() -> None:
        store, clock, agent = memory.MemoryStore(), clocks.FakeClock(), Agent()
        looking = asyncio.ensure_future(machine_projection.MachineProjection(store, agent, agent, clock).run())
        await clock.advance(0.0)
        assert await facts.find(store) == MACHINE
        agent.says = None
        await clock.advance(3.0)
        assert await facts.find(store) == MACHINE
        agent.says = msgspec.structs.replace(MACHINE, available=MACHINE.available - 1)
        asked = agent.asked
        agent.back.put_nowait("c-1.api-a")
        await clock.advance(0.0)
        assert agent.asked == asked
        agent.back.put_nowait("")
        await clock.advance(0.0)
        assert await facts.find(store) == agent.says
        before = store.revision
        await clock.advance(3.0)
        assert (agent.asked, store.revision) == (asked + 2, before)
        looking.cancel()
        await asyncio.wait([looking])

    asyncio.run(story())


def test_networks_of_the_machine_that_a_cluster_hides_are_told() -> None:
    given = routes("0.0.0.0/0", "0.0.0.0/1", "192.168.1.0/24", "10.8.0.0/16")
    assert neighbours.hidden(given, VPC="192.168.0.0/16", service_network="10.100.0.0/16") == (
        "nodes and pods cannot reach hosts of the machine's network 192.168.1.0/24 (eth0) whose addresses are in the "
        "cluster's VPC 192.168.0.0/16",
    )
    assert len(neighbours.hidden(given, VPC="10.8.3.0/24", service_network="192.168.0.0/16")) == 2
    assert neighbours.hidden((), VPC="10.0.0.0/16") == ()


def test_control_planes_keep_clear_of_what_the_machine_uses() -> None:
    given = routes("0.0.0.0/0", "198.18.0.0/15", "198.19.0.0/16", "198.19.0.0/25", "198.19.3.4/32")
    assert neighbours.claimed(given, "198.19.0.0/16") == ("198.19.0.0/25", "198.19.3.4/32")


HOLDERS = strategies.lists(strategies.tuples(strategies.integers(0, 3), strategies.booleans()), max_size=12)


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    strategies.integers(22, 28), HOLDERS, strategies.lists(strategies.integers(0, 4), max_size=40), strategies.data()
)
def test_the_room_of_a_subnet_is_what_can_be_allotted(
    length: int, before: Sequence[tuple[int, bool]], wishes: list[int], data: strategies.DataObject
) -> None:
    """`fitting` says what allotting one by one comes to, also after some were taken back."""
    subnet, now = f"10.3.0.0/{length}", ipam.VpcAddresses()
    for number, (count, kept) in enumerate(before):
        try:
            now = given(now, subnet, f"old-{number}", count)
        except errors.LimitExceeded:
            break
        if not kept:
            gone = data.draw(strategies.integers(0, number))
            now = now.without(f"old-{gone}")
    served = 0
    said = ipam.fitting(now, subnet, wishes)
    for number, count in enumerate(wishes):
        try:
            now = given(now, subnet, f"new-{number}", count)
        except errors.LimitExceeded:
            break
        served += 1
    assert said == served


def test_an_address_in_a_block_keeps_pods_out_of_it() -> None:
    # Twelve addresses are in the router's block, the thirteenth in the only other one.
    assert ipam.fitting(ipam.VpcAddresses(), "10.3.0.0/27", [0] * 11 + [1]) == 12
    assert ipam.fitting(ipam.VpcAddresses(), "10.3.0.0/27", [0] * 12 + [1]) == 12


def given(now: ipam.VpcAddresses, subnet: str, owner: str, count: int) -> ipam.VpcAddresses:
    return ipam.with_prefixes(ipam.with_address(now, subnet, owner), subnet, owner, count)


def test_a_nodegroup_that_its_subnets_have_no_room_for_is_refused() -> None:
    async def story(cidr: str, count: int, *, others: int = 0, type: str = "t3.medium") -> None:
        store = memory.MemoryStore()
        await store.put(CLUSTER, cluster())
        for number, id in enumerate(PLACE.subnets):
            net = ipaddress.IPv4Network(cidr)
            own = f"{net.network_address + number * net.num_addresses}/{net.prefixlen}"
            made = network.Subnet(id=id, vpc="vpc-1", cidr=own, zone=f"{REGION}a", zone_id="z", created_at=0.0)
            await store.put(network.subnet_key(ACCOUNT, REGION, id), network.SUBNETS.written(made))
        if others:
            key = nodegroups.key(ACCOUNT, REGION, "shop", "others")
            await store.put(key, nodegroups.written(group(others)))
        await subnets.check(store, GROUP, group(count, type=type))

    # Each node has two networks of pods, and the first block of a subnet is the router's.
    assert ipam.prefixes_for(sizes.find("t3.medium").pods) == 2
    asyncio.run(story("10.0.0.0/26", 2))
    with pytest.raises(errors.LimitExceeded) as refused:
        asyncio.run(story("10.0.0.0/26", 3))
    assert refused.value.message == (
        "Subnet subnet-a (10.0.0.0/26) has room for 1 more of the 2 nodes that are asked for in it: a node of type "
        "t3.medium needs an address and 2 networks of 16 addresses for its pods. Use a larger subnet, a smaller "
        "instance type or fewer nodes."
    )
    with pytest.raises(errors.LimitExceeded, match="has room for 0 more of the 1 nodes"):
        asyncio.run(story("10.0.0.0/28", 1))
    with pytest.raises(errors.LimitExceeded, match="has room for 0 more"):
        asyncio.run(story("10.0.0.0/26", 1, others=1))
    asyncio.run(story("10.0.0.0/19", 99))


def test_nodes_that_have_their_addresses_need_no_more() -> None:
    async def story() -> None:
        store = memory.MemoryStore()
        await store.put(CLUSTER, cluster())
        await store.put(GROUP, nodegroups.written(group(2)))
        allotted = ipam.VpcAddresses()
        for part, id, cidr in (("node-1", "subnet-a", "10.0.0.0/26"), ("node-2", "subnet-b", "10.0.0.64/26")):
            made = network.Subnet(id=id, vpc="vpc-1", cidr=cidr, zone=f"{REGION}a", zone_id="z", created_at=0.0)
            await store.put(network.subnet_key(ACCOUNT, REGION, id), network.SUBNETS.written(made))
            owner = naming.host(
                names.cluster(CLUSTER, store.desired[CLUSTER].created),
                names.instance(GROUP, store.desired[GROUP].created, part),
            )
            allotted = given(allotted, cidr, owner, 2)
        await store.put(ipam.key(ACCOUNT, REGION, "vpc-1"), ipam.written(allotted))
        await subnets.check(store, GROUP, group(2))
        with pytest.raises(errors.LimitExceeded, match="subnet-a"):
            await subnets.check(store, GROUP, group(3))

    asyncio.run(story())


def test_api_servers_of_a_zone_without_subnet_come_out_in_another() -> None:
    made = [
        network.Subnet(id=f"s-{zone}", vpc="v", cidr=cidr, zone=f"{REGION}{zone}", zone_id="z", created_at=0.0)
        for zone, cidr in (("a", "10.0.0.0/28"), ("b", "10.0.1.0/28"))
    ]
    now, legs = allocator.with_legs(ipam.VpcAddresses(), made, REGION, "c-1")
    assert legs == {"a": "10.0.0.4", "b": "10.0.1.4", "c": "10.0.0.5", "edge": "10.0.1.5"}
    full = now
    while True:
        try:
            full = ipam.with_address(full, "10.0.0.0/28", "others")
        except errors.LimitExceeded:
            break
    with pytest.raises(errors.LimitExceeded, match=r"subnet 10\.0\.0\.0/28 has no free address left"):
        allocator.with_legs(full, made, REGION, "c-2")
