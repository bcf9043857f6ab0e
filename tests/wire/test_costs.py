"""What a request costs to read, counted in calls and not in time: bounded for each byte of it, and as a whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from tests.wire import peer

from roadstead.wire import exchange, server, validate

MOST_CALLS = 30 * exchange.MOST_ITEMS
"""For any body. The 4 MiB of empty chunks that this is for made 17 million."""
CALLS_A_BYTE = 30
_KNOWN = 5_000
"""Calls that are the same for each request of an operation."""

Make = Callable[[int], bytes]
"""A body of about so many bytes."""


def repeated(before: bytes, unit: bytes, after: bytes) -> Make:
    return lambda size: before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def fields(*units: str) -> Make:
    """A form of such fields, each with its number in it."""

    def make(size: int) -> bytes:
        found, length, number = [b"Action=Everything&Version=2020-01-01"], 37, 0
        while length < size - 200:
            one = units[number % len(units)].replace("#", str(number)).encode()
            found.append(one)
            length += 1 + len(one)
            number += 1
        return b"&".join(found)

    return make


CBOR = {
    "empty chunks": repeated(b"\xa1\x69NextToken\x7f", b"\x60", b"\xff"),
    "empty chunks of bytes": repeated(b"\xa1\x61x\x5f", b"\x40", b"\xff"),
    "nulls": repeated(b"\xa1\x61x\x9f", b"\xf6", b"\xff"),
    "lists": repeated(b"\xa1\x61x\x9f", b"\x80", b"\xff"),
    "filters": repeated(b"\xa1\x67Filters\x9f", b"\xa1\x64Name\x60", b"\xff"),
    "keys": repeated(b"\xbf", b"\x60\xf6", b"\xff"),
    "one text": lambda size: b"\xa1\x69NextToken\x7a" + (size - 20).to_bytes(4, "big") + b"a" * (size - 20),
}
JSON = {
    "numbers": repeated(b'{"numbers":[0', b",0", b"]}"),
    "lists": repeated(b'{"document":[[]', b",[]", b"]}"),
    "objects": repeated(b'{"node":{"children":[{}', b",{}", b"]}}"),
    "entries": repeated(b'{"map":{"":{}', b',"":{}', b"}}"),
    "unknown": repeated(b'{"x":[{}', b",{}", b"]}"),
    "broken": repeated(b'{"numbers":[', b'"', b""),
    "one text": repeated(b'{"text":"', b',[{\\"', b'"}'),
}
_TEXT = repeated(b"Action=Everything&Version=2020-01-01&blob=", b"%2e%2E", b"")
_DEEP = fields("a#" + 45 * ".a" + "=x")
QUERY = {
    "elements": fields("otherStrings.member.#=x"),
    "trees": fields("flatNode.#.children.member.1.Text=x"),
    "unknown": fields("a#=x", "=", "%41#=%41"),
    "deep": _DEEP,
    "one text": _TEXT,
}
EC2 = {
    "elements": fields("OtherStrings.#=x"),
    "trees": fields("node.children.#.Text=x"),
    "unknown": fields("a#=x"),
    "deep": _DEEP,
    "one text": _TEXT,
}


def request(protocol: str, body: bytes) -> tuple[str, exchange.Request]:
    """To an operation that takes about everything."""
    match protocol:
        case "rpc-v2-cbor":
            path = "/service/Route53AutoNaming_v20170314/operation/ListServices"
            return "servicediscovery", exchange.Request("POST", path, "", {"smithy-protocol": protocol}, body)
        case "rest-json":
            return "corners-rest", exchange.Request("PUT", "/things/a/parts/1", "kind=every", {}, body)
        case "json-1.0":
            headers = {"x-amz-target": f"{peer.ours('corners-json').target_prefix}.Everything", "content-type": ""}
            return "corners-json", exchange.Request("POST", "/", "", headers, body)
        case _:
            headers = {"content-type": "application/x-www-form-urlencoded"}
            return f"corners-{protocol}", exchange.Request("POST", "/", "", headers, body)


def calls(protocol: str, body: bytes) -> tuple[int, str]:
    """Of Python's and C's functions, while the request is read and validated; the code of a refusal."""
    service, asked = request(protocol, body)
    counted, told = 0, ""

    def count(frame: FrameType, event: str, of: object) -> None:  # noqa: ARG001
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        found = server.match(peer.ours(service), asked)
        validate.problems(found.operation.input, server.parse_input(found, asked))
    except exchange.RequestRefused as refused:
        told = refused.fault.code
    finally:
        sys.setprofile(None)
    return counted, told


CASES = [
    (protocol, name, make)
    for protocol, makes in (
        ("rpc-v2-cbor", CBOR),
        ("rest-json", JSON),
        ("json-1.0", JSON),
        ("query", QUERY),
        ("ec2", EC2),
    )
    for name, make in makes.items()
]


@pytest.mark.parametrize(("protocol", "name", "make"), CASES, ids=[f"{one[0]} {one[1]}" for one in CASES])
def test_what_a_request_costs_is_bounded(protocol: str, name: str, make: Make) -> None:
    calls(protocol, make(1000))
    for size in (1_000, 30_000, exchange.MAX_BODY):
        body = make(size)
        assert size * 0.9 - 300 < len(body) <= size
        counted, told = calls(protocol, body)
        assert told not in ("UnknownOperationException", "InvalidAction")
        assert counted < min(CALLS_A_BYTE * len(body) + _KNOWN, MOST_CALLS), (name, size, counted)


def test_as_many_values_as_may_be_are_taken_and_not_one_more() -> None:
    items = exchange.MOST_ITEMS
    assert calls("rpc-v2-cbor", b"\xa1\x61x\x9f" + b"\xf6" * (items - 4) + b"\xff")[1] == ""
    assert calls("rpc-v2-cbor", b"\xa1\x61x\x9f" + b"\xf6" * (items - 3) + b"\xff")[1] == "SerializationException"
    numbers = b'{"numbers":[0' + b",0" * (items - 3)
    assert calls("json-1.0", numbers + b"]}")[1] == ""
    assert calls("json-1.0", numbers + b",0]}")[1] == "SerializationException"


def test_what_stands_in_texts_is_not_counted() -> None:
    assert calls("json-1.0", b'{"text":"' + b'[{,\\\\\\"' * exchange.MOST_ITEMS + b'"}')[1] == ""
