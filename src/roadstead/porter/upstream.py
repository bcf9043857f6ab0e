"""The machine's resolvers: asked for every name that is not a VPC's own.

Source: resolv.conf(5). A resolver on loopback works as well: porter is in the machine's network namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from roadstead.core import errors
from roadstead.porter import dns_messages

RESOLV_CONF = Path("/etc/resolv.conf")
TIMEOUT = 2.0
"""Seconds for each resolver to answer."""
_PORT = 53
_MOST = 3
"""Resolvers that are asked: as many as the C library takes."""
_AGAIN = frozenset({dns_messages.Code.FAILED, dns_messages.Code.REFUSED})
"""What another resolver may know better."""


@dataclass(frozen=True)
class UpstreamServer:
    """A resolver of the machine."""

    address: str
    port: int = _PORT


class Servers(Protocol):
    """Where questions go that this one has no answer for."""

    def __call__(self) -> tuple[UpstreamServer, ...]:
        """The resolvers, in the order in which they are asked."""
        ...


class Configured:
    """Those of resolv.conf, read again when the file has changed."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._servers: tuple[UpstreamServer, ...] = (UpstreamServer("127.0.0.1"),)

    def __call__(self) -> tuple[UpstreamServer, ...]:
        try:
            facts = self._path.stat()
            seen = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if seen != self._seen:
                self._servers = listed(self._path.read_text("utf-8", "replace"))
                self._seen = seen
        except OSError:
            # It is being replaced, or there is none: as it was.
            return self._servers
        return self._servers


def listed(text: str) -> tuple[UpstreamServer, ...]:
    """The resolvers of a resolv.conf; the one on loopback when it names none."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            found.append(UpstreamServer(words[1]))
    return tuple(found[:_MOST]) or (UpstreamServer("127.0.0.1"),)


def server(text: str) -> UpstreamServer:
    """`ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`. Raises Invalid."""
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or str(_PORT)
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, str(_PORT)
    with contextlib.suppress(ValueError, OSError):
        socket.getaddrinfo(address, None, flags=socket.AI_NUMERICHOST)
        if 0 < int(port) < 65536:
            return UpstreamServer(address, int(port))
    raise errors.Invalid(f"{text!r} is no resolver: 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53 is wanted")


async def ask(query: bytes, servers: tuple[UpstreamServer, ...], *, stream: bool, timeout: float = TIMEOUT) -> bytes:
    """The first good response of the resolvers, by TCP or UDP as the question came; SERVFAIL when there is none.

    A resolver that does not answer in time, fails or refuses gives way to the next.
    """
    last: bytes | None = None
    for one in servers:
        sent = dns_messages.with_id(query, secrets.token_bytes(2))
        try:
            async with asyncio.timeout(timeout):
                response = await (_by_stream(sent, one) if stream else _by_datagram(sent, one))
        except (OSError, TimeoutError, EOFError):
            continue
        last = dns_messages.with_id(response, query[:2])
        if dns_messages.code(response) not in _AGAIN:
            return last
    return last if last is not None else dns_messages.failed(query, dns_messages.Code.FAILED)


class _Waiting(asyncio.DatagramProtocol):
    """One question on a socket of its own, so that nobody can guess the port; what is no answer to it is not taken."""

    def __init__(self, query: bytes) -> None:
        self._query = query
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        if not self.response.done() and dns_messages.answers(data, self._query):
            self.response.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.response.done():
            self.response.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.response.cancel()


async def _by_datagram(query: bytes, to: UpstreamServer) -> bytes:
    loop = asyncio.get_running_loop()
    transport, waiting = await loop.create_datagram_endpoint(lambda: _Waiting(query), remote_addr=(to.address, to.port))
    try:
        transport.sendto(query)
        return await waiting.response
    finally:
        transport.close()


async def _by_stream(query: bytes, to: UpstreamServer) -> bytes:
    reader, writer = await asyncio.open_connection(to.address, to.port)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        await writer.drain()
        response = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        if not dns_messages.answers(response, query):
            raise OSError("the resolver answered another question")
        return response
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
