"""The text of this instance's table in a router, in a node's and in the machine's namespace. Pure.

Only interface names computed from ids, addresses, CIDRs, ports and user ids get here: `_safe` refuses the rest, so
that no word of a customer ever becomes a rule. All is IPv4; a router drops IPv6.

A table is replaced as a whole in one transaction: declared, so that the deletion finds it, deleted, written. The state
of connections under way lives in conntrack and is not touched by that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from roadstead.core import addresses
from roadstead.core import instance as instances

_SAFE = re.compile(r"[A-Za-z0-9./_-]+")
_LOOPBACK = "127.0.0.0/8"
_ANY = "0.0.0.0"
_LINKS = f'"{instances.LINKS}*"'
"""The links of all instances: none judges what is another's."""
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


def remove(table: str) -> str:
    """Remove the table, whether it is there or not."""
    return f"table inet {_safe(table)}\ndelete table inet {_safe(table)}\n"


def router(table: str, facts: Router) -> str:
    """The rules of a router, with no link black.

    arrive: before anything else: black links, spoofed sources (the route back must be the way it came).
    forward: hosts reach each other freely, the world with `egress`, but not by an address that nobody there can have:
    of services, or taken by what is inside. From the uplink come only published connections, users of the machine,
    and answers.
    """
    up = _name(facts.uplink)
    machine = _safe(facts.machine_address)
    world = "accept" if facts.egress else _REFUSE
    nowhere = _among(addresses.joined((*addresses.TAKEN, *map(_safe, facts.services))))
    entered = [f"iifname {up} ip saddr {machine} accept"] if facts.entered else []
    ports = [
        f"iifname {up} ip daddr {_safe(facts.router_address)} tcp dport {port.port:d} "
        f"dnat ip to {_safe(port.target)}:{port.target_port:d}"
        for port in facts.ports
    ]
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
        _chain("publish", "nat hook prerouting priority dstnat", *ports),
        _chain("translate", "nat hook postrouting priority srcnat", f"oifname {up} masquerade"),
    ]
    return _table(table, [_set("black", "ifname", []), *chains])


def black(table: str, names: frozenset[str]) -> str:
    """Make these links black and no others, in one transaction and without another change of the table."""
    text = f"flush set inet {_safe(table)} black\n"
    if names:
        elements = ", ".join(_name(name) for name in sorted(names))
        text += f"add element inet {_safe(table)} black {{ {elements} }}\n"
    return text


def node(table: str, pods: str, ports: tuple[NodePort, ...]) -> str:
    """The rules of a node about its pods; names of their links begin with `pods`. The first of two like ports counts.

    arrive: a pod speaks under its own address only (the route back must be the way it came), and 127.0.0.1 is the
    node's own: route_localnet, by which it can lead to a pod, would let anybody ask for it.
    translate: a pod that reaches itself by a port of its node must not be answered past the node, and no pod can answer
    127.0.0.1.
    """
    back = dict.fromkeys(
        f"oifname {_name(port.link)} ip saddr {{ {_safe(port.target)}, {_LOOPBACK} }} ct status dnat masquerade"
        for port in ports
    )
    chains = [
        _chain(
            "arrive",
            "filter hook prerouting priority raw",
            f'iifname != "lo" ip daddr {_LOOPBACK} drop',
            f'iifname != "lo" ip saddr {_LOOPBACK} drop',
            f'iifname "{_safe(pods)}*" fib saddr . iif oif missing counter name spoofed drop',
        ),
        _chain("publish", "nat hook prerouting priority dstnat", *map(_node_port, ports)),
        _chain("publish-here", "nat hook output priority -100", *map(_node_port, ports)),
        _chain("translate", "nat hook postrouting priority srcnat", *back),
    ]
    return _table(table, chains)


def machine(table: str, facts: Machine) -> str:
    """The rules of the machine's namespace. What is others' they leave alone, but for the two last sentences.

    A network's hosts reach the world under the machine's address, and nothing of the machine itself. Into a network
    lead only published ports, and for its users its CIDRs. Networks reach each other by published ports alone.
    What is for an address of Roadstead's own and has lost its route is told so: by the default route it would leave for
    the world. With `closed`, IPv4 is not passed on between links of others.
    """
    devices = [_name(uplink.device) for uplink in facts.uplinks]
    routers = [_safe(uplink.router_address) for uplink in facts.uplinks]
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
    back = [f"oifname {_name(one.device)} ip saddr {_safe(one.router_address)} masquerade" for one in facts.uplinks]
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
    here = "fib daddr type local" if port.address == _ANY else f"ip daddr {_safe(port.address)}"
    return f"{here} tcp dport {port.port:d} dnat ip to {_safe(port.router_address)}:{port.router_port:d}"


def _node_port(port: NodePort) -> str:
    here = f"ip daddr {_safe(port.address)}" if port.address else "fib daddr type local"
    to = f"{_safe(port.target)}:{port.target_port:d}"
    return f"{here} {_safe(port.protocol)} dport {port.port:d} dnat ip to {to}"


def _table(name: str, parts: list[str]) -> str:
    counters = "".join(f"  counter {counter} {{\n  }}\n" for counter in ("refused", "spoofed"))
    return f"{remove(name)}table inet {_safe(name)} {{\n{counters}{''.join(parts)}}}\n"


def _chain(name: str, hook: str, *rules: str) -> str:
    lines = "".join(f"    {rule}\n" for rule in rules)
    return f"  chain {name} {{\n    type {hook}; policy accept;\n{lines}  }}\n"


def _set(name: str, kind: str, elements: list[str]) -> str:
    held = f"    elements = {{ {', '.join(elements)} }}\n" if elements else ""
    return f"  set {name} {{\n    type {kind}\n{held}  }}\n"


def _among(values: tuple[str, ...] | list[str]) -> str:
    return f"{{ {', '.join(_safe(value) for value in values)} }}"


def is_name(interface: str) -> bool:
    """Whether rules can say the name of this interface, which others gave it."""
    return _SAFE.fullmatch(interface) is not None


def _among_links(names: tuple[str, ...]) -> str:
    return f"{{ {', '.join(map(_name, names))} }}"


def _name(interface: str) -> str:
    return f'"{_safe(interface)}"'


def _safe(word: str) -> str:
    if not _SAFE.fullmatch(word):
        raise ValueError(f"{word!r} does not belong in a rule")
    return word
