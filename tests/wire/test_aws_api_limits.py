"""The door under callers that are slow, greedy or talk no HTTP: they are held off, and the others are answered."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from testkit import api_served
from tests.wire import api_operations

from roadstead.aws import registry
from roadstead.aws.authorization import administrators
from roadstead.aws.http import dispatch, server
from roadstead.identity import accounts
from roadstead.store.sqlite import local
from roadstead.wire import client as wire_client
from roadstead.wire import exchange, services, sigv4

REGION = "eu-central-1"
SLOW = 600


@dataclass
class Open:
    """A door in this process, and what signs for it."""

    door: server.Server
    port: int
    credentials: sigv4.Credentials

    def signed(self, operation: str, service: str = "eks", **asked: object) -> exchange.Request:
        model = services.load(service)
        plain = wire_client.serialize(model, model.operation(operation), asked)
        headers = {**plain.headers, "host": f"127.0.0.1:{self.port}"}
        bare = exchange.Request(plain.method, plain.path, plain.query, headers, plain.body)
        return sigv4.sign(bare, self.credentials, REGION, model.signing_name, dt.datetime.now(dt.UTC))

    async def send(self, raw: bytes, *, finish: bool = False) -> bytes:
        """What comes back until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(raw)
            if finish:
                writer.write_eof()
            async with asyncio.timeout(10):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def raw(request: exchange.Request, **more: str) -> bytes:
    headers = {"content-length": str(len(request.body)), "connection": "close", **request.headers, **more}
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + request.body


@contextlib.asynccontextmanager
async def door(folder: Path, limits: server.ServerLimits) -> AsyncIterator[Open]:
    operations = registry.build([registry.Service((api_operations,))])
    async with local.opened(local.Places(folder / "state")) as store:
        account = await accounts.ensure(store, time.time())
        assert account.secret is not None
        facts = dispatch.DispatcherFacts(
            operations, store, frozenset({REGION}), account.cursors, administrators.Administrators()
        )
        made = server.Server(dispatch.Dispatcher(facts), {}, limits)
        async with server.opened(made, "127.0.0.1", 0) as (_, port):
            yield Open(made, port, sigv4.Credentials(account.account.access_key, account.secret))


def with_door(folder: Path, test: Callable[[Open], Awaitable[None]], limits: server.ServerLimits | None = None) -> None:
    async def run() -> None:
        async with door(folder, limits or server.ServerLimits()) as opened:
            await test(opened)

    asyncio.run(run())


async def metrics(opened: Open) -> dict[str, float]:
    text = (await opened.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("roadstead_"))
    return {name: float(value) for name, value in pairs}


async def until(opened: Open, true: Callable[[dict[str, float]], bool]) -> None:
    """Nothing tells of what the metrics show: they are asked until it is so. Empty: there was no room to ask."""
    async with asyncio.timeout(10):
        while not true(await metrics(opened)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_signed_request_over_a_plain_socket(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        answer = await opened.send(raw(opened.signed("ListClusters")))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b'{"clusters":[]}' in answer
        assert b"Server: Roadstead\r\n" in answer
        absolute = opened.signed("ListClusters")
        text = raw(absolute).replace(b"GET /clusters", f"GET http://127.0.0.1:{opened.port}/clusters".encode())
        assert (await opened.send(text)).startswith(b"HTTP/1.1 200 OK")

    with_door(tmp_path, test)


def test_many_requests_in_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        first = raw(opened.signed("ListNodegroups", clusterName="a", maxResults=1), connection="keep-alive")
        second = raw(opened.signed("ListClusters"))
        answer = await opened.send(first + second)
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert answer.index(b"nodegroups") < answer.index(b"clusters")

    with_door(tmp_path, test)


def test_a_caller_that_waits_to_be_told_to_go_on(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        request = opened.signed("CreateCluster", name="a", roleArn="r", resourcesVpcConfig={})
        whole = raw(request, expect="100-continue")
        head, body = whole[: -len(request.body)], request.body
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        writer.write(head)
        async with asyncio.timeout(10):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
        await writer.wait_closed()

    with_door(tmp_path, test)


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"GET /clus",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
    ],
    ids=["silent", "line", "headers", "body"],
)
def test_a_request_that_never_ends_is_dropped(tmp_path: Path, start: bytes) -> None:
    async def test(opened: Open) -> None:
        began = time.monotonic()
        assert not (await opened.send(start))
        assert time.monotonic() - began > 0.2
        await until(opened, lambda seen: seen.get("roadstead_connections_slow", 0) >= 1)

    with_door(tmp_path, test, server.ServerLimits(arriving=0.3))


def test_a_trickle_is_not_enough(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        ended = asyncio.ensure_future(reader.read())
        began = time.monotonic()
        writer.write(b"GET / HTTP/1.1\r\n")
        while not ended.done():
            assert time.monotonic() - began < 30
            with contextlib.suppress(ConnectionError):
                writer.write(b"X-A: b\r\n")
                await writer.drain()
            await asyncio.wait([ended], timeout=0.02)
        with contextlib.suppress(ConnectionError):
            await ended
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    with_door(tmp_path, test, server.ServerLimits(arriving=0.4, headers=10_000))


def test_a_connection_that_asks_no_more_is_ended(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        began = time.monotonic()
        answer = await opened.send(raw(opened.signed("ListClusters"), connection="keep-alive"))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert time.monotonic() - began > 0.2

    with_door(tmp_path, test, server.ServerLimits(idle=0.3))


def taken(connection: socket.socket) -> int:
    """Bytes that still come until the connection ends."""
    count = 0
    with contextlib.suppress(ConnectionError):
        while some := connection.recv(1 << 20):
            count += len(some)
    return count


def test_who_does_not_take_an_answer_is_dropped(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        with socket.create_connection(("127.0.0.1", opened.port), timeout=10) as deaf:
            deaf.sendall(raw(opened.signed("DescribeClusterVersions")))
            # Who asks for the metrics may be too slow, too: there is one connection when the deaf one is dropped.
            await until(
                opened,
                lambda seen: (
                    seen.get("roadstead_connections_slow", 0) >= 1 and seen.get("roadstead_connections", 0) == 1
                ),
            )
            assert await asyncio.to_thread(taken, deaf) < 20_000_000

    with_door(tmp_path, test, server.ServerLimits(idle=0.3))


def test_a_request_that_takes_its_time_is_not_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_operations, "takes", functools.partial(asyncio.sleep, 3.0))

    async def test(opened: Open) -> None:
        answer = await opened.send(raw(opened.signed("DescribeAddonVersions")))
        assert b'"addons":[]' in answer

    with_door(tmp_path, test, server.ServerLimits(arriving=2.0, idle=2.0))


def test_large_bodies_are_refused_unread(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        head = f"POST /clusters HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n".encode()
        assert (await opened.send(head)).startswith(b"HTTP/1.1 413")
        nobody = opened.signed("CreateCluster", name="a", roleArn="r", resourcesVpcConfig={})
        unknown = raw(nobody, **{"content-length": "200000"}).replace(
            opened.credentials.access_key.encode(), b"AKIAIOSFODNN7EXAMPLE"
        )
        answer = await opened.send(unknown)
        assert answer.startswith(b"HTTP/1.1 403")
        assert b"UnrecognizedClientException" in answer

    with_door(tmp_path, test)


def test_bodies_without_a_length_are_counted_as_they_come(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        request = opened.signed("CreateCluster", name="a", roleArn="r", resourcesVpcConfig={})
        lines = raw(request)[: -len(request.body)].decode().split("\r\n")
        head = "\r\n".join(line for line in lines if not line.startswith("content-length"))
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        chunked = head.removesuffix("\r\n") + "transfer-encoding: chunked\r\n\r\n"
        answer = await opened.send(chunked.encode() + chunk * 10)
        assert answer.startswith(b"HTTP/1.1 413")
        assert (await metrics(opened))["roadstead_body_bytes"] == 0

    with_door(tmp_path, test, server.ServerLimits(body=0x10000))


def test_all_bodies_together_are_bounded(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        request = opened.signed("CreateCluster", name="a", roleArn="r", resourcesVpcConfig={})
        head = raw(request, **{"content-length": "60000"})[: -len(request.body)]
        _, writer = await asyncio.open_connection("127.0.0.1", opened.port)
        writer.write(head + b"x" * 50_000)
        await writer.drain()
        await until(opened, lambda seen: seen["roadstead_body_bytes"] >= 50_000)
        assert (await opened.send(head + b"x" * 60_000)).startswith(b"HTTP/1.1 503")
        writer.close()
        await writer.wait_closed()
        await until(opened, lambda seen: not seen["roadstead_body_bytes"])

    with_door(tmp_path, test, server.ServerLimits(bodies=100_000))


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\nnothing\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 500 + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["tls", "version", "noise", "line", "header", "headers", "smuggled", "length"],
)
def test_what_is_no_http_is_told_in_one_sentence(tmp_path: Path, text: bytes) -> None:
    async def test(opened: Open) -> None:
        answer = await opened.send(text)
        assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
        assert b"Traceback" not in answer
        assert b"MalformedHttpRequestException" in answer

    with_door(tmp_path, test)


def test_who_waits_longest_gives_way(tmp_path: Path) -> None:
    async def test(opened: Open) -> None:
        first = await asyncio.open_connection("127.0.0.1", opened.port)
        second = await asyncio.open_connection("127.0.0.1", opened.port)
        answer = await opened.send(raw(opened.signed("ListClusters")))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert await first[0].read() == b""
        assert not second[0].at_eof()
        for _, writer in (first, second):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    with_door(tmp_path, test, server.ServerLimits(connections=2))


def test_work_does_not_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = asyncio.Event()
    monkeypatch.setattr(api_operations, "takes", go.wait)

    async def test(opened: Open) -> None:
        slow = [asyncio.ensure_future(opened.send(raw(opened.signed("DescribeAddonVersions")))) for _ in range(2)]
        async with asyncio.timeout(10):
            while opened.door._http.callers.open < 2 or opened.door._http.callers.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await opened.send(raw(opened.signed("ListClusters"))) == b""
        go.set()
        answers = await asyncio.gather(*slow)
        assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
        assert (await metrics(opened))["roadstead_connections_evicted"] >= 1

    with_door(tmp_path, test, server.ServerLimits(connections=2))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_six_hundred_slow_clients_are_held_off(tmp_path: Path) -> None:
    with api_served.served(tmp_path / "state", tmp_path / "home") as serve, contextlib.ExitStack() as stack:
        eks = serve.client("eks")
        eks.list_clusters()
        before = serve.memory()
        # Each opens a connection of its own.
        others = [serve.client("eks") for _ in range(20)]
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", serve.port), timeout=10)) for _ in range(SLOW)
        ]
        for client in clients:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"POST /clusters HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 4000)
        began = time.monotonic()
        for other in others:
            assert other.list_clusters()["clusters"] == []
        assert time.monotonic() - began < 10
        assert serve.memory() - before < 40 * 1024
        assert sum(1 for _ in Path(f"/proc/{serve.process.pid}/fd").iterdir()) < 512 + 32
