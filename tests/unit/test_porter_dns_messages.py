"""DNS messages: names of a VPC, questions of others, and what is none."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.core import errors
from roadstead.porter import dns_messages, upstream

ZONE = dns_messages.VpcZone("eu-central-1", "192.168.0.0/16")
HOST = "ip-192-168-3-7.eu-central-1.compute.internal"


def query(name: str, type: int = 1, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0xBEEF, flags, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", type, 1)


def own(name: str, type: int = 1) -> bytes | None:
    asked = query(name, type)
    return dns_messages.own(asked, dns_messages.question(asked), ZONE)


@pytest.mark.parametrize("name", [HOST, HOST.upper()])
def test_a_hosts_name_is_its_address(name: str) -> None:
    response = own(name)
    assert response is not None
    assert dns_messages.answers(response, query(name))
    assert struct.unpack_from("!HHHHHH", response) == (0xBEEF, 0x8580, 1, 1, 0, 0)
    assert response.endswith(ipaddress.ip_address("192.168.3.7").packed)
    assert response[-16:-4] == b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, dns_messages.TTL, 4)


def test_an_address_has_its_hosts_name() -> None:
    response = own("7.3.168.192.in-addr.arpa", 12)
    assert response is not None
    assert response.endswith(b"\x0eip-192-168-3-7\x0ceu-central-1\x07compute\x08internal\0")


@pytest.mark.parametrize(("name", "type"), [(HOST, 28), ("7.3.168.192.in-addr.arpa", 1)])
def test_a_name_without_such_a_record_is_still_a_name(name: str, type: int) -> None:
    response = own(name, type)
    assert response is not None
    assert (dns_messages.code(response), response[6:8]) == (dns_messages.Code.GOOD, b"\0\0")


@pytest.mark.parametrize(
    "name",
    [
        "ip-10-0-0-1.eu-central-1.compute.internal",
        "ip-192-168-3-7.us-east-1.compute.internal",
        "ip-192-168-3-777.eu-central-1.compute.internal",
        "ip-192-168-3-07.eu-central-1.compute.internal",
        "eu-central-1.compute.internal",
        "compute.internal",
    ],
)
def test_names_of_no_host_are_nowhere_and_are_asked_of_nobody(name: str) -> None:
    response = own(name)
    assert response is not None
    assert dns_messages.code(response) == dns_messages.Code.NO_NAME


@pytest.mark.parametrize("name", ["example.com", "xcompute.internal", "1.0.0.10.in-addr.arpa", "localhost"])
def test_other_names_are_others(name: str) -> None:
    assert own(name) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        query(HOST)[:-1],
        query(HOST)[:20],
        query(HOST, flags=0x8100),
        struct.pack("!HHHHHH", 1, 0, 2, 0, 0, 0) + query("a")[12:],
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1",
        struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + b"\x3f" + b"a" * 63 + (b"\x3f" + b"a" * 63) * 3 + b"\0\0\1\0\1",
    ],
)
def test_what_is_no_question(message: bytes) -> None:
    with pytest.raises(dns_messages.Malformed):
        dns_messages.question(message)


@given(st.binary(max_size=64) | st.binary(max_size=40).map(lambda rest: query("a")[:12] + rest))
def test_garbage_is_answered_or_not_but_never_fails(message: bytes) -> None:
    if dns_messages.is_query(message):
        response = dns_messages.failed(message, dns_messages.Code.FORMAT)
        assert response[:2] == message[:2]
        assert not dns_messages.is_query(response)
    try:
        asked = dns_messages.question(message)
    except dns_messages.Malformed:
        return
    dns_messages.own(message, asked, ZONE)


def test_only_a_response_to_the_very_question_is_one() -> None:
    asked = query("example.com")
    response = dns_messages.failed(asked, dns_messages.Code.REFUSED)
    assert dns_messages.answers(response, asked)
    assert not dns_messages.answers(asked, asked)
    assert not dns_messages.answers(dns_messages.with_id(response, b"xx"), asked)
    assert not dns_messages.answers(response, query("example.org"))
    assert not dns_messages.answers(response, query("EXAMPLE.com"))


def test_the_machines_resolvers() -> None:
    text = "# a\nsearch x\nnameserver 127.0.0.53\nnameserver fe80::1%eth0 # b\n\nnameserver 1\nnameserver 2\n"
    assert [one.address for one in upstream.listed(text)] == ["127.0.0.53", "fe80::1%eth0", "1"]
    assert upstream.listed("") == (upstream.UpstreamServer("127.0.0.1"),)
    assert upstream.server("192.0.2.1") == upstream.UpstreamServer("192.0.2.1", 53)
    assert upstream.server("192.0.2.1:5353") == upstream.UpstreamServer("192.0.2.1", 5353)
    assert upstream.server("[2001:db8::1]:54") == upstream.UpstreamServer("2001:db8::1", 54)
    assert upstream.server("2001:db8::1") == upstream.UpstreamServer("2001:db8::1", 53)
    for wrong in ("", "example.com", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:99999"):
        with pytest.raises(errors.Invalid):
            upstream.server(wrong)
