"""HTTP connections that are counted and have a clock, for porter's webhook and serve's.

aiohttp itself has no clock for a head or a body that never ends. Here a request must be there, whole, some seconds
after its first byte; and when there are as many connections as may be, of all or of one source, one that waits without
a request gives way to the new one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web, web_protocol

from roadstead.http import gate

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers one request. Says to `of(request)` when the request is there, whole, and when it was answered."""
Failed = Callable[[int, BaseException | None], web.StreamResponse]
"""The answer to what is no HTTP, or failed in the handler, by the status and the error that aiohttp gives it."""


@dataclass(frozen=True)
class Limits:
    """What one server bears: how many connections, and how slow each may be."""

    callers: gate.Limits
    arriving: float
    """Seconds from the first byte of a request to its last."""
    idle: float
    """Seconds without a request, and for taking an answer."""


EVICTED = "connections evicted"
"""Counted: those that gave way, or found no room."""
SLOW = "connections too slow"


class Server:
    """Makes the connections of one HTTP server. `counts` gets what is counted; `http`: more for aiohttp's parser."""

    def __init__(self, handle: Handle, failed: Failed, limits: Limits, counts: Counter[str], **http: Any) -> None:
        self.limits = limits
        self.failed = failed
        self.callers: gate.Callers[Connection] = gate.Callers(limits.callers)
        self.counts = counts
        self._options = {**http, "access_log": None, "keepalive_timeout": limits.idle}
        self._http = web.Server(handle)

    def protocol(self) -> asyncio.Protocol:
        """For `create_server`, inside of the loop."""
        return Connection(self, self._http, self._options)

    async def close(self, within: float) -> None:
        """Requests in work are waited for, so many seconds."""
        self._http.pre_shutdown()
        await self._http.shutdown(within)

    def enter(self, connection: Connection) -> bool:
        """Whether a new connection may stay. One that waits gives way; when all are at work, the new one does."""
        if self.callers.full(connection.source):
            oldest = self.callers.gives_way(connection.source)
            self.counts[EVICTED] += 1
            if oldest is None:
                return False
            oldest.drop()
        self.callers.enter(connection, connection.source)
        return True


class Connection(web_protocol.RequestHandler):
    """aiohttp's connection, with its place among the callers and its clock."""

    __slots__ = ("_alarm", "_arriving", "_entered", "_server", "_working", "source")

    def __init__(self, server: Server, manager: web.Server, options: dict[str, Any]) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **options)
        self._server = server
        self._alarm: asyncio.TimerHandle | None = None
        self._arriving = self._working = self._entered = False
        self.source = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.source = gate.source(transport.get_extra_info("peername"))
        self._entered = self._server.enter(self)
        if not self._entered:
            self.drop()
            return
        self._arriving = True
        self._set_alarm(self._server.limits.arriving)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._arriving and not self._working:
            self._arriving = True
            self._set_alarm(self._server.limits.arriving)
        super().data_received(data)

    def working(self) -> None:
        """A request is here, whole."""
        self._arriving, self._working = False, True
        self._set_alarm(None)
        if self._entered:
            self._server.callers.waits(self, waits=False)

    def answered(self) -> None:
        """Its answer is on the way; who does not take it in time is dropped as who asks nothing is."""
        self._arriving = self._working = False
        if self._entered:
            self._set_alarm(self._server.limits.idle)
            self._server.callers.waits(self, waits=True)

    def drop(self) -> None:
        """End the connection now, with nothing more sent."""
        self._leave()
        transport = self.transport
        self.force_close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """aiohttp's hook: our words, never what it was inside, and nothing more on this connection."""
        self._arriving = self._working = False
        response = self._server.failed(status, exc)
        response.force_close()
        return response

    def _leave(self) -> None:
        self._set_alarm(None)
        if self._entered:
            self._entered = False
            self._server.callers.left(self)

    def _set_alarm(self, seconds: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._late)

    def _late(self) -> None:
        self._server.counts[SLOW] += 1
        self.drop()


def of(request: web.BaseRequest) -> Connection:
    """The connection that a request of a `Server` came by."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    return connection
