"""What is asked for of the networks, as one whole, and what in it cannot be right. Pure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.core import addresses

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roadstead.contract.messages import desired

MOST_LEGS = 8
"""Legs that a host can have: what is left of one is found by trying their names."""


@dataclass(frozen=True)
class Topology:
    """All desired states that shape the networks, by id."""

    networks: Mapping[str, desired.Network]
    hosts: Mapping[str, desired.Host]
    zones: Mapping[str, desired.Zone]
    publishes: Mapping[str, desired.Publish]


@dataclass(frozen=True)
class Problem:
    """Something in the topology that cannot be: the object to blame and a sentence that names both sides."""

    kind: str
    id: str
    reason: str

    def __str__(self) -> str:
        return self.reason


def check(topology: Topology) -> list[Problem]:
    """Everything in the topology that contradicts itself; empty when it can be made as it is."""
    malformed = list(_host_bits(topology))
    if malformed:
        # What is not a network cannot be compared with others.
        return malformed
    return [
        *(problem for id_, network in topology.networks.items() for problem in _subnets(id_, network)),
        *_machine_routes(topology),
        *(problem for id_, host in topology.hosts.items() for problem in _legs(id_, host, topology)),
        *_twice(topology),
        *_prefixes(topology),
        *_publishes(topology),
    ]


def legs_in(topology: Topology, network: str) -> list[tuple[str, int, desired.Leg]]:
    """All legs in a network as (host, number of the leg, leg)."""
    return [
        (id_, number, leg)
        for id_, host in topology.hosts.items()
        for number, leg in enumerate(host.legs)
        if leg.network == network
    ]


def _host_bits(topology: Topology) -> Iterator[Problem]:
    for id_, network in topology.networks.items():
        for cidr in (*network.cidrs, *(subnet.cidr for subnet in network.subnets), *network.services):
            if addresses.has_host_bits(cidr):
                yield Problem("networks", id_, f"network {id_}: {cidr} has host bits set")
    for id_, host in topology.hosts.items():
        for prefix in (prefix for leg in host.legs for prefix in leg.prefixes):
            if addresses.has_host_bits(prefix):
                yield Problem("hosts", id_, f"host {id_}: prefix {prefix} has host bits set")


def _subnets(id_: str, network: desired.Network) -> Iterator[Problem]:
    if not network.cidrs:
        yield Problem("networks", id_, f"network {id_} has no CIDR")
    for one, other in itertools.combinations(network.cidrs, 2):
        if addresses.overlap(one, other):
            yield Problem("networks", id_, f"network {id_}: CIDRs {one} and {other} overlap")
    for subnet in network.subnets:
        where = f"network {id_}: subnet {subnet.id} ({subnet.cidr})"
        if not addresses.within(subnet.cidr, network.cidrs):
            yield Problem("networks", id_, f"{where} is outside of the network's {', '.join(network.cidrs)}")
        if int(subnet.cidr.partition("/")[2]) > addresses.SMALLEST_SUBNET:
            yield Problem("networks", id_, f"{where} is smaller than a /{addresses.SMALLEST_SUBNET}")
    for first, second in itertools.combinations(network.subnets, 2):
        names = f"subnets {first.id} ({first.cidr}) and {second.id} ({second.cidr})"
        if first.id == second.id:
            yield Problem("networks", id_, f"network {id_}: two subnets are called {first.id}")
        if addresses.overlap(first.cidr, second.cidr):
            yield Problem("networks", id_, f"network {id_}: {names} overlap")


def _machine_routes(topology: Topology) -> Iterator[Problem]:
    """The machine can have a route to only one of two networks with the same addresses."""
    entered = [(id_, network) for id_, network in topology.networks.items() if network.machine_users]
    for (id_, one), (other_id, other) in itertools.combinations(entered, 2):
        for cidr, other_cidr in itertools.product(one.cidrs, other.cidrs):
            if addresses.overlap(cidr, other_cidr):
                reason = (
                    f"networks {id_} ({cidr}) and {other_id} ({other_cidr}) overlap, and users of the machine may "
                    "enter both: the machine can have a route to one only"
                )
                yield Problem("networks", other_id, reason)


def _legs(id_: str, host: desired.Host, topology: Topology) -> Iterator[Problem]:
    """A host is in its zone by one leg at least; its others may come out anywhere in their networks, as interfaces of
    a control plane do in a VPC that has no subnet in one of its zones."""
    if not 1 <= len(host.legs) <= MOST_LEGS:
        yield Problem("hosts", id_, f"host {id_} has {len(host.legs)} legs; it needs 1 to {MOST_LEGS}")
    # An edge stands for what is in no single zone.
    zones = {subnet.zone for leg in host.legs for subnet in _homes(leg, topology)}
    placed = host.role == "edge" or host.zone in zones
    for leg in host.legs:
        network = topology.networks.get(leg.network)
        if network is None:
            yield Problem("hosts", id_, f"host {id_}: network {leg.network} does not exist")
            continue
        homes = _homes(leg, topology)
        where = f"host {id_}: address {leg.address}"
        if not homes or not placed:
            yield Problem("hosts", id_, f"{where} is in no subnet of zone {host.zone} of network {leg.network}")
        for subnet in homes:
            if leg.address in addresses.reserved(subnet.cidr):
                yield Problem("hosts", id_, f"{where} is reserved in subnet {subnet.id} ({subnet.cidr})")
        for prefix in leg.prefixes:
            if not addresses.within(prefix, network.cidrs):
                reason = f"host {id_}: prefix {prefix} is outside of network {leg.network} ({', '.join(network.cidrs)})"
                yield Problem("hosts", id_, reason)


def _homes(leg: desired.Leg, topology: Topology) -> list[desired.Subnet]:
    """The subnets that have the leg's address."""
    network = topology.networks.get(leg.network)
    return [subnet for subnet in network.subnets if addresses.contains(subnet.cidr, leg.address)] if network else []


def _twice(topology: Topology) -> Iterator[Problem]:
    holders: dict[tuple[str, str], str] = {}
    for id_, host in topology.hosts.items():
        for leg in host.legs:
            place = (leg.network, leg.address)
            if place in holders:
                holder = holders[place]
                reason = f"host {id_}: address {leg.address} in network {leg.network} is that of host {holder} already"
                yield Problem("hosts", id_, reason)
            holders[place] = id_


def _prefixes(topology: Topology) -> Iterator[Problem]:
    """A prefix may lie in its node's subnet, but covers nothing that belongs to another or to the router."""
    for name, network in topology.networks.items():
        legs = legs_in(topology, name)
        owned = [(host, prefix) for host, _, leg in legs for prefix in leg.prefixes]
        for (host, prefix), (other_host, other) in itertools.combinations(owned, 2):
            if addresses.overlap(prefix, other):
                reason = f"hosts {host} and {other_host}: prefixes {prefix} and {other} in network {name} overlap"
                yield Problem("hosts", other_host, reason)
        for host, prefix in owned:
            for other_host, _, leg in legs:
                if other_host != host and addresses.contains(prefix, leg.address):
                    reason = f"host {host}: prefix {prefix} covers address {leg.address} of host {other_host}"
                    yield Problem("hosts", host, reason)
            for subnet in network.subnets:
                # The broadcast address may be a pod's: nothing here broadcasts. The router's own may not.
                covered = [a for a in addresses.reserved(subnet.cidr)[:4] if addresses.contains(prefix, a)]
                if covered:
                    reason = f"host {host}: prefix {prefix} covers {covered[0]}, reserved in subnet {subnet.id}"
                    yield Problem("hosts", host, reason)


def _publishes(topology: Topology) -> Iterator[Problem]:
    taken: dict[int, list[tuple[str, str]]] = {}
    for id_, publish in topology.publishes.items():
        network = topology.networks.get(publish.network)
        if network is None:
            yield Problem("publishes", id_, f"publish {id_}: network {publish.network} does not exist")
        elif publish.target not in _targets(topology, publish.network):
            reason = f"publish {id_}: no host has the address {publish.target} in network {publish.network}"
            yield Problem("publishes", id_, reason)
        others = taken.setdefault(publish.port, [])
        for other, address in others:
            if publish.address == address or "0.0.0.0" in (publish.address, address):
                reason = (
                    f"publish {id_}: {publish.address}:{publish.port} is taken by publish {other} "
                    f"({address}:{publish.port})"
                )
                yield Problem("publishes", id_, reason)
        others.append((id_, publish.address))


def _targets(topology: Topology, network: str) -> set[str]:
    """Where a port may lead: to a host, or to what listens in the router (resolver, webhook)."""
    found = {leg.address for _, _, leg in legs_in(topology, network)}
    for subnet in topology.networks[network].subnets:
        found.update(addresses.reserved(subnet.cidr)[2:4])
    return found
