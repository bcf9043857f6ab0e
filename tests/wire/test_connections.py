"""Connections with a clock, as porter's and serve's servers have them: who is too slow goes, who works stays."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from roadstead.http import connections, gate

LONG = 30.0
"""Seconds: no limit within a test."""
SHORT = 0.1


@contextlib.asynccontextmanager
async def served(
    arriving: float = LONG, idle: float = LONG, most: int = 8
) -> AsyncIterator[tuple[int, Counter[str], asyncio.Event]]:
    """A port that answers with the body that it got, once the event is set; and what was counted."""
    go, counts = asyncio.Event(), Counter[str]()
    go.set()

    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        connections.of(request).working()
        try:
            await go.wait()
            return web.Response(body=body)
        finally:
            connections.of(request).answered()

    limits = connections.Limits(gate.Limits(most, most), arriving, idle)
    server = connections.Server(echo, lambda status, _: web.Response(status=status), limits, counts)
    listener = await asyncio.get_running_loop().create_server(server.protocol, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1], counts, go
    finally:
        listener.close()
        await server.close(0.1)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that still comes, until the connection has ended, in whichever way."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            return await reader.read()
    return b""


@pytest.mark.parametrize(
    "sent", [b"", b"POST / HTTP/1.1\r\nHos", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal"]
)
def test_a_request_that_never_ends_ends_its_connection(sent: bytes) -> None:
    async def test() -> None:
        async with served(arriving=SHORT) as (port, counts, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            assert await rest(reader) == b""
            assert counts == {connections.SLOW: 1}
            writer.close()

    asyncio.run(test())


def test_who_asks_nothing_more_goes_in_time_and_was_answered_before() -> None:
    async def test() -> None:
        async with served(idle=SHORT) as (port, _, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
            assert (await reader.readuntil(b"body")).startswith(b"HTTP/1.1 200")
            assert await rest(reader) == b""
            writer.close()

    asyncio.run(test())


def test_work_has_no_clock_and_does_not_give_way() -> None:
    async def test() -> None:
        async with served(arriving=SHORT, idle=SHORT, most=1) as (port, counts, go):
            go.clear()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
            others = 0
            # For longer than any of its limits: until others have been refused whom a clock would have let in.
            async with asyncio.timeout(20):
                end = asyncio.get_running_loop().time() + 5 * SHORT
                while asyncio.get_running_loop().time() < end:
                    other, closing = await asyncio.open_connection("127.0.0.1", port)
                    assert await rest(other) == b""
                    closing.close()
                    others += 1
            go.set()
            assert (await reader.readuntil(b"body")).startswith(b"HTTP/1.1 200")
            assert counts[connections.EVICTED] == others
            writer.close()

    asyncio.run(test())


def test_who_waits_gives_way() -> None:
    async def test() -> None:
        async with served(most=1) as (port, counts, _):
            first, closing = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
            assert (await reader.readuntil(b"body")).startswith(b"HTTP/1.1 200")
            assert await rest(first) == b""
            assert counts[connections.EVICTED] == 1
            writer.close()
            closing.close()

    asyncio.run(test())


def test_what_is_no_http_is_answered_in_our_words_once() -> None:
    async def test() -> None:
        async with served() as (port, _, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"what\r\n\r\n")
            answer = await rest(reader)
            assert answer.startswith(b"HTTP/1.0 400")
            assert answer.endswith(b"\r\n\r\n")
            writer.close()

    asyncio.run(test())
