"""What a network namespace holds: links, addresses, neighbours, routes, rules. Frozen facts, wanted or seen."""

from __future__ import annotations

from dataclasses import dataclass, field

MAIN = 254
"""The kernel's main table of routes."""


@dataclass(frozen=True)
class Link:
    """An interface that is up. `mac` and `alias` are empty where they do not matter."""

    name: str
    mac: str = ""
    alias: str = ""


@dataclass(frozen=True)
class Address:
    """An address of an interface."""

    device: str
    cidr: str
    """Address and prefix length."""


@dataclass(frozen=True)
class Neighbour:
    """A permanent entry: nobody ever asks by ARP."""

    device: str
    address: str
    mac: str


@dataclass(frozen=True)
class LinkRoute:
    """A route of ours. Without a device it is `unreachable`: refused at once instead of leaving by the default."""

    to: str
    """A CIDR; the default route is 0.0.0.0/0."""
    device: str = ""
    via: str = ""
    source: str = ""
    table: int = MAIN


@dataclass(frozen=True)
class PolicyRule:
    """Packets from `source` use `table`; the rule's priority is the table's number."""

    source: str
    table: int


Thing = Link | Address | Neighbour | LinkRoute | PolicyRule


@dataclass(frozen=True)
class Pair:
    """A veth: its end in the router (near) and its end elsewhere (far)."""

    near: Link
    far: Link


@dataclass(frozen=True)
class Side:
    """What one namespace must hold for one owner (a network, or a host).

    `exact` are the devices on which no other address or permanent neighbour may be. Routes of ours (by their protocol
    number) on devices of `links` are always exact; with `whole`, all routes and rules of ours in the namespace are.
    But routes on devices whose names start with `others` (if any) belong to another side of the same namespace.
    A link whose alias starts with `strays` (or whose name is in `stray_names`) and that is not in `links` goes.
    """

    links: tuple[Link, ...] = ()
    addresses: frozenset[Address] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    routes: frozenset[LinkRoute] = frozenset()
    rules: frozenset[PolicyRule] = frozenset()
    exact: frozenset[str] = frozenset()
    whole: bool = False
    others: str = ""
    strays: str = ""
    spared: frozenset[str] = frozenset()
    """Names of links that others want."""
    stray_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SeenLink:
    """An interface as it is. `peer` is the index of a veth's other end, which is in another namespace."""

    name: str
    index: int
    peer: int
    up: bool
    mac: str
    alias: str
    kind: str = ""
    """`veth`, `bridge`, `tun` ...; empty for hardware."""
    master: int = 0
    """The index of the bridge whose port it is; 0: of none."""


@dataclass(frozen=True)
class View:
    """What a namespace holds, as far as it is ours: routes by their protocol number, permanent neighbours, IPv4."""

    links: dict[str, SeenLink] = field(default_factory=dict)
    addresses: frozenset[Address] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    routes: frozenset[LinkRoute] = frozenset()
    rules: frozenset[PolicyRule] = frozenset()
