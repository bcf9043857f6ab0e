"""Requests of rtnetlink as bytes: what makes, sets and removes things. Pure.

A pod waits for a dozen of them, so they are written straight; what is seen is read by pyroute2. All values are those of
linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h and fib_rules.h; numbers have the machine's byte order.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass

from roadstead.agent.links import resources

PROTOCOL = 77
"""Marks routes as ours (rtm_protocol); numbers above 4 are free for routing daemons to take, see rtnetlink(7)."""
UNICAST, UNREACHABLE = 1, 7
PERMANENT = 128
UP = 1

_HEADER = struct.Struct("=IHHII")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")
_ROUTE = struct.Struct("=BBBBBBBBI")
"""Also of a rule (fib_rule_hdr), which has its action in the place of a route's type."""
_ATTRIBUTE = struct.Struct("=HH")
_NUMBER = struct.Struct("=I")
_ERROR = struct.Struct("=i")

_NEW_LINK, _DEL_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _DEL_ADDRESS = 20, 21
_NEW_ROUTE, _DEL_ROUTE = 24, 25
_NEW_NEIGHBOUR, _DEL_NEIGHBOUR = 28, 29
_NEW_RULE, _DEL_RULE = 32, 33

_ASK = 1 | 4
"""NLM_F_REQUEST and NLM_F_ACK: the kernel says how it ended."""
_REPLACE, _ONLY_NEW, _CREATE = 0x100, 0x200, 0x400
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_IFALIAS, _IFLA_NET_NS_FD = 1, 3, 18, 20, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_NDA_DST, _NDA_LLADDR = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 7, 15
_FRA_SRC, _FRA_PRIORITY, _FRA_TABLE = 2, 6, 15
_INET = 2
_NOWHERE, _ON_LINK_SCOPE = 255, 253
_ONLINK = 4
_TO_TABLE = 1

_NLMSG_ERROR = 2
_HAS_WORDS = 0x200
"""NLM_F_ACK_TLVS: attributes with the kernel's own words follow."""
_WORDS = 1


@dataclass(frozen=True)
class NetlinkRequest:
    """A message without its header."""

    type: int
    flags: int
    body: bytes

    def packet(self, sequence: int) -> bytes:
        """With its header. `sequence`: the answer has the same."""
        return _HEADER.pack(_HEADER.size + len(self.body), self.type, self.flags, sequence, 0) + self.body


@dataclass(frozen=True)
class Answer:
    """How a request ended. `errno` is 0 when it went well."""

    errno: int
    words: str = ""


def pair(of: resources.Pair, namespace: int) -> NetlinkRequest:
    """A new veth, whose far end is in the namespace of that descriptor from its beginning."""
    far = _LINK.pack(0, 0, 0, 0, 0) + _named(of.far) + _attribute(_IFLA_NET_NS_FD, _NUMBER.pack(namespace))
    info = _attribute(_IFLA_INFO_KIND, b"veth") + _attribute(_IFLA_INFO_DATA, _attribute(_VETH_INFO_PEER, far))
    body = _LINK.pack(0, 0, 0, 0, 0) + _named(of.near) + _attribute(_IFLA_LINKINFO, info)
    return NetlinkRequest(_NEW_LINK, _ASK | _CREATE | _ONLY_NEW, body)


def index_of(name: str) -> NetlinkRequest:
    """The link of that name. The number is in the answer's body: `index_in`."""
    return NetlinkRequest(_GET_LINK, _ASK, _LINK.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name))


def put(thing: resources.Thing, index: int) -> NetlinkRequest:
    """Adds the thing, or sets it where it is another. `index` is its device's, 0 for one without."""
    match thing:
        case resources.Link(mac=mac, alias=alias):
            body = _LINK.pack(0, 0, index, UP, UP)
            body += _attribute(_IFLA_ADDRESS, _mac(mac)) if mac else b""
            # An alias is not ended by a zero.
            body += _attribute(_IFLA_IFALIAS, alias.encode()) if alias else b""
            return NetlinkRequest(_NEW_LINK, _ASK, body)
        case resources.Address():
            return NetlinkRequest(_NEW_ADDRESS, _ASK | _REPLACE | _CREATE, _address(thing, index))
        case resources.Neighbour(address=address, mac=mac):
            body = _NEIGHBOUR.pack(_INET, index, PERMANENT, 0, 0)
            body += _attribute(_NDA_DST, socket.inet_aton(address)) + _attribute(_NDA_LLADDR, _mac(mac))
            return NetlinkRequest(_NEW_NEIGHBOUR, _ASK | _REPLACE | _CREATE, body)
        case resources.LinkRoute():
            scope = _ON_LINK_SCOPE if thing.device and not thing.via else 0
            return NetlinkRequest(_NEW_ROUTE, _ASK | _REPLACE | _CREATE, _route(thing, index, scope))
        case resources.PolicyRule():
            return NetlinkRequest(_NEW_RULE, _ASK | _CREATE | _ONLY_NEW, _rule(thing))


def drop(thing: resources.Thing, index: int) -> NetlinkRequest:
    """Removes the thing."""
    match thing:
        case resources.Link():
            return NetlinkRequest(_DEL_LINK, _ASK, _LINK.pack(0, 0, index, 0, 0))
        case resources.Address():
            return NetlinkRequest(_DEL_ADDRESS, _ASK, _address(thing, index))
        case resources.Neighbour(address=address):
            body = _NEIGHBOUR.pack(_INET, index, 0, 0, 0) + _attribute(_NDA_DST, socket.inet_aton(address))
            return NetlinkRequest(_DEL_NEIGHBOUR, _ASK, body)
        case resources.LinkRoute():
            return NetlinkRequest(_DEL_ROUTE, _ASK, _route(thing, index, _NOWHERE))
        case resources.PolicyRule():
            return NetlinkRequest(_DEL_RULE, _ASK, _rule(thing))


def device_of(thing: resources.Thing) -> str:
    """The name of the device whose number the message has; empty for what has none."""
    match thing:
        case resources.Link(name=name):
            return name
        case resources.PolicyRule():
            return ""
        case resources.Address() | resources.Neighbour() | resources.LinkRoute():
            return thing.device


def answer(packet: bytes, sequence: int) -> Answer | None:
    """What a packet says of the end of that request; None when it says nothing of it."""
    at = 0
    while at + _HEADER.size <= len(packet):
        length, kind, flags, of, _ = _HEADER.unpack_from(packet, at)
        if length < _HEADER.size:
            return None
        if kind == _NLMSG_ERROR and of == sequence:
            (number,) = _ERROR.unpack_from(packet, at + _HEADER.size)
            words = _words(packet[at + 2 * _HEADER.size + _ERROR.size : at + length]) if flags & _HAS_WORDS else ""
            return Answer(-number, words or (os.strerror(-number) if number else ""))
        at += _padded(length)
    return None


def index_in(packet: bytes) -> int:
    """The number of the link that a packet tells of; 0 when it tells of none."""
    _, kind, *_ = _HEADER.unpack_from(packet)
    return int(_LINK.unpack_from(packet, _HEADER.size)[2]) if kind == _NEW_LINK else 0


def _address(thing: resources.Address, index: int) -> bytes:
    address, _, length = thing.cidr.partition("/")
    own = socket.inet_aton(address)
    return _ADDRESS.pack(_INET, int(length), 0, 0, index) + _attribute(_IFA_ADDRESS, own) + _attribute(_IFA_LOCAL, own)


def _route(route: resources.LinkRoute, index: int, scope: int) -> bytes:
    to, _, length = route.to.partition("/")
    # The next hop is on no network of the device: it is a neighbour by our word.
    flags = _ONLINK if route.device and route.via else 0
    kind = UNICAST if route.device else UNREACHABLE
    table = route.table if route.table < 256 else 0
    body = _ROUTE.pack(_INET, int(length), 0, 0, table, PROTOCOL, scope, kind, flags)
    body += _attribute(_RTA_DST, socket.inet_aton(to)) if int(length) else b""
    body += _attribute(_RTA_TABLE, _NUMBER.pack(route.table))
    if route.device:
        body += _attribute(_RTA_OIF, _NUMBER.pack(index))
        body += _attribute(_RTA_GATEWAY, socket.inet_aton(route.via)) if route.via else b""
        body += _attribute(_RTA_PREFSRC, socket.inet_aton(route.source)) if route.source else b""
    return body


def _rule(rule: resources.PolicyRule) -> bytes:
    source, _, length = rule.source.partition("/")
    table = rule.table if rule.table < 256 else 0
    body = _ROUTE.pack(_INET, 0, int(length or 32), 0, table, 0, 0, _TO_TABLE, 0)
    number = _NUMBER.pack(rule.table)
    return (
        body
        + _attribute(_FRA_SRC, socket.inet_aton(source))
        + _attribute(_FRA_PRIORITY, number)
        + _attribute(_FRA_TABLE, number)
    )


def _named(link: resources.Link) -> bytes:
    return _text(_IFLA_IFNAME, link.name) + (_attribute(_IFLA_ADDRESS, _mac(link.mac)) if link.mac else b"")


def _mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    whole = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
    return whole + bytes(_padded(len(whole)) - len(whole))


def _padded(length: int) -> int:
    return (length + 3) & ~3


def _words(attributes: bytes) -> str:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if length < _ATTRIBUTE.size:
            break
        if kind == _WORDS:
            return attributes[at + _ATTRIBUTE.size : at + length].rstrip(b"\0").decode(errors="replace")
        at += _padded(length)
    return ""
