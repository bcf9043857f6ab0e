"""Servers under one source of very many callers, over real sockets: it has its share, and others come in."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit import test_porter_dns_messages as made
from tests.wire import test_aws_api_limits as front

from roadstead.aws.http import certificates, server
from roadstead.http import gate
from roadstead.porter import dns, dns_messages, upstream

GREEDY, OTHER = "127.0.0.66", "127.0.0.77"
SECONDS = 10.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def call(port: int, source: str, count: int, stack: contextlib.AsyncExitStack) -> list[Streams]:
    """So many connections that say nothing."""
    found = []
    for _ in range(count):
        found.append(await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0)))
        stack.push_async_callback(leave, found[-1][1])
    return found


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def ended(streams: Streams) -> bool:
    with contextlib.suppress(ConnectionError):
        return await streams[0].read(1) == b""
    return True


async def until_ended(streams: list[Streams], count: int) -> None:
    async with asyncio.timeout(SECONDS):
        waiting = {asyncio.ensure_future(ended(each)) for each in streams}
        gone = 0
        while gone < count:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            gone += len(done)
        for each in waiting:
            each.cancel()


def test_who_has_most_gives_way_at_the_front_desk(tmp_path: Path) -> None:
    async def test(opened: front.Open) -> None:
        async with contextlib.AsyncExitStack() as stack:
            first = await call(opened.port, OTHER, 1, stack)
            many = await call(opened.port, GREEDY, 40, stack)
            await until_ended(many, 40 - 12)
            second = await call(opened.port, OTHER, 6, stack)
            await until_ended(many, 40 - 9)
            for reader, writer in (*first, *second):
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                async with asyncio.timeout(SECONDS):
                    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

    front.with_door(tmp_path, test, server.ServerLimits(connections=16, each=12))


def test_who_never_speaks_tls_is_counted_too(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path / "tls", ["127.0.0.1"], dt.datetime.now(dt.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    trusting = ssl.create_default_context(cafile=str(files.ca))

    async def test(plain: front.Open) -> None:
        limits = server.ServerLimits(connections=16, each=12)
        door = server.Server(plain.door._dispatcher, {}, limits)
        async with server.opened(door, "127.0.0.1", 0, context) as (_, port), contextlib.AsyncExitStack() as stack:
            many = await call(port, GREEDY, 200, stack)
            await until_ended(many, 200 - door.held.each)
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trusting, local_addr=(OTHER, 0), server_hostname="127.0.0.1"
            )
            stack.push_async_callback(leave, writer)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(SECONDS):
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

    front.with_door(tmp_path, test)


def test_whoever_goes_makes_room() -> None:
    async def test() -> None:
        async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"in")
            await reader.read()
            writer.close()

        refused = Counter[str]()
        door = gate.Gate(socket.create_server(("127.0.0.1", 0)), gate.Limits(5, 2), lambda: refused.update(["x"]))
        listener = await asyncio.start_server(held, sock=door)
        async with listener, contextlib.AsyncExitStack() as stack:
            port = listener.sockets[0].getsockname()[1]
            for _ in range(20):
                two = await call(port, GREEDY, 2, stack)
                for reader, _ in two:
                    assert await reader.readexactly(2) == b"in"
                (third,) = await call(port, GREEDY, 1, stack)
                assert await ended(third)
                for reader, writer in two:
                    writer.write_eof()
                    assert await reader.read() == b""
            assert refused["x"] == 20
            assert not door._open

    asyncio.run(test())


@contextlib.asynccontextmanager
async def resolver() -> AsyncIterator[tuple[dns.Resolver, Counter[str]]]:
    """Of a VPC; whom it asks for other names never answers."""
    counts = Counter[str]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        servers = (upstream.UpstreamServer("127.0.0.1", deaf.getsockname()[1]),)
        found = dns.Resolver(dns.KnownNames(lambda: made.ZONE, lambda: servers, counts))
        try:
            yield found, counts
        finally:
            for task in found.tasks:
                task.cancel()


@pytest.mark.parametrize("kind", ["greedy", "other"])
def test_a_pod_that_asks_for_very_many_names_leaves_room_for_others(kind: str) -> None:
    async def test() -> None:
        async with resolver() as (found, counts):
            sent: list[tuple[bytes, tuple[str, int]]] = []
            door = dns._Datagrams(found)
            for number in range(4 * dns.IN_WORK):
                door.datagram_received(made.query("example.com"), (GREEDY, number))
            assert len(found.tasks) == dns.EACH_IN_WORK < dns.IN_WORK
            assert counts["questions dropped"] == 4 * dns.IN_WORK - dns.EACH_IN_WORK
            before = len(found.tasks)
            door.datagram_received(made.query("example.org"), (GREEDY if kind == "greedy" else OTHER, 1))
            assert len(found.tasks) - before == (kind == "other")
            assert sent == []

    asyncio.run(test())


def test_a_pod_that_holds_connections_to_a_resolver_leaves_room_for_others() -> None:
    async def test() -> None:
        async with resolver() as (found, counts), contextlib.AsyncExitStack() as stack:
            passed = socket.create_server(("127.0.0.1", 0))
            port = passed.getsockname()[1]
            stack.callback((await dns.streams(found, passed))[0])
            many = await call(port, GREEDY, 3 * dns.CONNECTIONS.most, stack)
            await until_ended(many, 3 * dns.CONNECTIONS.most - dns.CONNECTIONS.each)
            ((reader, writer),) = await call(port, OTHER, 1, stack)
            asked = made.query(made.HOST)
            writer.write(len(asked).to_bytes(2, "big") + asked)
            async with asyncio.timeout(SECONDS):
                response = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            assert dns_messages.answers(response, asked)
            assert counts["connections refused"] == 3 * dns.CONNECTIONS.most - dns.CONNECTIONS.each

    asyncio.run(test())
