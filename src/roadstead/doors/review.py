"""What API servers ask over TLS, at one door for each cluster: POST /authenticate and POST /authorize.

Source: Kubernetes, "Webhook Token Authentication" and the TokenReview API, v1 and v1beta1; for what is authorized see
`authorization`. API servers prove themselves with a bearer token of their cluster; nobody else's request is looked at.
Tokens and what is in them are never written down; refusals are counted.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hmac
import logging
from collections import Counter
from collections.abc import Callable
from typing import Literal

import msgspec
from aiohttp import hdrs, web, web_protocol

from roadstead.doors import authorization, gate, tokens
from roadstead.messages import porter

log = logging.getLogger(__name__)

AUTHENTICATE, AUTHORIZE = "/authenticate", "/authorize"
LARGEST = 64 * 1024
"""Bytes of a body."""
ARRIVING = 10.0
"""Seconds from a connection's first byte, or from the last answer's end, to the end of a request once it has begun."""
IDLE = 120.0
"""Seconds without a request. API servers keep connections for 90."""
CONNECTIONS = 128
EACH = 64
"""To one door at a time, and of one source: three API servers need one or two each."""
Version = Literal["authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"]


class Spec(msgspec.Struct, frozen=True):
    token: str = ""


class Review(msgspec.Struct, frozen=True):
    """A TokenReview as far as it is read."""

    apiVersion: Version
    kind: Literal["TokenReview"]
    spec: Spec = Spec()


def answered(
    review: Review, cluster: porter.Cluster, snapshot: porter.Snapshot, now: dt.datetime
) -> tuple[bool, dict[str, object]]:
    """Whether the token lets somebody in, and the review with its status. Pure."""
    whole: dict[str, object] = {"apiVersion": review.apiVersion, "kind": review.kind}
    try:
        user = tokens.user(review.spec.token, cluster, snapshot, now)
    except tokens.Refused as error:
        return False, {**whole, "status": {"authenticated": False, "error": error.message}}
    shown = {"username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra}
    return True, {**whole, "status": {"authenticated": True, "user": shown}}


class Door:
    """One cluster's: how its API servers are answered. `found` gives the cluster and the snapshot as they are now."""

    def __init__(
        self,
        found: Callable[[], tuple[porter.Cluster, porter.Snapshot] | None],
        counts: Counter[str],
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._found = found
        self._counts = counts
        self._now = now
        self._callers: gate.Callers[_Connection] = gate.Callers(gate.Limits(CONNECTIONS, EACH))
        self._http = web.Server(
            self._handle,
            access_log=None,
            keepalive_timeout=IDLE,
            max_line_size=2048,
            max_field_size=8192,
            max_headers=64,
            lingering_time=0.5,
        )

    def protocol(self) -> asyncio.Protocol:
        return _Connection(self, self._http)

    async def close(self) -> None:
        self._http.pre_shutdown()
        await self._http.shutdown(0.5)

    def enter(self, connection: _Connection) -> bool:
        """Whether a new connection may stay: one that waits without a request may give way to it."""
        if self._callers.full(connection.source):
            self._counts["connections evicted"] += 1
            oldest = self._callers.gives_way(connection.source)
            if oldest is None:
                return False
            oldest.drop()
        self._callers.enter(connection, connection.source)
        return True

    def left(self, connection: _Connection) -> None:
        self._callers.left(connection)

    def waits(self, connection: _Connection, *, waits: bool) -> None:
        self._callers.waits(connection, waits=waits)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)
        try:
            return await self._answer(request, connection)
        finally:
            connection.answered()

    async def _answer(self, request: web.BaseRequest, connection: _Connection) -> web.StreamResponse:
        if request.path not in (AUTHENTICATE, AUTHORIZE) or request.method != hdrs.METH_POST:
            return self._no(404, f"nothing is here but POST {AUTHENTICATE} and POST {AUTHORIZE}")
        there = self._found()
        if there is None:
            return self._no(503, "this cluster is not known here (any more)")
        cluster, snapshot = there
        shown = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, f"Bearer {cluster.bearer}".encode()):
            return self._no(401, "this is for API servers of the cluster")
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            if len(body) > LARGEST:
                return self._no(413, f"a review has at most {LARGEST} bytes")
        connection.working()
        try:
            whole = self._reviewed(request.path, bytes(body), cluster, snapshot)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._no(400, "a TokenReview or a SubjectAccessReview is wanted, as its path says")
        return web.Response(body=msgspec.json.encode(whole), content_type="application/json")

    def _reviewed(
        self, path: str, body: bytes, cluster: porter.Cluster, snapshot: porter.Snapshot
    ) -> dict[str, object]:
        """The review with its status. Raises msgspec.DecodeError, UnicodeDecodeError for what is none."""
        if path == AUTHENTICATE:
            good, whole = answered(msgspec.json.decode(body, type=Review), cluster, snapshot, self._now())
            self._counts["tokens accepted" if good else "tokens refused"] += 1
            return whole
        decision, whole = authorization.answered(msgspec.json.decode(body, type=authorization.Review), cluster)
        word = "allowed" if decision.allowed else "denied" if decision.denied else "passed on"
        self._counts[f"own names {word}"] += 1
        return whole

    def _no(self, status: int, said: str) -> web.Response:
        self._counts[f"requests answered {status}"] += 1
        response = web.Response(status=status, text=f"{said}\n")
        # What is left of the body is not waited for.
        response.force_close()
        return response


class _Connection(web_protocol.RequestHandler):
    """aiohttp's connection with a clock: aiohttp itself has none for a head or a body that never ends."""

    __slots__ = ("_alarm", "_door", "_entered", "source")

    def __init__(self, door: Door, manager: web.Server) -> None:
        super().__init__(manager, loop=asyncio.get_running_loop(), **manager._kwargs)
        self._door = door
        self._alarm: asyncio.TimerHandle | None = None
        self._entered = False
        self.source = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.source = gate.source(transport.get_extra_info("peername"))
        self._entered = self._door.enter(self)
        if not self._entered:
            self.drop()
            return
        self._set_alarm(ARRIVING)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._alarm is None:
            self._set_alarm(ARRIVING)
        super().data_received(data)

    def working(self) -> None:
        """A request is here, whole."""
        self._set_alarm(None)
        if self._entered:
            self._door.waits(self, waits=False)

    def answered(self) -> None:
        """The next request's time begins with its first byte; until then aiohttp waits for IDLE."""
        self._set_alarm(None)
        if self._entered:
            self._door.waits(self, waits=True)

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
        """What is no HTTP, or failed here: a code, and never what it was inside."""
        if status >= 500 and exc is not None:
            log.error("a review failed: %s", type(exc).__name__)
        response = web.Response(status=status)
        response.force_close()
        return response

    def _leave(self) -> None:
        self._set_alarm(None)
        if self._entered:
            self._entered = False
            self._door.left(self)

    def _set_alarm(self, seconds: float | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self.drop)
