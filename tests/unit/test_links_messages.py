"""Requests of rtnetlink, read back by pyroute2, which has them from the kernel's headers itself."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest
from pyroute2.netlink.rtnl import fibmsg, ifaddrmsg, ifinfmsg, ndmsg, rtmsg

from roadstead.agent.links import messages, resources

MAC = "02:00:c0:a8:01:02"


def read(kind: Any, request: messages.NetlinkRequest) -> Any:
    packet = request.packet(7)
    assert len(packet) % 4 == 0
    assert struct.unpack_from("=I", packet)[0] == len(packet)
    found = kind(packet)
    found.decode()
    assert found["header"]["sequence_number"] == 7
    return found


def test_a_pair_has_its_far_end_in_another_namespace() -> None:
    pair = resources.Pair(resources.Link("near", "0a:00:00:00:00:01"), resources.Link("eth0", MAC))
    found = read(ifinfmsg.ifinfmsg, messages.pair(pair, 23))
    assert (found["header"]["type"], found["header"]["flags"]) == (16, 0x605)
    assert (found.get("ifname"), found.get("address")) == ("near", "0a:00:00:00:00:01")
    info = found.get("linkinfo")
    assert info.get("kind") == "veth"
    peer = info.get("data").get("VETH_INFO_PEER")
    assert (peer.get("ifname"), peer.get("address"), peer.get("net_ns_fd")) == ("eth0", MAC, 23)


def test_a_link_is_set_up() -> None:
    found = read(ifinfmsg.ifinfmsg, messages.put(resources.Link("x", MAC, "roadstead/é"), 9))
    assert (found["header"]["type"], found["header"]["flags"]) == (16, 5)
    assert (found["index"], found["flags"], found["change"]) == (9, 1, 1)
    assert (found.get("address"), found.get("ifalias")) == (MAC, "roadstead/é")
    bare = read(ifinfmsg.ifinfmsg, messages.put(resources.Link("lo"), 1))
    assert bare["attrs"] == []


@pytest.mark.parametrize(("make", "kind", "flags"), [(messages.put, 20, 0x505), (messages.drop, 21, 5)])
def test_an_address(make: Any, kind: int, flags: int) -> None:
    found = read(ifaddrmsg.ifaddrmsg, make(resources.Address("eth0", "192.168.1.2/19"), 3))
    assert (found["header"]["type"], found["header"]["flags"]) == (kind, flags)
    assert (found["family"], found["index"], found["prefixlen"]) == (2, 3, 19)
    assert (found.get("address"), found.get("local")) == ("192.168.1.2", "192.168.1.2")


def test_a_neighbour() -> None:
    thing = resources.Neighbour("eth0", "169.254.1.1", MAC)
    found = read(ndmsg.ndmsg, messages.put(thing, 4))
    assert (found["header"]["type"], found["header"]["flags"]) == (28, 0x505)
    assert (found["family"], found["ifindex"], found["state"]) == (2, 4, 0x80)
    assert (found.get("dst"), found.get("lladdr")) == ("169.254.1.1", MAC)
    gone = read(ndmsg.ndmsg, messages.drop(thing, 4))
    assert (gone["header"]["type"], gone["ifindex"], gone.get("dst")) == (29, 4, "169.254.1.1")


ROUTES = [
    (resources.LinkRoute("10.0.0.4/32", "x"), (1, 253, 0, 32), ("10.0.0.4", 5, None, None, 254)),
    (
        resources.LinkRoute("10.0.0.4/32", "x", source="10.0.0.1"),
        (1, 253, 0, 32),
        ("10.0.0.4", 5, None, "10.0.0.1", 254),
    ),
    (resources.LinkRoute("0.0.0.0/0", "x", "169.254.1.1"), (1, 0, 4, 0), (None, 5, "169.254.1.1", None, 254)),
    (resources.LinkRoute("10.1.0.0/16", table=1000), (7, 0, 0, 16), ("10.1.0.0", None, None, None, 1000)),
]


@pytest.mark.parametrize(("route", "header", "attributes"), ROUTES)
def test_a_route(route: resources.LinkRoute, header: tuple[int, ...], attributes: tuple[object, ...]) -> None:
    found = read(rtmsg.rtmsg, messages.put(route, 5))
    assert (found["header"]["type"], found["header"]["flags"]) == (24, 0x505)
    assert (found["type"], found["scope"], found["flags"], found["dst_len"]) == header
    assert (found["family"], found["proto"]) == (2, messages.PROTOCOL)
    assert tuple(found.get(name) for name in ("dst", "oif", "gateway", "prefsrc", "table")) == attributes
    gone = read(rtmsg.rtmsg, messages.drop(route, 5))
    assert (gone["header"]["type"], gone["scope"]) == (25, 255)
    assert tuple(gone.get(name) for name in ("dst", "oif", "gateway", "prefsrc", "table")) == attributes


@pytest.mark.parametrize(("make", "kind", "flags"), [(messages.put, 32, 0x605), (messages.drop, 33, 5)])
def test_a_rule(make: Any, kind: int, flags: int) -> None:
    found = read(fibmsg.fibmsg, make(resources.PolicyRule("10.0.0.0/24", 1000), 0))
    assert (found["header"]["type"], found["header"]["flags"]) == (kind, flags)
    assert (found["family"], found["src_len"], found["action"]) == (2, 24, 1)
    assert (found.get("src"), found.get("table"), found.get("priority")) == ("10.0.0.0", 1000, 1000)


def said(number: int, sequence: int, words: bytes = b"") -> bytes:
    body = struct.pack("=i", -number) + struct.pack("=IHHII", 40, 16, 5, sequence, 0)
    flags = 0
    if words:
        flags = 0x200
        body += struct.pack("=HH", 4 + len(words), 1) + words + bytes(-len(words) % 4)
    return struct.pack("=IHHII", 16 + len(body), 2, flags, sequence, 1) + body


def test_the_end_of_a_request() -> None:
    assert messages.answer(said(0, 3), 3) == messages.Answer(0)
    assert messages.answer(said(errno.ENODEV, 3), 3) == messages.Answer(errno.ENODEV, "No such device")
    words = messages.answer(said(errno.EINVAL, 3, b"Invalid prefix for given prefix length\0"), 3)
    assert words == messages.Answer(errno.EINVAL, "Invalid prefix for given prefix length")


def test_what_is_said_of_another_request_is_not_heard() -> None:
    assert messages.answer(said(0, 2), 3) is None
    assert messages.answer(said(errno.EPERM, 2) + said(0, 3), 3) == messages.Answer(0)
    assert messages.answer(b"", 3) is None
    assert messages.answer(struct.pack("=IHHII", 0, 2, 0, 3, 0), 3) is None


def test_the_number_of_a_link() -> None:
    asked = read(ifinfmsg.ifinfmsg, messages.index_of("eth0"))
    assert (asked["header"]["type"], asked.get("ifname")) == (18, "eth0")
    told = struct.pack("=IHHII", 32, 16, 0, 1, 0) + struct.pack("=BxHiII", 0, 1, 42, 1, 0)
    assert messages.index_in(told) == 42
    assert messages.index_in(said(0, 1)) == 0
