"""What API servers ask over TLS, at one webhook for each cluster: POST /authenticate and POST /authorize.

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
from aiohttp import hdrs, web

from roadstead.contract import listeners
from roadstead.http import connections, gate
from roadstead.porter import authorization, tokens

log = logging.getLogger(__name__)

LARGEST = 64 * 1024
"""Bytes of a body."""
ARRIVING = 10.0
"""Seconds from a connection's start, or a later request's first byte, to the request's end."""
TAKING = 10.0
"""Seconds for taking an answer."""
CONNECTIONS = 128
EACH = 64
"""To one webhook at a time, and of one source: three API servers need one or two each."""
Version = Literal["authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"]


class TokenReviewSpec(msgspec.Struct, frozen=True):
    """What is asked about."""

    token: str = ""


class TokenReview(msgspec.Struct, frozen=True):
    """A TokenReview as far as it is read."""

    apiVersion: Version
    kind: Literal["TokenReview"]
    spec: TokenReviewSpec = TokenReviewSpec()


def answered(review: TokenReview, known: tokens.Known, now: dt.datetime) -> tuple[bool, dict[str, object]]:
    """Whether the token lets somebody in, and the review with its status. Pure."""
    whole: dict[str, object] = {"apiVersion": review.apiVersion, "kind": review.kind}
    try:
        user = tokens.user(review.spec.token, known, now)
    except tokens.TokenRefused as error:
        return False, {**whole, "status": {"authenticated": False, "error": error.message}}
    shown = {"username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra}
    return True, {**whole, "status": {"authenticated": True, "user": shown}}


class Webhook:
    """One cluster's: how its API servers are answered. `found` gives what is known of it now."""

    def __init__(
        self,
        found: Callable[[], tokens.Known | None],
        counts: Counter[str],
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._found = found
        self._counts = counts
        self._now = now
        self._http = connections.Server(
            self._handle,
            _failed,
            connections.Limits(gate.Limits(CONNECTIONS, EACH), ARRIVING, TAKING),
            counts,
            max_line_size=2048,
            max_field_size=8192,
            max_headers=64,
            lingering_time=0.5,
        )

    def protocol(self) -> asyncio.Protocol:
        return self._http.protocol()

    async def close(self) -> None:
        await self._http.close(0.5)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = connections.of(request)
        try:
            response = await self._answer(request, connection)
        finally:
            connection.answered()
        if (accepted := request.get_extra_info("socket")) is not None:
            gate.answers(accepted)
        # One connection for each review: on one that was kept, an API server would ask a porter that has frozen.
        response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, connection: connections.Connection) -> web.StreamResponse:
        if request.path not in (listeners.AUTHENTICATE, listeners.AUTHORIZE) or request.method != hdrs.METH_POST:
            return self._no(404, f"nothing is here but POST {listeners.AUTHENTICATE} and POST {listeners.AUTHORIZE}")
        known = self._found()
        if known is None:
            return self._no(503, "this cluster is not known here (any more)")
        shown = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, f"Bearer {known.cluster.bearer}".encode()):
            return self._no(401, "this is for API servers of the cluster")
        body = bytearray()
        async for part in request.content.iter_any():
            body += part
            if len(body) > LARGEST:
                return self._no(413, f"a review has at most {LARGEST} bytes")
        connection.working()
        try:
            whole = self._reviewed(request.path, bytes(body), known)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._no(400, "a TokenReview or a SubjectAccessReview is wanted, as its path says")
        return web.Response(body=msgspec.json.encode(whole), content_type="application/json")

    def _reviewed(self, path: str, body: bytes, known: tokens.Known) -> dict[str, object]:
        """The review with its status. Raises msgspec.DecodeError, UnicodeDecodeError for what is none."""
        if path == listeners.AUTHENTICATE:
            good, whole = answered(msgspec.json.decode(body, type=TokenReview), known, self._now())
            self._counts["tokens accepted" if good else "tokens refused"] += 1
            return whole
        asked = msgspec.json.decode(body, type=authorization.AccessReview)
        decision, whole = authorization.answered(asked, known.cluster)
        word = "allowed" if decision.allowed else "denied" if decision.denied else "passed on"
        self._counts[f"own names {word}"] += 1
        return whole

    def _no(self, status: int, said: str) -> web.Response:
        self._counts[f"requests answered {status}"] += 1
        # What is left of the body is not waited for, as the connection ends.
        return web.Response(status=status, text=f"{said}\n")


def _failed(status: int, error: BaseException | None) -> web.Response:
    """What is no HTTP, or failed here: a code, and never what it was inside."""
    if status >= 500 and error is not None:
        log.error("a review failed: %s", type(error).__name__)
    return web.Response(status=status)
