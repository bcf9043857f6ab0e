"""Address arithmetic of the region's networks: pure, no I/O.

The layout of a subnet, of which AWS keeps the same five: base is the network's own, base+1 the router, base+2 the
resolver, base+3 the webhook, the last one the broadcast address. All other addresses are for hosts.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

GATEWAY = "169.254.1.1"
"""The next hop of every host and pod: not an address of anything, only a name for the router's hardware address."""

ROUTER_MAC = "ee:ee:ee:ee:ee:ee"
"""The hardware address of the router's end of every link."""

SMALLEST_SUBNET = 28
"""The longest prefix of a subnet, as in a VPC of AWS."""

UPLINKS = "198.18.0.0/16"
"""Of the links between networks and the machine."""
CONTROL_PLANES = "198.19.0.0/16"
"""Of the networks of control planes, unless root has said otherwise."""

TAKEN = {
    "127.0.0.0/8": "the machine's loopback",
    "169.254.0.0/16": "link-local addresses: routers and metadata",
    UPLINKS: "the links between networks and the machine",
    CONTROL_PLANES: "the networks of control planes",
    "224.0.0.0/3": "multicast and reserved addresses",
    "0.0.0.0/8": "this network",
}
"""Ranges that no VPC and no services may have, and what has them. Nobody in the world has one of these addresses."""

INTERNAL = "198.18.0.0/15"
"""What TAKEN has for Roadstead itself (RFC 2544: for benchmarks). Nothing for one of these leaves for the world."""


def router(subnet: str) -> str:
    """The router's address in a subnet: base+1."""
    return _plus(subnet, 1)


def resolver(subnet: str) -> str:
    """The resolver's address in a subnet: base+2."""
    return _plus(subnet, 2)


def webhook(subnet: str) -> str:
    """The address of porter's webhook in a subnet: base+3."""
    return _plus(subnet, 3)


def reserved(subnet: str) -> tuple[str, ...]:
    """The addresses of a subnet that no host may have: base to base+3 and the broadcast address."""
    network = ipaddress.IPv4Network(subnet)
    return (*(str(network.network_address + n) for n in range(4)), str(network.broadcast_address))


def contains(cidr: str, address: str) -> bool:
    """Whether an address is in a network, its first and last included. Raises ValueError for what is neither."""
    return ipaddress.IPv4Address(address) in ipaddress.IPv4Network(cidr)


def within(cidr: str, others: Iterable[str]) -> bool:
    """Whether `cidr` lies wholly in one of `others`."""
    network = ipaddress.IPv4Network(cidr)
    return any(network.subnet_of(ipaddress.IPv4Network(other)) for other in others)


def overlap(one: str, other: str) -> bool:
    """Whether two networks have an address in common. Raises ValueError for what is no network."""
    return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))


def joined(cidrs: Iterable[str]) -> tuple[str, ...]:
    """The same addresses in as few networks as can be, in their order: none overlaps another."""
    return tuple(map(str, ipaddress.collapse_addresses(map(ipaddress.IPv4Network, cidrs))))


def has_host_bits(cidr: str) -> bool:
    """Whether bits are set behind the prefix: 10.0.0.1/24 is an address, not a network."""
    return str(ipaddress.IPv4Network(cidr, strict=False)) != cidr


def mac(address: str) -> str:
    """The hardware address of the interface with that address: locally administered, unique in a network."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *ipaddress.IPv4Address(address).packed))


def _plus(subnet: str, number: int) -> str:
    return str(ipaddress.IPv4Network(subnet).network_address + number)
