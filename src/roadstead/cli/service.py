"""Requests to Roadstead's API: signed, sent over one kept connection, answers read. All of the CLI's network I/O."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from roadstead.cli import profile
from roadstead.core import errors
from roadstead.wire import client, exchange, services, sigv4


class Api(Protocol):
    """What the actions ask; a test's is a fake."""

    @property
    def region(self) -> str: ...

    def call(self, service: str, operation: str, **values: Any) -> dict[str, Any]:
        """One operation's output. Raises client.ServiceError for the service's errors, Busy when nobody answers."""
        ...


def pages(api: Api, service: str, operation: str, **values: Any) -> Iterator[dict[str, Any]]:
    """All pages of an operation that pages by nextToken."""
    token: str | None = None
    while True:
        page = api.call(service, operation, **values, **({"nextToken": token} if token else {}))
        yield page
        if not (token := page.get("nextToken")):
            return


class Connection(AbstractContextManager["Connection"]):
    """The API over HTTP. `deadline` is of time.monotonic: no answer is waited for longer."""

    def __init__(self, access: profile.Access, deadline: float) -> None:
        self._access = access
        self._deadline = deadline
        self._models: dict[str, services.Service] = {}
        self._lines: dict[str, http.client.HTTPConnection] = {}

    @property
    def region(self) -> str:
        return self._access.region

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for line in self._lines.values():
            line.close()

    def call(self, service: str, operation: str, **values: Any) -> dict[str, Any]:
        model = self._models.get(service) or self._models.setdefault(service, services.load(service))
        known = model.operation(operation)
        endpoint = self._access.endpoints.get(service, self._access.endpoint)
        parts = _endpoint(endpoint)
        request = client.serialize(model, known, values, token=os.urandom(16).hex())
        host = parts.netloc.rpartition("@")[2]
        path = parts.path.rstrip("/") + request.path
        bare = exchange.Request(request.method, path, request.query, {**request.headers, "host": host}, request.body)
        now = dt.datetime.now(dt.UTC)
        signed = sigv4.sign(bare, self._access.credentials, self._access.region, model.signing_name, now)
        return client.parse(model, known, self._sent(parts, signed, endpoint))

    def _sent(self, parts: urllib.parse.SplitResult, request: exchange.Request, endpoint: str) -> exchange.Response:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise errors.Busy(f"timed out waiting for {endpoint}")
        line = self._lines.get(endpoint) or self._lines.setdefault(endpoint, self._line(parts))
        line.timeout = left
        if line.sock is not None:
            line.sock.settimeout(left)
        try:
            line.request(request.method, request.target, request.body, dict(request.headers))
            answer = line.getresponse()
            body = answer.read(exchange.MAX_BODY + 1)
        except TimeoutError as error:
            line.close()
            raise errors.Busy(f"timed out waiting for {endpoint}") from error
        except (OSError, http.client.HTTPException) as error:
            line.close()
            said = str(error) or type(error).__name__
            raise errors.Busy(
                f"cannot reach Roadstead at {endpoint}: {said}; is it running? See 'roadstead status'",
                endpoint=endpoint,
            ) from error
        return exchange.Response(answer.status, exchange.joined(answer.getheaders()), body)

    def _line(self, parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
        assert parts.hostname is not None
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port)
        import ssl

        bundle = self._access.ca_bundle
        try:
            context = ssl.create_default_context(cafile=bundle)
        except OSError as error:
            raise errors.Invalid(f"the CA bundle {bundle} cannot be used: {error}") from error
        return http.client.HTTPSConnection(parts.hostname, parts.port, context=context)


def _endpoint(endpoint: str) -> urllib.parse.SplitResult:
    parts = urllib.parse.urlsplit(endpoint)
    try:
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if not good:
        raise errors.Invalid(f"the endpoint {endpoint!r} is no address such as http://127.0.0.1:4566")
    return parts
