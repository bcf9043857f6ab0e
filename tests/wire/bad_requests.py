"""Requests that are wrong in some way, without end, for a seed: each is the bytes of one, and what is wrong with it.

They begin as a right one of an operation that serve has, with values of the model's types, and are then spoiled: the
values before they are signed (so that they come as far as the codecs and operations), the bytes after it.
"""

from __future__ import annotations

import datetime as dt
import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests.wire import samples

from roadstead.core import errors
from roadstead.wire import client, exchange, services, shapes, sigv4

REGION = "eu-central-1"
TEXTS = (
    "",
    " ",
    "\x00",
    "..",
    "../../etc/passwd",
    "a" * 300,
    "ü" * 700,
    "‮txt",
    "𐍈",
    "e\u0301",
    "'; drop table states; --",
    "${jndi:x}",
    "%s%n{0}",
    "\r\nX-Injected: 1",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "9" * 1500,
)
ODD: tuple[Any, ...] = (*TEXTS, None, True, -1, 0, 2**31, 2**63, 2**200, -0.5, 1e308, [], {}, [[]], {"": {"": None}})
TYPES = (
    "application/json",
    "application/cbor",
    "application/x-amz-json-1.1",
    "application/x-www-form-urlencoded",
    "x/y",
)

LARGEST = 5_000_000
"""Bytes of a body, unpacked."""
DEEPEST = 100_000
"""Levels of what is nested."""


def nested(deep: int) -> tuple[bytes, ...]:
    """Bodies with so many levels: JSON, CBOR, a form."""
    return (
        b'{"tags":' * deep,
        b"[" * deep,
        b'{"a":' * deep + b"1" + b"}" * deep,
        b"\x81" * deep,
        b"\xa1\x61a" * deep,
        b"\xbf" * deep,
        b"Action=DescribeVpcs&Version=2016-11-15&Filter" + b".1" * deep + b"=x",
    )


@dataclass(frozen=True)
class Bad:
    """`ends`: whether no more than these bytes come, so that the sender closes its side."""

    kind: str
    raw: bytes
    ends: bool = False


class Source:
    """`make` gives the next one. operations: `(service, operation)`, those that serve has."""

    def __init__(
        self,
        seed: int,
        operations: list[tuple[str, str]],
        models: Mapping[str, services.Service],
        credentials: sigv4.Credentials,
        host: str,
    ) -> None:
        self._random = random.Random(seed)
        self._sampler = samples.Sampler(seed, full=True)
        self._operations = operations
        # Reading a model takes longer than a hundred requests.
        self._models = models
        self._credentials = credentials
        self._host = host
        self._sent: list[bytes] = []
        self._kinds: Mapping[str, Callable[[], Bad]] = {
            kind.removeprefix("_").replace("_", " "): getattr(self, kind)
            for kind in (
                *("_wrong_value", "_wrong_value", "_wrong_type", "_wrong_type", "_unicode", "_nested"),
                *("_wrong_protocol", "_mis_signed", "_replayed", "_truncated", "_malformed", "_oversized", "_noise"),
                "_packed",
            )
        }

    @property
    def kinds(self) -> list[str]:
        return list(self._kinds)

    def make(self) -> Bad:
        kind = self._random.choice(list(self._kinds))
        return replace(self._kinds[kind](), kind=kind)

    def good(self) -> bytes:
        """One that is answered well, whatever came before."""
        return self._signed("eks", self._plain("eks", "ListClusters", {}))

    def heaviest(self) -> Iterator[bytes]:
        """Of each operation those that take as much memory as any here does."""
        for service, operation in self._operations:
            plain = self._plain(service, operation, {})
            packed = replace(plain, headers={**plain.headers, "content-encoding": "gzip"})
            yield self._signed(service, replace(packed, body=gzip.compress(b" " * LARGEST)))
            for body in nested(DEEPEST):
                yield self._signed(service, replace(plain, body=body))

    def _wrong_value(self) -> Bad:
        """Of the right type, of no sense: what the model's constraints and the operations have to refuse."""
        service, operation, values = self._values()
        if values and self._random.random() < 0.5:
            values.pop(self._random.choice(list(values)))
        return Bad("", self._signed(service, self._plain(service, operation, values)))

    def _wrong_type(self) -> Bad:
        """JSON and CBOR with something else somewhere in it, forms with other names."""
        service, plain = self._request()
        if plain.body[:1] == b"{":
            tree = json.loads(plain.body)
            for _ in range(self._random.randint(1, 3)):
                tree = self._spoiled(tree)
            return Bad("", self._signed(service, replace(plain, body=json.dumps(tree).encode())))
        text = plain.body.decode("latin-1").split("&")
        odd = self._random.choice(("A=", "=b", "&&", "Tag.1.1.1=x", "Tag.999999999.Key=x", "Tag.-1.Key=x", "%zz=%"))
        text.insert(self._random.randrange(len(text) + 1), odd)
        return Bad("", self._signed(service, replace(plain, body="&".join(text).encode("latin-1"))))

    def _unicode(self) -> Bad:
        """Bytes that are no UTF-8, lone surrogates, and characters that look like others."""
        service, plain = self._request()
        body = bytearray(plain.body or b"{}")
        odd = self._random.choice(
            (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\xef\xbb\xbf", b"%ff")
        )
        at = self._random.randrange(len(body))
        body[at:at] = odd
        path = plain.path + self._random.choice(("", "%ff", "%ed%a0%80", "/%00", "/..", "//", "%2F%2e%2e"))
        return Bad("", self._signed(service, replace(plain, path=path, body=bytes(body))))

    def _nested(self) -> Bad:
        service, plain = self._request()
        body = self._random.choice(nested(self._random.choice((10, 100, 1000, DEEPEST))))
        return Bad("", self._signed(service, replace(plain, body=body)))

    def _wrong_protocol(self) -> Bad:
        """The words of another service, protocol or method."""
        _, plain = self._request()
        other, _ = self._random.choice(self._operations)
        headers = {**plain.headers, "content-type": self._random.choice(TYPES)}
        if self._random.random() < 0.5:
            odd = self._random.choice(("Nothing", "Logs_20140328.DescribeLogGroups", ".", "a.b.c", "ü"))
            headers["x-amz-target"] = odd
        if self._random.random() < 0.3:
            headers["smithy-protocol"] = self._random.choice(("rpc-v2-cbor", "rpc-v2-json", ""))
        method = self._random.choice((plain.method, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "X"))
        return Bad("", self._signed(other, replace(plain, method=method, headers=headers)))

    def _packed(self) -> Bad:
        """Bodies of another coding than their head says, cut off, or far larger than they are sent."""
        service, plain = self._request()
        body = self._random.choice((plain.body, b"{}", b" " * LARGEST))
        packed = bytearray(self._random.choice((gzip.compress, zlib.compress, bytes))(body[: 6 << 20]))
        if packed and self._random.random() < 0.5:
            del packed[self._random.randrange(len(packed)) :]
        if packed and self._random.random() < 0.3:
            packed[self._random.randrange(len(packed))] ^= 1 << self._random.randrange(8)
        coding = self._random.choice(("gzip", "gzip", "x-gzip", "deflate", "br", "gzip, gzip", "aws-chunked", ",", "ü"))
        headers = {**plain.headers, "content-encoding": coding}
        return Bad("", self._signed(service, replace(plain, headers=headers, body=bytes(packed[:100_000]))))

    def _mis_signed(self) -> Bad:
        service, plain = self._request()
        raw = bytearray(self._signed(service, plain))
        start = raw.index(b"authorization: ") + 15
        end = raw.index(b"\r\n", start)
        match self._random.randrange(4):
            case 0:
                raw[self._random.randrange(start, end)] = self._random.choice(b"aA0=/, ")
            case 1:
                del raw[self._random.randrange(start, end) : end]
            case 2:
                raw[start:end] = self._random.choice((b"Basic eDp5", b"", b"AWS4-HMAC-SHA256", b"Bearer x", b"=,=,="))
            case _:
                raw += b" "
        return Bad("", self._with_length(bytes(raw)))

    def _replayed(self) -> Bad:
        if not self._sent:
            return self._wrong_value()
        return Bad("", self._random.choice(self._sent))

    def _truncated(self) -> Bad:
        service, plain = self._request()
        raw = self._signed(service, plain)
        return Bad("", raw[: self._random.randrange(len(raw))], ends=True)

    def _malformed(self) -> Bad:
        """HTTP that is none any more."""
        service, plain = self._request()
        raw = bytearray(self._signed(service, plain))
        for _ in range(self._random.randint(1, 6)):
            at = self._random.randrange(min(len(raw), 400))
            raw[at : at + self._random.randint(0, 4)] = self._random.randbytes(self._random.randint(0, 4))
        return Bad("", bytes(raw), ends=True)

    def _oversized(self) -> Bad:
        service, plain = self._request()
        raw = self._signed(service, plain)
        head, _, body = raw.partition(b"\r\n\r\n")
        match self._random.randrange(5):
            case 0:
                head += b"\r\nx-large: " + b"a" * 20_000
            case 1:
                head += b"\r\nx-many: b" * 300
            case 2:
                head = head.replace(b" HTTP", b"?" + b"a" * 30_000 + b" HTTP", 1)
            case 3:
                head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"content-length"))
                head += b"\r\ncontent-length: " + str(10 ** self._random.randint(7, 30)).encode()
            case _:
                large = b'{"name":"' + b"a" * 200_000 + b'"}'
                return Bad("", self._signed(service, replace(plain, body=large)))
        return Bad("", head + b"\r\n\r\n" + body)

    def _noise(self) -> Bad:
        return Bad("", self._random.randbytes(self._random.randint(1, 300)), ends=True)

    def _request(self) -> tuple[str, exchange.Request]:
        service, operation, values = self._values()
        return service, self._plain(service, operation, values)

    def _values(self) -> tuple[str, str, dict[str, Any]]:
        service, operation = self._random.choice(self._operations)
        shape = self._models[service].operation(operation).input
        self._sampler.full = self._random.random() < 0.5
        values = {} if shape is None else self._sampler.structure(shape)
        for name, ref in () if shape is None else shape.members.items():
            if name in values and ref.shape.kind == "string" and self._random.random() < 0.3:
                values[name] = self._random.choice(TEXTS)
        return service, operation, values

    def _plain(self, service: str, operation: str, values: Mapping[str, Any]) -> exchange.Request:
        model = self._models[service]
        known: shapes.Operation = model.operation(operation)
        try:
            return client.serialize(model, known, values)
        except (errors.Error, KeyError, ValueError):
            # A path without its label: what a careless client sends then.
            return exchange.Request(known.method, known.uri.partition("?")[0], "", {}, b"{}")

    def _spoiled(self, tree: Any) -> Any:
        """The tree with one place of it replaced."""
        if isinstance(tree, dict) and tree and self._random.random() < 0.8:
            key = self._random.choice(list(tree))
            return {**tree, key: self._spoiled(tree[key])}
        if isinstance(tree, list) and tree and self._random.random() < 0.8:
            at = self._random.randrange(len(tree))
            return [*tree[:at], self._spoiled(tree[at]), *tree[at + 1 :]]
        return self._random.choice(ODD)

    def _signed(self, service: str, plain: exchange.Request) -> bytes:
        model = self._models[service]
        bare = replace(plain, headers={**plain.headers, "host": self._host})
        signed = sigv4.sign(bare, self._credentials, REGION, model.signing_name, dt.datetime.now(dt.UTC))
        lines = [
            f"{signed.method} {signed.target} HTTP/1.1",
            *(f"{key}: {text}" for key, text in signed.headers.items()),
        ]
        length = f"content-length: {len(signed.body)}"
        raw = "\r\n".join([*lines, length, "", ""]).encode("utf-8", "surrogateescape") + signed.body
        if self._random.random() < 0.02:
            self._sent = [*self._sent[-99:], raw]
        return raw

    def _with_length(self, raw: bytes) -> bytes:
        """The length that the body has now: it is the signature that is wrong."""
        head, _, body = raw.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-length")]
        return b"\r\n".join([*lines, f"content-length: {len(body)}".encode(), b"", body])
