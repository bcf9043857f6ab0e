"""This instance's table in a router, in a node's and in the machine's namespace. Pure.

Only interface names computed from ids, addresses, CIDRs, ports and user ids get here: `tables.safe` refuses the rest,
so that no word of a customer ever becomes a rule. All is IPv4; a router drops IPv6. What comes and goes with single
hosts, ports and pods is in named sets and maps.
"""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.agent.rules import tables
from roadstead.core import addresses
from roadstead.core import instance as instances

_LOOPBACK = "127.0.0.0/8"
_ANY = "0.0.0.0"
_LINKS = f'"{instances.LINKS}*"'
"""The links of all instances: none judges what is another's."""
_PLACE = "ipv4_addr . inet_service"
_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_REFUSE = "counter name refused reject with icmpx admin-prohibited"
"""Who is told at once does not wait."""


@dataclass(frozen=True)
class RouterPort:
    """A published port on the router's end of the uplink, and where it leads."""

    port: int
    target: str
    target_port: int


@dataclass(frozen=True)
class Router:
    """The facts that a router's rules are made of."""

    uplink: str
    """The router's end of the uplink."""
    router_address: str
    machine_address: str
    egress: bool
    """Whether hosts reach the world."""
    entered: bool
    """Whether users of the machine may enter."""
    ports: tuple[RouterPort, ...] = ()
    services: tuple[str, ...] = ()
    """CIDRs of what only nodes translate."""
    black: frozenset[str] = frozenset()
    """The router's ends of links that carry nothing."""


@dataclass(frozen=True)
class NodePort:
    """A port of a node (on each of its addresses, or on one) that leads to a pod on it."""

    protocol: str
    port: int
    target: str
    target_port: int
    link: str
    """The node's end of the pod's veth."""
    address: str = ""


@dataclass(frozen=True)
class Uplink:
    """A network as the machine sees it."""

    device: str
    router_address: str
    cidrs: tuple[str, ...]
    users: tuple[int, ...]
    """Those of the machine's users who may enter."""


@dataclass(frozen=True)
class MachinePort:
    """A port of the machine (0.0.0.0: on each of its addresses) and where on an uplink it leads."""

    address: str
    port: int
    router_address: str
    router_port: int


@dataclass(frozen=True)
class Machine:
    """The facts that the machine's rules are made of."""

    uplinks: tuple[Uplink, ...]
    ports: tuple[MachinePort, ...] = ()
    closed: bool = False
    """Whether it passes nothing on but for networks: it forwarded nothing before Roadstead came."""
    guests: tuple[str, ...] = ()
    """Bridges of others' containers and virtual machines: what is theirs is passed on."""
    elsewhere: tuple[str, ...] = ()
    """Links of others that have an address of `addresses.INTERNAL`."""


def router(table: str, facts: Router) -> tables.Table:
    """The rules of a router.

    arrive: before anything else: black links, spoofed sources (the route back must be the way it came).
    forward: hosts reach each other freely, the world with `egress`, but not by an address that nobody there can have:
    of services, or taken by what is inside. From the uplink come only published connections, users of the machine,
    and answers.
    """
    up = _name(facts.uplink)
    machine = tables.safe(facts.machine_address)
    world = "accept" if facts.egress else _REFUSE
    nowhere = _among(addresses.joined((*addresses.TAKEN, *map(tables.safe, facts.services))))
    entered = [f"iifname {up} ip saddr {machine} accept"] if facts.entered else []
    ports = {f"{port.port:d}": _place(port.target, port.target_port) for port in facts.ports}
    sets = {
        "black": tables.NamedSet("ifname", dict.fromkeys(map(_name, facts.black), "")),
        "ports": tables.NamedSet(f"inet_service : {_PLACE}", ports),
    }
    chains = [
        _chain(
            "arrive",
            "filter hook prerouting priority raw",
            'iifname "lo" accept',
            "meta nfproto ipv6 drop",
            "iifname @black drop",
            f"iifname != {up} fib saddr . iif oif missing counter name spoofed drop",
        ),
        _chain("leave", "filter hook postrouting priority raw", "oifname @black drop"),
        _chain(
            "input",
            "filter hook input priority filter",
            f"iifname != {up} accept",
            "ct state established,related accept",
            "ct status dnat accept",
            "counter name refused drop",
        ),
        _chain(
            "forward",
            "filter hook forward priority filter",
            f"iifname != {up} oifname != {up} accept",
            # Before answers: a stranger's would make it a connection. Those to the machine's own users go on.
            f"oifname {up} ct direction original ip daddr {nowhere} {_REFUSE}",
            "ct state established,related accept",
            f"oifname {up} {world}",
            f"iifname {up} ct status dnat accept",
            *entered,
            "counter name refused drop",
        ),
        _chain(
            "publish",
            "nat hook prerouting priority dstnat",
            f"iifname {up} ip daddr {tables.safe(facts.router_address)} dnat ip to tcp dport map @ports",
        ),
        _chain("translate", "nat hook postrouting priority srcnat", f"oifname {up} masquerade"),
    ]
    return _table(table, chains, sets)


def node(table: str, pods: str, ports: tuple[NodePort, ...]) -> tables.Table:
    """The rules of a node about its pods; names of their links begin with `pods`. The first of two like ports counts.

    arrive: a pod speaks under its own address only (the route back must be the way it came), and 127.0.0.1 is the
    node's own: route_localnet, by which it can lead to a pod, would let anybody ask for it.
    translate: a pod that reaches itself by a port of its node must not be answered past the node, and no pod can answer
    127.0.0.1.
    """
    publish = (
        f"meta l4proto {_among([f'{number}' for number in _PROTOCOLS.values()])} "
        "dnat ip to ip daddr . meta l4proto . th dport map @ports-of-one",
        f"fib daddr type local meta l4proto {_among([f'{number}' for number in _PROTOCOLS.values()])} "
        "dnat ip to meta l4proto . th dport map @ports",
    )
    chains = [
        _chain(
            "arrive",
            "filter hook prerouting priority raw",
            f'iifname != "lo" ip daddr {_LOOPBACK} drop',
            f'iifname != "lo" ip saddr {_LOOPBACK} drop',
            f'iifname "{tables.safe(pods)}*" fib saddr . iif oif missing counter name spoofed drop',
        ),
        _chain("publish", "nat hook prerouting priority dstnat", *publish),
        _chain("publish-here", "nat hook output priority -100", *publish),
        _chain(
            "translate",
            "nat hook postrouting priority srcnat",
            "oifname . ip saddr @selves ct status dnat masquerade",
            f"oifname @served ip saddr {_LOOPBACK} ct status dnat masquerade",
        ),
    ]
    return _table(table, chains, _node_sets(ports))


def _node_sets(ports: tuple[NodePort, ...]) -> dict[str, tables.NamedSet]:
    """A port on one address is looked for before one on all, so one that a like port on all is before is left out."""
    everywhere: dict[str, str] = {}
    of_one: dict[str, str] = {}
    selves: dict[str, str] = {}
    served: dict[str, str] = {}
    for port in ports:
        asked, place = f"{_protocol(port.protocol)} . {port.port:d}", _place(port.target, port.target_port)
        if not port.address:
            everywhere.setdefault(asked, place)
        elif asked not in everywhere:
            of_one.setdefault(f"{tables.safe(port.address)} . {asked}", place)
        link = _name(port.link)
        selves[f"{link} . {port.target}"] = served[link] = ""
    return {
        "ports": tables.NamedSet(f"inet_proto . inet_service : {_PLACE}", everywhere),
        "ports-of-one": tables.NamedSet(f"ipv4_addr . inet_proto . inet_service : {_PLACE}", of_one),
        "selves": tables.NamedSet("ifname . ipv4_addr", selves),
        "served": tables.NamedSet("ifname", served),
    }


def _protocol(name: str) -> int:
    """Its number: IANA's protocol numbers."""
    if name not in _PROTOCOLS:
        raise ValueError(f"{name!r} does not belong in a rule")
    return _PROTOCOLS[name]


def machine(table: str, facts: Machine) -> tables.Table:
    """The rules of the machine's namespace. What is others' they leave alone, but for the two last sentences.

    A network's hosts reach the world under the machine's address, and nothing of the machine itself. Into a network
    lead only published ports, and for its users its CIDRs. Networks reach each other by published ports alone.
    What is for an address of Roadstead's own and has lost its route is told so: by the default route it would leave for
    the world. With `closed`, IPv4 is not passed on between links of others.
    """
    devices = [_name(uplink.device) for uplink in facts.uplinks]
    routers = [tables.safe(uplink.router_address) for uplink in facts.uplinks]
    sets = [_set("uplinks", "ifname", devices), _set("routers", "ipv4_addr", routers)]
    return _table(table, [*sets, *_machine_filters(facts), *_machine_translations(facts)])


def _machine_filters(facts: Machine) -> list[str]:
    gate = [
        f"oifname {_name(uplink.device)} ip daddr {_among(uplink.cidrs)} "
        f"meta skuid {_among([str(int(user)) for user in uplink.users])} accept"
        for uplink in facts.uplinks
        if uplink.users
    ]
    astray = f"ip daddr {addresses.INTERNAL} oifname != {_LINKS}"
    if facts.elsewhere:
        astray += f" oifname != {_among_links(facts.elsewhere)}"
    others = f"meta nfproto ipv4 iifname != {_LINKS} oifname != {_LINKS}"
    if facts.guests:
        others += f" iifname != {_among_links(facts.guests)} oifname != {_among_links(facts.guests)}"
    return [
        _chain(
            "arrive",
            "filter hook prerouting priority raw",
            # 127.0.0.1 can be reached by an uplink (route_localnet), but only by answers, translated back later on.
            f"iifname @uplinks ip daddr {_LOOPBACK} drop",
        ),
        _chain(
            "input",
            "filter hook input priority filter",
            "iifname @uplinks ct state established,related accept",
            "iifname @uplinks counter name refused drop",
        ),
        _chain(
            "forward",
            "filter hook forward priority filter",
            # Paths to the world may be narrower than a veth, and not everyone lets ICMP tell so.
            "iifname @uplinks tcp flags syn tcp option maxseg size set rt mtu",
            "oifname @uplinks ct state established,related accept",
            "oifname @uplinks ct status dnat accept",
            "oifname @uplinks counter name refused drop",
            f"iifname @uplinks {astray} {_REFUSE}",
            *([f"{others} counter name refused drop"] if facts.closed else []),
        ),
        _chain(
            "output",
            "filter hook output priority filter",
            f'{astray} oifname != "lo" {_REFUSE}',
            "oifname @uplinks ct state established,related accept",
            "oifname @uplinks ct status dnat accept",
            *gate,
            f"oifname @uplinks {_REFUSE}",
        ),
    ]


def _machine_translations(facts: Machine) -> list[str]:
    # A client with an address that the network itself uses could not be answered.
    alike = [
        f"oifname {_name(uplink.device)} ip saddr {_among(uplink.cidrs)} ct status dnat masquerade"
        for uplink in facts.uplinks
    ]
    # A network to its own: its router would not take what has its own address.
    back = [
        f"oifname {_name(one.device)} ip saddr {tables.safe(one.router_address)} masquerade" for one in facts.uplinks
    ]
    return [
        _chain(
            "publish",
            "nat hook prerouting priority dstnat",
            *(_port(port) for port in facts.ports if not port.address.startswith("127.")),
        ),
        _chain("publish-here", "nat hook output priority -100", *(_port(port) for port in facts.ports)),
        _chain(
            "translate",
            "nat hook postrouting priority srcnat",
            # One network to another's published port is told from the machine's own users, and from a third.
            "oifname != @uplinks ip saddr @routers masquerade",
            *back,
            f"oifname @uplinks ip saddr {_LOOPBACK} masquerade",
            *alike,
        ),
    ]


def _port(port: MachinePort) -> str:
    here = "fib daddr type local" if port.address == _ANY else f"ip daddr {tables.safe(port.address)}"
    return f"{here} tcp dport {port.port:d} dnat ip to {tables.safe(port.router_address)}:{port.router_port:d}"


def _place(address: str, port: int) -> str:
    """An element of the type _PLACE."""
    return f"{tables.safe(address)} . {port:d}"


def _table(name: str, parts: list[str], sets: dict[str, tables.NamedSet] | None = None) -> tables.Table:
    counters = "".join(f"  counter {counter} {{\n  }}\n" for counter in ("refused", "spoofed"))
    return tables.Table(tables.safe(name), f"{counters}{''.join(parts)}", sets or {})


def _chain(name: str, hook: str, *rules: str) -> str:
    lines = "".join(f"    {rule}\n" for rule in rules)
    return f"  chain {name} {{\n    type {hook}; policy accept;\n{lines}  }}\n"


def _set(name: str, kind: str, elements: list[str]) -> str:
    held = f"    elements = {{ {', '.join(elements)} }}\n" if elements else ""
    return f"  set {name} {{\n    type {kind}\n{held}  }}\n"


def _among(values: tuple[str, ...] | list[str]) -> str:
    return f"{{ {', '.join(tables.safe(value) for value in values)} }}"


def is_name(interface: str) -> bool:
    """Whether rules can say the name of this interface, which others gave it."""
    return tables.is_safe(interface)


def _among_links(names: tuple[str, ...]) -> str:
    return f"{{ {', '.join(map(_name, names))} }}"


def _name(interface: str) -> str:
    return f'"{tables.safe(interface)}"'
