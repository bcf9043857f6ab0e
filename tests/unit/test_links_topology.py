"""What cannot be right in a topology, each with a sentence that names both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.links import topology as topologies
from roadstead.contract.messages import desired
from roadstead.core import addresses


def network(*subnets: str, cidrs: tuple[str, ...] = ("10.0.0.0/16",), users: tuple[int, ...] = ()) -> desired.Network:
    given = tuple(desired.Subnet(id=f"s{n}", cidr=cidr, zone="abc"[n]) for n, cidr in enumerate(subnets))
    return desired.Network(cidrs=cidrs, subnets=given, machine_users=users)


def host(zone: str, address: str, *prefixes: str, in_: str = "vpc") -> desired.Host:
    leg = desired.Leg(network=in_, address=address, prefixes=prefixes)
    return desired.Host(role="node", privilege="privileged", zone=zone, legs=(leg,), hostname="h")


def publish(address: str = "127.0.0.1", target: str = "10.0.0.4", in_: str = "vpc") -> desired.Publish:
    return desired.Publish(address=address, port=443, network=in_, target=target, target_port=6443)


GOOD = topologies.Topology(
    networks={"vpc": network("10.0.0.0/24", "10.0.1.0/24"), "twin": network("10.0.0.0/24")},
    hosts={"one": host("a", "10.0.0.4", "10.0.0.16/28"), "two": host("b", "10.0.1.4")},
    zones={},
    publishes={"api": publish()},
)


def test_a_good_topology_has_no_problem() -> None:
    assert topologies.check(GOOD) == []


def test_an_edge_is_in_no_single_zone() -> None:
    leg = desired.Leg(network="vpc", address="10.0.1.9")
    edge = desired.Host(role="edge", privilege="unprivileged", zone="region", legs=(leg,), hostname="edge")
    assert topologies.check(replace(GOOD, hosts={**GOOD.hosts, "edge": edge})) == []
    outside = desired.Host(
        role="edge",
        privilege="unprivileged",
        zone="region",
        legs=(desired.Leg(network="vpc", address="10.0.7.9"),),
        hostname="edge",
    )
    found = topologies.check(replace(GOOD, hosts={**GOOD.hosts, "edge": outside}))
    assert [str(each) for each in found] == [
        "host edge: address 10.0.7.9 is in no subnet of zone region of network vpc"
    ]


def test_a_host_is_in_its_zone_by_one_leg_and_comes_out_anywhere_by_others() -> None:
    legs = (desired.Leg(network="vpc", address="10.0.1.9"), desired.Leg(network="own", address="10.9.0.4"))
    api = desired.Host(role="api", privilege="unprivileged", zone="a", legs=legs, hostname="api")
    placed = replace(
        GOOD,
        networks={**GOOD.networks, "own": network("10.9.0.0/24", cidrs=("10.9.0.0/16",))},
        hosts={**GOOD.hosts, "api": api},
    )
    assert topologies.check(placed) == []
    nowhere = replace(placed, hosts={"api": msgspec.structs.replace(api, zone="c")})
    assert [str(each) for each in topologies.check(nowhere)][:2] == [
        "host api: address 10.0.1.9 is in no subnet of zone c of network vpc",
        "host api: address 10.9.0.4 is in no subnet of zone c of network own",
    ]
    outside = (desired.Leg(network="vpc", address="10.0.7.9"), legs[1])
    found = topologies.check(replace(placed, hosts={"api": msgspec.structs.replace(api, legs=outside)}))
    assert [str(each) for each in found if each.kind == "hosts"] == [
        "host api: address 10.0.7.9 is in no subnet of zone a of network vpc"
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"networks": {"vpc": network("10.0.0.1/24")}}, "network vpc: 10.0.0.1/24 has host bits set"),
        (
            {"networks": {"n": msgspec.structs.replace(network("10.0.0.0/24"), services=("10.100.0.1/16",))}},
            "network n: 10.100.0.1/16 has host bits set",
        ),
        ({"hosts": {"x": host("a", "10.0.0.5", "10.0.0.33/28")}}, "host x: prefix 10.0.0.33/28 has host bits set"),
        ({"networks": {"n": network(cidrs=())}}, "network n has no CIDR"),
        (
            {"networks": {"n": network(cidrs=("10.0.0.0/8", "10.1.0.0/16"))}},
            "network n: CIDRs 10.0.0.0/8 and 10.1.0.0/16 overlap",
        ),
        (
            {"networks": {"n": network("10.1.0.0/24")}},
            "network n: subnet s0 (10.1.0.0/24) is outside of the network's 10.0.0.0/16",
        ),
        ({"networks": {"n": network("10.0.0.0/29")}}, "network n: subnet s0 (10.0.0.0/29) is smaller than a /28"),
        (
            {"networks": {"n": network("10.0.0.0/24", "10.0.0.128/25")}},
            "network n: subnets s0 (10.0.0.0/24) and s1 (10.0.0.128/25) overlap",
        ),
        (
            {"networks": {"n": network(users=(7,)), "m": network(users=(8,))}},
            "networks n (10.0.0.0/16) and m (10.0.0.0/16) overlap, and users of the machine may enter both: "
            "the machine can have a route to one only",
        ),
        ({"hosts": {"x": host("a", "10.0.0.5", in_="gone")}}, "host x: network gone does not exist"),
        (
            {"hosts": {"x": host("b", "10.0.0.5")}},
            "host x: address 10.0.0.5 is in no subnet of zone b of network vpc",
        ),
        (
            {"hosts": {"x": host("a", "10.0.7.5")}},
            "host x: address 10.0.7.5 is in no subnet of zone a of network vpc",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.3")}},
            "host x: address 10.0.0.3 is reserved in subnet s0 (10.0.0.0/24)",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.255")}},
            "host x: address 10.0.0.255 is reserved in subnet s0 (10.0.0.0/24)",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.4")}},
            "host x: address 10.0.0.4 in network vpc is that of host one already",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.5", "10.9.0.0/24")}},
            "host x: prefix 10.9.0.0/24 is outside of network vpc (10.0.0.0/16)",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.5", "10.0.0.24/29")}},
            "hosts one and x: prefixes 10.0.0.16/28 and 10.0.0.24/29 in network vpc overlap",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.5", "10.0.1.4/30")}},
            "host x: prefix 10.0.1.4/30 covers address 10.0.1.4 of host two",
        ),
        (
            {"hosts": {"x": host("a", "10.0.0.5", "10.0.1.2/31")}},
            "host x: prefix 10.0.1.2/31 covers 10.0.1.2, reserved in subnet s1",
        ),
        ({"publishes": {"p": publish("127.0.0.2", in_="gone")}}, "publish p: network gone does not exist"),
        (
            {"publishes": {"p": publish("127.0.0.2", "10.0.0.77")}},
            "publish p: no host has the address 10.0.0.77 in network vpc",
        ),
        (
            {"publishes": {"p": publish()}},
            "publish p: 127.0.0.1:443 is taken by publish api (127.0.0.1:443)",
        ),
        ({"publishes": {"p": publish("0.0.0.0")}}, "publish p: 0.0.0.0:443 is taken by publish api (127.0.0.1:443)"),
    ],
)
def test_what_cannot_be_is_said(changes: dict[str, Any], said: str) -> None:
    changed = replace(GOOD, **{kind: {**getattr(GOOD, kind), **objects} for kind, objects in changes.items()})
    problems = topologies.check(changed)
    assert [str(problem) for problem in problems if problem.id in next(iter(changes.values()))] == [said]


def test_a_host_needs_a_leg() -> None:
    bare = desired.Host(role="api", privilege="unprivileged", zone="a", legs=(), hostname="h")
    assert [str(problem) for problem in topologies.check(replace(GOOD, hosts={**GOOD.hosts, "x": bare}))] == [
        "host x has 0 legs; it needs 1 to 8"
    ]


def test_equal_networks_are_fine_while_the_machine_enters_one() -> None:
    twins = {"n": network(users=(7,)), "m": network()}
    assert topologies.check(replace(GOOD, networks={**GOOD.networks, **twins})) == []


def test_what_listens_in_the_router_can_be_published() -> None:
    doors = {"doors": publish(target="10.0.0.3")}
    assert topologies.check(replace(GOOD, publishes=doors)) == []


@given(st.integers(0, 2**28 - 1), st.integers(16, 28))
def test_a_subnets_own_addresses_are_in_it_and_reserved(base: int, length: int) -> None:
    octets = (base << 4) & ~(2 ** (32 - length) - 1)
    subnet = ".".join(str(octets >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"
    own = (addresses.router(subnet), addresses.resolver(subnet), addresses.webhook(subnet))
    assert len(set(own)) == 3
    assert set(own) < set(addresses.reserved(subnet))
    assert all(addresses.contains(subnet, address) for address in addresses.reserved(subnet))
    assert not addresses.has_host_bits(subnet)


def test_hardware_addresses_are_locally_administered_and_distinct() -> None:
    assert addresses.mac("10.0.255.4") == "02:00:0a:00:ff:04"
    assert addresses.mac("10.0.255.4") != addresses.mac("10.0.255.5")
