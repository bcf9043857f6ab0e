"""The resolver of a VPC, at base+2 of each of its subnets: UDP and TCP, on sockets that were passed.

Names of the VPC's hosts are answered here; every other question goes to the machine's resolvers as it came. Who asks
too much at once is not answered (UDP) or waits (TCP): what a resolver has in work is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from roadstead.http import gate
from roadstead.porter import dns_messages, upstream

log = logging.getLogger(__name__)

IN_WORK = 256
"""Questions to others of one VPC at a time."""
EACH_IN_WORK = 64
"""The same of one source, by UDP."""
CONNECTIONS = gate.Limits(64, 8)
"""TCP connections to one socket at a time."""
IDLE = 10.0
"""Seconds for the next question on a TCP connection, and for taking an answer."""


@dataclass(frozen=True)
class KnownNames:
    """What a resolver works with. `zone`: the VPC's names as they are now, None when it is gone."""

    zone: Callable[[], dns_messages.VpcZone | None]
    servers: upstream.Servers
    counts: Counter[str]


class Resolver:
    """The resolver of one VPC behind any number of sockets."""

    def __init__(self, known: KnownNames) -> None:
        self._known = known
        self._room = asyncio.Semaphore(IN_WORK)
        self.tasks: set[asyncio.Task[None]] = set()
        self._asking: Counter[str] = Counter()

    def at_once(self, query: bytes) -> bytes | None:
        """The response that needs nobody else; None when others are to be asked."""
        if dns_messages.opcode(query) != 0:
            return dns_messages.failed(query, dns_messages.Code.NOT_BUILT)
        try:
            asked = dns_messages.question(query)
        except dns_messages.Malformed:
            return dns_messages.failed(query, dns_messages.Code.FORMAT)
        zone = self._known.zone()
        if zone is None:
            return dns_messages.failed(query, dns_messages.Code.REFUSED)
        response = dns_messages.own(query, asked, zone)
        if response is not None:
            self._known.counts["names answered"] += 1
        return response

    def full(self, source: str) -> bool:
        return len(self.tasks) >= IN_WORK or self._asking[source] >= EACH_IN_WORK

    async def others(self, query: bytes, *, stream: bool) -> bytes:
        """The response of the machine's resolvers."""
        async with self._room:
            response = await upstream.ask(query, self._known.servers(), stream=stream)
        failed = dns_messages.code(response) == dns_messages.Code.FAILED
        self._known.counts["names not resolved" if failed else "names forwarded"] += 1
        return response

    def count(self, what: str) -> None:
        self._known.counts[what] += 1

    def spawn(self, task: asyncio.Task[None], source: str) -> None:
        """Keeps a task until it is done, and counts it to its source."""
        self.tasks.add(task)
        self._asking[source] += 1
        task.add_done_callback(lambda done: self._done(done, source))

    def _done(self, task: asyncio.Task[None], source: str) -> None:
        self.tasks.discard(task)
        self._asking[source] -= 1
        if not self._asking[source]:
            del self._asking[source]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a question failed: %s", type(error).__name__)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own are not of that class, before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not dns_messages.is_query(data):
            return
        response = self._resolver.at_once(data)
        if response is not None:
            self._send(response, addr)
        elif self._resolver.full(source := gate.source(addr)):
            # Its sender asks again, as it would after any loss.
            self._resolver.count("questions dropped")
        else:
            self._resolver.spawn(asyncio.get_running_loop().create_task(self._forward(data, addr)), source)

    async def _forward(self, query: bytes, addr: tuple[str, int]) -> None:
        self._send(await self._resolver.others(query, stream=False), addr)

    def _send(self, response: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(response, addr)


async def datagrams(resolver: Resolver, passed: socket.socket) -> Callable[[], None]:
    """Answer on a UDP socket, which is taken over; what ends it."""
    passed.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Datagrams(resolver), sock=passed)
    return transport.close


async def streams(resolver: Resolver, passed: socket.socket) -> tuple[Callable[[], None], gate.Gate]:
    """Answer on a listening TCP socket, which is taken over; what ends that, and who knows which are open still."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _talk(resolver, reader, writer)
        except (OSError, EOFError, TimeoutError):
            resolver.count("connections ended by their clients")
        except asyncio.CancelledError:
            # The program ends. Nothing comes after this, and Python 3.11 would print where it was.
            pass
        finally:
            writer.transport.abort()

    held = gate.Gate(passed, CONNECTIONS, lambda: resolver.count("connections refused"))
    server = await asyncio.start_server(connected, sock=held, limit=dns_messages.LONGEST + 2)
    return server.close, held


async def _talk(resolver: Resolver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One question after the other (RFC 7766), until the client ends it or says nothing for a while."""
    while True:
        async with asyncio.timeout(IDLE):
            try:
                size = await reader.readexactly(2)
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    raise
                break
            query = await reader.readexactly(int.from_bytes(size, "big"))
        if not dns_messages.is_query(query):
            return
        response = resolver.at_once(query) or await resolver.others(query, stream=True)
        writer.write(len(response).to_bytes(2, "big") + response)
        async with asyncio.timeout(IDLE):
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
