"""Requests, responses and faults as plain facts: the whole vocabulary between a socket and the codecs.

Paths and queries are raw, as they stood on the request line: `%2F` in a path is part of a name, `/` divides names,
and a signature is over the raw form, with a path's segments `normalized`. Header names are lower case; a header sent
twice is joined with a comma.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from roadstead.core import errors

Protocol = Literal["rest-json", "json-1.0", "json-1.1", "query", "ec2", "rpc-v2-cbor"]

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a body beyond which a request is refused unread. The largest of AWS's here is PutLogEvents: 1 MiB."""
MOST_ITEMS = 100_000
"""Values of a body, each element and member, beyond which it is refused: what one costs is more than its byte or two.

The most of AWS's here are PutLogEvents' too: 10,000 events of three values each.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. `path` is raw and without the query; `query` is raw and without the '?'."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def make(cls, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """A request from the target of its first line and its headers as they were sent."""
        path, _, query = target.partition("?")
        return cls(method=method, path=path or "/", query=query, headers=joined(headers), body=body)

    @property
    def target(self) -> str:
        """Path and query as they stand in the first line of a request."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer, whole."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Fault:
    """An AWS error: what a client sees. `members` are those of the modelled shape, beside the message."""

    code: str
    message: str
    status: int = 400
    sender: bool = True
    members: Mapping[str, Any] = field(default_factory=dict)


class RequestRefused(errors.Invalid):
    """A request that no operation ever sees: `fault` is the answer in the words of its protocol."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message, code=fault.code)
        self.fault = fault


class Malformed(errors.Invalid):
    """Something inside a message is not of the form that the model asks for. `path` leads to it, e.g. `tags.0.key`.

    Codecs raise it; `server.parse_input` turns it into a `Refused` with the protocol's code.
    """

    def __init__(self, reason: str, *path: str) -> None:
        super().__init__(f"{'.'.join(path)}: {reason}" if path else reason)
        self.reason = reason
        self.path = path

    def under(self, name: str) -> Malformed:
        """The same complaint, seen from the structure that holds `name`."""
        return Malformed(self.reason, name, *self.path)


def too_many() -> Malformed:
    """What to raise for lists and maps that together are longer than any request's."""
    return Malformed(f"more than {MOST_ITEMS} values in one body")


def normalized(path: str) -> str:
    """Without empty, `.` and `..` segments; a slash at the end stays (behind a last `.` RFC 3986 would make one).

    Signatures are over this form (all services but S3), so nothing else may say where a request goes.
    """
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    inner = "/".join(kept)
    return f"/{inner}/" if inner and path.endswith("/") else f"/{inner}"


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by lower-case name; those sent more than once are joined with a comma, as RFC 9110 has it."""
    together: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        together[key] = f"{together[key]},{value}" if key in together else value
    return together
