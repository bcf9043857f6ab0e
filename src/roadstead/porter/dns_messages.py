"""DNS messages, as far as a resolver looks into them: the header, the question, and answers of one record. Pure.

Source: RFC 1035 section 4; RFC 2308 for names that there are not. Messages of others are passed on byte for byte (new
types, EDNS and signatures stay what they are), so nothing more than that is read of them.
"""

from __future__ import annotations

import enum
import ipaddress
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from roadstead.contract import naming

HEADER = 12
LONGEST = 65535
TTL = 60
"""Seconds: what an address is called changes with its VPC only."""
_RESPONSE = 0x8000
_OPCODE = 0x7800
_AUTHORITATIVE = 0x0400
_ASKED_RECURSION = 0x0100
_RECURSION = 0x0080
_NAME_OF_QUESTION = b"\xc0\x0c"
"""A pointer to where the question's name always is."""
_A, _PTR, _ANY, _IN = 1, 12, 255, 1
_HOST = re.compile(
    rf"ip-(\d{{1,3}})-(\d{{1,3}})-(\d{{1,3}})-(\d{{1,3}})\.([a-z0-9-]+)\.{re.escape(naming.DOMAIN)}", re.ASCII
)
_REVERSE = re.compile(r"(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa", re.ASCII)


class Code(enum.IntEnum):
    """How a question was answered."""

    GOOD = 0
    FORMAT = 1
    FAILED = 2
    NO_NAME = 3
    NOT_BUILT = 4
    REFUSED = 5


class Malformed(ValueError):
    """What is no question."""


@dataclass(frozen=True)
class Question:
    """The question of a message, and where it ends. `name`: in lower case, without the last dot."""

    name: str
    type: int
    asked_class: int
    end: int


@dataclass(frozen=True)
class VpcZone:
    """The names of a VPC: those of all its addresses."""

    region: str
    cidr: str


def question(message: bytes) -> Question:
    """The one question of a query. Raises Malformed for responses and for anything else."""
    if len(message) < HEADER:
        raise Malformed("too short")
    _, flags, count = struct.unpack_from("!HHH", message)
    if flags & _RESPONSE or count != 1:
        raise Malformed("a query has one question")
    return _question(message)


def is_query(message: bytes) -> bool:
    """Whether it can be answered, were it only that it is wrong. A response never is: two would talk for ever."""
    return len(message) >= HEADER and not message[2] & 0x80


def opcode(message: bytes) -> int:
    """Of a message with a header: 0 is a query."""
    return message[2] >> 3 & 0x0F


def answers(message: bytes, query: bytes) -> bool:
    """Whether a message is a response to a query: the same id and the same question, letter for letter."""
    if len(message) < HEADER or message[:2] != query[:2] or not message[2] & 0x80:
        return False
    end = question(query).end
    return message[4:6] == b"\0\1" and message[HEADER:end] == query[HEADER:end]


def with_id(message: bytes, id: bytes) -> bytes:
    return id + message[2:]


def code(message: bytes) -> int:
    """The RCODE of an answer (RFC 1035, 4.1.1)."""
    return message[3] & 0x0F


def failed(query: bytes, code: Code) -> bytes:
    """A response that only says how it went. The question is said again when there is one."""
    try:
        end = question(query).end
    except Malformed:
        return _header(query, code, 0, 0, authoritative=False)
    return _header(query, code, 1, 0, authoritative=False) + query[HEADER:end]


def own(query: bytes, asked: Question, zone: VpcZone) -> bytes | None:
    """The response to a question for a name of the VPC's own; None for one that others know."""
    if asked.asked_class not in (_IN, _ANY):
        return None
    if asked.name == naming.DOMAIN or asked.name.endswith(f".{naming.DOMAIN}"):
        address = _address_of(asked.name, zone)
        if address is None:
            return _response(query, asked, Code.NO_NAME, ())
        record = (_A, address.packed)
    else:
        reversed_ = _reversed(asked.name, zone)
        if reversed_ is None:
            return None
        name = naming.node(str(reversed_), zone.region)
        record = (_PTR, _encoded(name))
    return _response(query, asked, Code.GOOD, (record,) if asked.type in (record[0], _ANY) else ())


def _question(message: bytes) -> Question:
    labels: list[str] = []
    at = HEADER
    while True:
        if at >= len(message):
            raise Malformed("the name has no end")
        size = message[at]
        at += 1
        if size == 0:
            break
        # A question is the first name of a message: there is nothing that it could point to.
        if size > 63 or at + size > len(message) or at + size - HEADER > 254:
            raise Malformed("the name is too long, or a pointer")
        labels.append(message[at : at + size].decode("latin-1"))
        at += size
    if at + 4 > len(message):
        raise Malformed("the question has no type")
    type, asked_class = struct.unpack_from("!HH", message, at)
    return Question(".".join(labels).lower(), type, asked_class, at + 4)


def _address_of(name: str, zone: VpcZone) -> ipaddress.IPv4Address | None:
    found = _HOST.fullmatch(name)
    if found is None or found[5] != zone.region:
        return None
    return _inside(found.groups()[:4], zone)


def _reversed(name: str, zone: VpcZone) -> ipaddress.IPv4Address | None:
    found = _REVERSE.fullmatch(name)
    return None if found is None else _inside(found.groups()[::-1], zone)


def _inside(octets: Iterable[str], zone: VpcZone) -> ipaddress.IPv4Address | None:
    try:
        address = ipaddress.IPv4Address(".".join(octets))
    except ValueError:
        return None
    return address if address in ipaddress.IPv4Network(zone.cidr) else None


def _encoded(name: str) -> bytes:
    labels = [label.encode("ascii") for label in name.split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _response(query: bytes, asked: Question, code: Code, records: tuple[tuple[int, bytes], ...]) -> bytes:
    body = b"".join(
        _NAME_OF_QUESTION + struct.pack("!HHIH", type, _IN, TTL, len(content)) + content for type, content in records
    )
    return _header(query, code, 1, len(records), authoritative=True) + query[HEADER : asked.end] + body


def _header(query: bytes, code: Code, questions: int, answers: int, *, authoritative: bool) -> bytes:
    (asked,) = struct.unpack_from("!H", query, 2)
    flags = _RESPONSE | _RECURSION | asked & (_OPCODE | _ASKED_RECURSION) | code
    if authoritative:
        flags |= _AUTHORITATIVE
    return query[:2] + struct.pack("!HHHHH", flags, questions, answers, 0, 0)
