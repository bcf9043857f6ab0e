"""The one port: connections and their limits, HTTP by aiohttp, everything else by the dispatcher.

What holds off slow and greedy callers: a request must be there, whole, some seconds after its first byte; bodies are
bounded each and together; a large body is read only for an access key that there is; and when there are as many
connections as may be, of all or of one source, one that has long waited without a request being worked on gives way to
the new one: of those who have most. So there are always connections left for those who do ask something.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import hdrs, http, web

from roadstead.aws.http import dispatch, metrics
from roadstead.http import connections, gate
from roadstead.wire import exchange, refusals, sigv4
from roadstead.wire import server as wire_server
from roadstead.wire.codes import table

log = logging.getLogger(__name__)

_NAME = "Roadstead"
_ELSEWHERE = (
    "text/plain; charset=utf-8",
    b"This is no server of that name: ask for localhost, or a loopback address.\n",
)
_CLOSING = 2.0
"""Seconds for requests in work when the server stops."""


@dataclass(frozen=True)
class ServerLimits:
    """What one caller, and all of them together, may take."""

    connections: int = 512
    each: int = 384
    """Connections of one source; on loopback all are one."""
    arriving: float = 10.0
    """Seconds from the first byte of a request to its last."""
    idle: float = 75.0
    """Seconds without a request, and for taking an answer."""
    line: int = 16_384
    """Bytes of a request line: presigned URLs with session tokens are long."""
    header: int = 8_192
    headers: int = 100
    body: int = exchange.MAX_BODY
    unasked: int = 131_072
    """Bytes of a body that are read before it is known whether the access key exists. The longest without one is SAML's
    assertion, of 100,000 characters."""
    bodies: int = 64 * 1024 * 1024
    """Bytes of all bodies that are held at a time."""


Page = Callable[[], Awaitable[tuple[str, bytes]]]
"""A page for everyone: its content type and body."""


class Server:
    """The server's state while it is open: who is connected, what is held, what was counted."""

    def __init__(self, dispatcher: dispatch.Dispatcher, pages: Mapping[str, Page], limits: ServerLimits) -> None:
        self._dispatcher = dispatcher
        self._limits = limits
        self._held = 0
        # With those that have not spoken TLS yet.
        self.held = gate.Limits(8 * limits.connections, 2 * limits.each)
        self._pages = {**pages, "/healthz": _health, "/metrics": self._metrics}
        self.requests = metrics.Requests()
        self._http = connections.Server(
            self._handle,
            _failed,
            connections.Limits(gate.Limits(limits.connections, limits.each), limits.arriving, limits.idle),
            Counter(),
            max_line_size=limits.line,
            max_field_size=limits.header,
            max_headers=limits.headers,
            lingering_time=1.0,
            auto_decompress=False,
        )

    def protocol(self) -> asyncio.Protocol:
        return self._http.protocol()

    async def close(self) -> None:
        """Requests in work are waited for, for some seconds."""
        await self._http.close(_CLOSING)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        started = time.perf_counter()
        connection = connections.of(request)
        head = _head(request)
        page = self._pages.get(head.path) if request.method == "GET" and _anonymous(head) else None
        if page is not None:
            connection.working()
            status, (kind, text) = (200, await page()) if _meant(request) else (421, _ELSEWHERE)
            connection.answered()
            return web.Response(status=status, body=text, headers={hdrs.CONTENT_TYPE: kind, hdrs.SERVER: _NAME})
        taken, goes_on, peer = 0, True, _peer(request)
        try:
            try:
                whole, taken = await self._whole(request, head)
            except (refusals.Refusal, exchange.RequestRefused) as refusal:
                outcome = self._dispatcher.refused(head, refusal, peer)
                # What is left of the body is not waited for.
                request.protocol.keep_alive(False)
                request.protocol.close()
                goes_on = False
            except ConnectionError:
                # Its sender has gone in the middle of it: nothing has failed here, and nobody reads an answer.
                return web.Response(status=400)
            else:
                connection.working()
                outcome = await self._dispatcher.answer(whole, peer)
        finally:
            self._held -= taken
            connection.answered()
        service = outcome.service.name if outcome.service is not None else "-"
        status = outcome.response.status
        self.requests.count(service, outcome.operation, status, time.perf_counter() - started)
        body = b"" if request.method == hdrs.METH_HEAD else outcome.response.body
        headers = {hdrs.SERVER: _NAME, **outcome.response.headers}
        response = web.Response(status=status, headers=headers, body=body)
        if not goes_on:
            # Who is not told sends the next request into a closed connection.
            response.force_close()
        return response

    async def _whole(self, request: web.BaseRequest, head: exchange.Request) -> tuple[exchange.Request, int]:
        """The request with its body, and how much of it is held. Raises Refused or Refusal before reading too much."""
        length = request.content_length
        if length is not None and length > self._limits.body:
            raise _too_large(head, length, self._limits.body)
        # Who sends much is asked first who they are; a request without a body is asked once, with the rest of it.
        if request.body_exists and (length is None or length > self._limits.unasked):
            await self._dispatcher.admit(sigv4.read(head))
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue" and request.version >= http.HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        if not request.body_exists:
            return head, 0
        parts: list[bytes] = []
        taken = 0
        try:
            async for part in request.content.iter_any():
                taken += len(part)
                self._held += len(part)
                parts.append(part)
                if taken > self._limits.body:
                    raise _too_large(head, taken, self._limits.body)
                if self._held > self._limits.bodies:
                    said = "More is being sent than there is room for: try again."
                    raise exchange.RequestRefused(table.unserved(wire_server.detect(head), "busy", said))
        except BaseException:
            self._held -= taken
            raise
        whole = exchange.Request(head.method, head.path, head.query, head.headers, b"".join(parts))
        return whole, taken

    async def _metrics(self) -> tuple[str, bytes]:
        callers, counts = self._http.callers, self._http.counts
        evicted, slow = counts[connections.EVICTED], counts[connections.SLOW]
        gauges = {
            "roadstead_connections": ("Connections now.", float(callers.open)),
            "roadstead_connections_waiting": ("Connections without a request in work.", float(callers.waiting)),
            "roadstead_connections_evicted": (
                "Connections that gave way, or found no room.",
                float(evicted),
            ),
            "roadstead_connections_slow": ("Connections that were too slow.", float(slow)),
            "roadstead_body_bytes": ("Bytes of bodies that are held now.", float(self._held)),
        }
        return metrics.CONTENT_TYPE, self.requests.exposed(gauges).encode()


def _failed(status: int, error: BaseException | None) -> web.Response:
    """What is no HTTP, or failed outside the dispatcher: one sentence, and never what it was inside."""
    if status >= 500 and error is not None:
        log.error("a request failed", exc_info=error)
    # In JSON: of what is no request it is not known what it is written in.
    case: table.Case = "failed" if status >= 500 else "http"
    text = "Roadstead failed. Its log tells why." if status >= 500 else "This is no HTTP request that is taken."
    fault = table.unserved("rest-json", case, text)
    body = msgspec.json.encode({"__type": fault.code, "message": fault.message})
    return web.Response(status=status, body=body, headers={hdrs.CONTENT_TYPE: "application/json", hdrs.SERVER: _NAME})


def _head(request: web.BaseRequest) -> exchange.Request:
    headers = [(name.decode("latin-1"), text.decode("utf-8", "surrogateescape")) for name, text in request.raw_headers]
    return exchange.Request.make(request.method, _target(request), headers)


def _target(request: web.BaseRequest) -> str:
    """What stood on the request line: a signature is over the raw form. Of an absolute one its path."""
    target = request.raw_path
    if not target.startswith("/") and "://" in target:
        _, _, rest = target.partition("://")
        return "/" + rest.partition("/")[2]
    return target


def _peer(request: web.BaseRequest) -> str:
    """The address that it comes from; `-` for one that is gone already."""
    found = request.transport.get_extra_info("peername") if request.transport is not None else None
    return str(found[0]) if isinstance(found, tuple) else "-"


def _meant(request: web.BaseRequest) -> bool:
    """Whether this server is meant: a page of the world that has its name lead to loopback reads nothing here.

    Without TLS only loopback is listened to; with it, the certificate says who is meant.
    """
    if request.transport is None or request.transport.get_extra_info("ssl_object") is not None:
        return True
    host = request.headers.get(hdrs.HOST, "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _anonymous(head: exchange.Request) -> bool:
    return "authorization" not in head.headers and "X-Amz-" not in head.query


async def _health() -> tuple[str, bytes]:
    return "text/plain; charset=utf-8", b"ok\n"


def _too_large(head: exchange.Request, size: int, most: int) -> exchange.RequestRefused:
    said = f"The body has {size} bytes or more; at most {most} are taken."
    return exchange.RequestRefused(table.unserved(wire_server.detect(head), "too large", said))


@contextlib.asynccontextmanager
async def opened(
    server: Server, address: str, port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, int]]:
    """Listen while inside; where (port 0 takes a free one). Requests in work are waited for at the end, for a while."""
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": 10.0}
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    held = gate.Gate(socket.create_server((address, port), family=family, backlog=1024), server.held)
    listener = await loop.create_server(server.protocol, sock=held, backlog=1024, **options)
    where = listener.sockets[0].getsockname()
    try:
        yield str(where[0]), int(where[1])
    finally:
        listener.close()
        await server.close()
