"""The part of CBOR (RFC 8949) that Smithy's rpc-v2-cbor uses, both ways.

Whole numbers of 64 bits, byte and text strings, arrays, maps with text keys, tag 1 (epoch time), floats of 16, 32
and 64 bits, true, false, null, undefined; indefinite lengths are read, never written. Every length is checked
against the bytes that are left before anything is made, so a small body cannot ask for a large memory. Values are
counted, also chunks of strings, which may be empty: a body costs no more time than it may have values.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from typing import Any

from roadstead.core import errors
from roadstead.wire import exchange
from roadstead.wire.codec import times

DEEPEST = 100
_BREAK = object()
_FLOATS = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}
_INDEFINITE = 31
_SIMPLE = {20: False, 21: True, 22: None, 23: None}


def decode(body: bytes) -> Any:
    """The one value that a body is. Raises Malformed."""
    reader = _Reader(body)
    value = reader.item(DEEPEST)
    if value is _BREAK:
        raise exchange.Malformed("the CBOR body begins with a break")
    if reader.at != len(body):
        raise exchange.Malformed("bytes follow the CBOR value")
    return value


class _Reader:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.left = exchange.MOST_ITEMS

    def item(self, depth: int) -> Any:
        if depth <= 0:
            raise exchange.Malformed("nested too deeply")
        self.count()
        initial = self.take(1)[0]
        major, low = initial >> 5, initial & 31
        if major == 7:
            return self.simple(low)
        if low == _INDEFINITE:
            return self.indefinite(major, depth)
        number = self.number(low)
        match major:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self.take(number)
            case 3:
                return self.text(number)
            case 4:
                self.room(number)
                return [self.value(depth) for _ in range(number)]
            case 5:
                self.room(2 * number)
                return {self.key(depth): self.value(depth) for _ in range(number)}
            case _:
                return self.tagged(number, depth)

    def count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise exchange.too_many()

    def take(self, count: int) -> bytes:
        self.room(count)
        self.at += count
        return self.body[self.at - count : self.at]

    def room(self, count: int) -> None:
        if count > len(self.body) - self.at:
            raise exchange.Malformed("the CBOR body ends too early")

    def number(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise exchange.Malformed("CBOR of a reserved form")
        return int.from_bytes(self.take(1 << (low - 24)), "big")

    def text(self, count: int) -> str:
        try:
            return self.take(count).decode()
        except UnicodeDecodeError as error:
            raise exchange.Malformed("text that is not UTF-8") from error

    def value(self, depth: int) -> Any:
        value = self.item(depth - 1)
        if value is _BREAK:
            raise exchange.Malformed("a CBOR break where a value is expected")
        return value

    def key(self, depth: int) -> str:
        key = self.value(depth)
        if not isinstance(key, str):
            raise exchange.Malformed("a CBOR map with a key that is not text")
        return key

    def indefinite(self, major: int, depth: int) -> Any:
        match major:
            case 2 | 3:
                return self.chunks(major)
            case 4:
                items: list[Any] = []
                while (value := self.item(depth - 1)) is not _BREAK:
                    items.append(value)
                return items
            case 5:
                entries: dict[str, Any] = {}
                while (key := self.item(depth - 1)) is not _BREAK:
                    if not isinstance(key, str):
                        raise exchange.Malformed("a CBOR map with a key that is not text")
                    entries[key] = self.value(depth)
                return entries
            case _:
                raise exchange.Malformed("CBOR of a reserved form")

    def chunks(self, major: int) -> bytes | str:
        parts: list[bytes] = []
        while (initial := self.take(1)[0]) != 0xFF:
            self.count()
            if initial >> 5 != major or initial & 31 == _INDEFINITE:
                raise exchange.Malformed("a CBOR string of unlike parts")
            parts.append(self.take(self.number(initial & 31)))
        whole = b"".join(parts)
        if major == 2:
            return whole
        try:
            return whole.decode()
        except UnicodeDecodeError as error:
            raise exchange.Malformed("text that is not UTF-8") from error

    def simple(self, low: int) -> Any:
        if low in _SIMPLE:
            return _SIMPLE[low]
        if low in _FLOATS:
            form, size = _FLOATS[low]
            return struct.unpack(form, self.take(size))[0]
        if low == _INDEFINITE:
            return _BREAK
        raise exchange.Malformed("a CBOR value of a kind that is not used here")

    def tagged(self, tag: int, depth: int) -> dt.datetime:
        value = self.value(depth)
        if tag != 1 or isinstance(value, bool) or not isinstance(value, int | float):
            raise exchange.Malformed("a CBOR tag other than epoch time")
        return times.from_number(value)


def encode(value: Any) -> bytes:
    """Raises Failed for a value that CBOR as used here cannot hold."""
    out = bytearray()
    _write(out, value)
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    match value:
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            _head(out, 0 if value >= 0 else 1, value if value >= 0 else -1 - value)
        case float():
            out += _float(value)
        case str():
            data = value.encode("utf-8", "replace")
            _head(out, 3, len(data))
            out += data
        case bytes() | bytearray():
            _head(out, 2, len(value))
            out += value
        case list() | tuple():
            _head(out, 4, len(value))
            for item in value:
                _write(out, item)
        case dict():
            _head(out, 5, len(value))
            for key, item in value.items():
                _write(out, key)
                _write(out, item)
        case dt.datetime():
            out.append(0xC1)
            _write(out, times.to_epoch(value))
        case _:
            raise errors.Failed(f"a {type(value).__name__} cannot be sent as CBOR")


def _head(out: bytearray, major: int, number: int) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 1 << (8 * size):
            out.append(major << 5 | low)
            out += number.to_bytes(size, "big")
            return
    raise errors.Failed(f"{number} is beyond CBOR's 64 bits")


def _float(value: float) -> bytes:
    if math.isnan(value):
        return b"\xf9\x7e\x00"
    return b"\xfb" + struct.pack(">d", value)
