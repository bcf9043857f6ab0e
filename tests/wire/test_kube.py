"""The telephone against a small API server on loopback: fail-over, watches resumed, 410 listed anew."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from roadstead.aws.http import certificates
from roadstead.core import errors
from roadstead.kube import connection, mirror, resources
from roadstead.kube.resources import Json


def node(name: str, revision: int) -> Json:
    return {"metadata": {"name": name, "resourceVersion": str(revision)}}


class Server:
    """Answers lists from `items`, and each watch with the next of `scripts`; the last watch stays open."""

    def __init__(self) -> None:
        self.items: list[Json] = []
        self.revision = 1
        self.scripts: list[list[Json]] = []
        self.asked: list[str] = []
        self.status = 200
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch")
        self.asked.append(f"watch {request.query['resourceVersion']}" if watch else f"{request.method} list")
        if self.status != 200:
            return web.json_response({"message": "not now"}, status=self.status)
        if not watch:
            return web.json_response({"metadata": {"resourceVersion": str(self.revision)}, "items": self.items})
        response = web.StreamResponse()
        await response.prepare(request)
        script = self.scripts.pop(0) if self.scripts else None
        for event in script or ():
            line = msgspec.json.encode(event) + b"\n"
            # In two pieces: a line is whole when its end has come.
            await response.write(line[:7])
            await response.write(line[7:])
        if script is None:
            await asyncio.Event().wait()
        return response


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    server = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


@contextlib.contextmanager
def closed() -> Iterator[str]:
    """A server that refuses connections. Its port is nobody else's meanwhile."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{one.getsockname()[1]}"


def test_a_server_that_is_away_or_ill_is_passed_over() -> None:
    async def story() -> None:
        async with serving() as ill, serving() as well:
            ill.status = 503
            with closed() as away:
                async with connection.Connection((away, ill.url, well.url), None) as api:
                    for _ in range(3):
                        await api.list(resources.NODES)
            assert ill.asked == ["GET list"], "the one that answered is asked first the next time"
            assert len(well.asked) == 3

    run(story)


def test_what_may_not_be_sent_twice_is_not() -> None:
    async def story() -> None:
        async with serving() as ill, serving() as well:
            ill.status = 503
            async with connection.Connection((ill.url, well.url), None) as api:
                with pytest.raises(errors.Busy, match="not now"):
                    await api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
            assert well.asked == []

    run(story)


def test_without_a_server_it_is_busy() -> None:
    async def story() -> None:
        with closed() as one, closed() as other:
            async with connection.Connection((one, other), None) as api:
                with pytest.raises(errors.Busy):
                    await api.list(resources.NODES)

    run(story)


def test_a_mirror_follows_resumes_and_lists_anew() -> None:
    async def story() -> None:
        async with serving() as server:
            server.items, server.revision = [node("a", 3), node("b", 4)], 4
            gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}}
            server.scripts = [
                [
                    {"type": "ADDED", "object": node("c", 5)},
                    {"type": "DELETED", "object": node("a", 6)},
                    {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
                ],
                [gone],
            ]
            changes: list[str] = []
            done = asyncio.Event()

            def changed(name: str) -> None:
                changes.append(name)
                if len(changes) == 3:
                    server.items, server.revision = [node("b", 4), node("c", 12)], 12
                if len(changes) == 5:
                    done.set()

            async with connection.Connection((server.url,), None) as api:
                copy = mirror.Mirror(api, resources.NODES, changed=changed)
                task = asyncio.create_task(copy.run())
                await done.wait()
                while server.asked[-1] != "watch 12":  # noqa: ASYNC110  # the server's side has no event for it
                    await asyncio.sleep(0.01)
                task.cancel()
                await asyncio.wait({task})
            assert sorted(changes[:2]) == ["a", "b"]
            assert changes[2:] == ["c", "a", "c"], "b did not change"
            assert copy.objects.keys() == {"b", "c"}
            assert copy.objects["b"]["kind"] == "Node"
            assert server.asked == ["GET list", "watch 4", "watch 9", "GET list", "watch 12"]

    run(story)


def test_trouble_is_told_after_the_second_time_and_its_end() -> None:
    async def story() -> None:
        async with serving() as server:
            server.status = 503
            told: list[bool] = []
            well = asyncio.Event()

            def tell(error: errors.Error | None) -> None:
                told.append(error is None)
                server.status = 200
                if error is None:
                    well.set()

            async with connection.Connection((server.url,), None) as api:
                copy = mirror.Mirror(api, resources.NODES, changed=lambda _: None, told=tell)
                task = asyncio.create_task(copy.run())
                await well.wait()
                task.cancel()
                await asyncio.wait({task})
            assert told[:2] == [False, True]
            assert server.asked[:3] == ["GET list"] * 3

    run(story)


def test_a_request_that_is_cancelled_leaves_no_socket_open(tmp_path: Path) -> None:
    """The server neither answers nor says goodbye in TLS, as an API server that is busy with the request."""
    files = certificates.ensure(tmp_path, ["127.0.0.1"], dt.datetime.now(dt.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    ours = connection.Credentials(
        ca=(tmp_path / "ca.pem").read_bytes(), certificate=files.certificate.read_bytes(), key=files.key.read_bytes()
    )

    async def silent(listening: socket.socket, asked: asyncio.Event) -> None:
        """Until the client has closed its end."""
        loop = asyncio.get_running_loop()
        accepted, _ = await loop.sock_accept(listening)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        with accepted:
            while received := await loop.sock_recv(accepted, 10_000):
                incoming.write(received)
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    if tls.read(1000):
                        asked.set()
                await loop.sock_sendall(accepted, b"" if asked.is_set() else outgoing.read())

    async def story() -> None:
        asked = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setblocking(False)
            server = asyncio.create_task(silent(listening, asked))
            url = f"https://127.0.0.1:{listening.getsockname()[1]}"
            async with connection.Connection((url,), ours) as api:
                request = asyncio.create_task(api.list(resources.NODES))
                await asked.wait()
                request.cancel()
                await asyncio.wait({request})
            await asyncio.wait_for(server, 2)

    run(story)
