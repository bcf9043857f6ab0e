"""The machine's own networks, as clusters see them. Pure.

A VPC is a namespace of its own, so its addresses may be those of the machine's networks as well: the default VPC is
192.168.0.0/16, and so are most homes. Packets to the world leave by the machine whatever its own addresses are, and
names are asked for by porter, in the machine's namespace. What is lost is small: pods and nodes cannot reach hosts of
the machine's networks that the VPC has addresses of. That is told, not refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from roadstead.contract.messages import machine
from roadstead.core import addresses

_WIDEST = 8
"""Prefix length: a route for more is one for the world (a VPN has two, of a half each)."""


def hidden(routes: Iterable[machine.Route], **networks: str) -> tuple[str, ...]:
    """A sentence for each of the machine's networks of which some addresses are a cluster's: `vpc="192.168.0.0/16"`."""
    return tuple(
        f"nodes and pods cannot reach hosts of the machine's network {route.to} ({route.device}) "
        f"whose addresses are in the cluster's {what.replace('_', ' ')} {cidr}"
        for what, cidr in networks.items()
        for route in routes
        if ipaddress.IPv4Network(route.to).prefixlen >= _WIDEST and addresses.overlap(route.to, cidr)
    )


def claimed(routes: Iterable[machine.Route], whole: str) -> tuple[str, ...]:
    """The parts of a network that the machine has a use for already: a route for all of it claims none."""
    return tuple(route.to for route in routes if route.to != whole and addresses.within(route.to, [whole]))
