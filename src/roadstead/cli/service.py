"""Requests to Roadstead's API: signed, sent over one kept connection, answers read. All of the CLI's network I/O."""

from __future__ import annotations

import datetime as dt
import http.client
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from roadstead.cli import profile
from roadstead.core import errors
from roadstead.wire import client, exchange, services, sigv4

_ANSWER = 60.0
"""Seconds that one answer may take: what takes long is asked for, and looked at again."""
_NO_REGION = "Credential should be scoped to a valid region."
"""AWS's words for a region that it does not have."""
_UNKNOWN_KEYS = ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure")
"""What the services call an access key that they do not know."""
_SERVER_FAULT = 500
"""Of HTTP, and what is above."""
_IDLE = 10.0
"""Seconds after which a kept connection is not used again."""


class Api(Protocol):
    """What the actions ask; a test's is a fake."""

    @property
    def region(self) -> str:
        """That all calls are for."""
        ...

    def call(self, service: str, operation: str, **values: Any) -> dict[str, Any]:
        """One operation's output. Raises client.ServiceError for the service's errors, Busy when nobody answers.

        May be called by many threads.
        """
        ...


def is_away(error: errors.Error) -> bool:
    """Whether nobody answers just now, or what answers cannot work yet: serve is restarted, or moved. Ask again."""
    return isinstance(error, errors.Busy) or (
        isinstance(error, client.ServiceError) and error.fault.status >= _SERVER_FAULT
    )


def pages(api: Api, service: str, operation: str, **values: Any) -> Iterator[dict[str, Any]]:
    """All pages of an operation that pages by nextToken."""
    token: str | None = None
    while True:
        page = api.call(service, operation, **values, **({"nextToken": token} if token else {}))
        yield page
        if not (token := page.get("nextToken")):
            return


class ApiConnection(AbstractContextManager["ApiConnection"]):
    """The API over HTTP. `deadline` is of time.monotonic: no answer is waited for longer."""

    def __init__(self, access: profile.ApiAccess, deadline: float) -> None:
        self._access = access
        self._deadline = deadline
        self._models: dict[str, services.Service] = {}
        self._loading = threading.Lock()
        self._lines: dict[tuple[int, str], http.client.HTTPConnection] = {}
        """By thread and endpoint: calls may be made side by side, each thread has a connection of its own."""
        self._used: dict[tuple[int, str], float] = {}

    @property
    def region(self) -> str:
        return self._access.region

    @property
    def access(self) -> profile.ApiAccess:
        return self._access

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for line in self._lines.values():
            line.close()

    def call(self, service: str, operation: str, **values: Any) -> dict[str, Any]:
        """Raises what `Api` says, and Invalid or Denied for a region or a key that the endpoint does not know."""
        model = self._model(service)
        known = model.operation(operation)
        endpoint = self._access.endpoints.get(service, self._access.endpoint)
        parts = _endpoint(endpoint)
        request = client.serialize(model, known, values, token=os.urandom(16).hex())
        host = parts.netloc.rpartition("@")[2]
        path = parts.path.rstrip("/") + request.path
        bare = exchange.Request(request.method, path, request.query, {**request.headers, "host": host}, request.body)
        now = dt.datetime.now(dt.UTC)
        signed = sigv4.sign(bare, self._access.credentials, self._access.region, model.signing_name, now)
        try:
            return client.parse(model, known, self._sent(parts, signed, endpoint))
        except client.ServiceError as error:
            if error.fault.message == _NO_REGION:
                raise errors.Invalid(
                    f"there is no region {self._access.region!r}; {endpoint} has those of AWS"
                ) from error
            if error.fault.code in _UNKNOWN_KEYS and self._access.keys_of == profile.KEY:
                raise errors.Denied(
                    f"{endpoint} does not know the key in {profile.KEY}: {error.fault.message} "
                    f"To ask with the keys of a profile instead, unset {profile.KEY} or give --profile",
                    code=error.fault.code,
                ) from error
            raise

    def _model(self, service: str) -> services.Service:
        """Loaded once, also when many threads need it at once."""
        with self._loading:
            model = self._models.get(service)
            if model is None:
                model = self._models[service] = services.load(service)
            return model

    def _sent(self, parts: urllib.parse.SplitResult, request: exchange.Request, endpoint: str) -> exchange.Response:
        left = min(self._deadline - time.monotonic(), _ANSWER)
        if left <= 0:
            raise errors.Busy(f"timed out waiting for {endpoint}")
        place = threading.get_ident(), endpoint
        line = self._lines.get(place) or self._lines.setdefault(place, self._line(parts))
        if time.monotonic() - self._used.get(place, 0.0) > _IDLE:
            # The service closes what was quiet for long, perhaps just when it is used again.
            line.close()
        self._used[place] = time.monotonic()
        line.timeout = left
        if line.sock is not None:
            line.sock.settimeout(left)
        try:
            return _answered(line, request)
        except TimeoutError as error:
            raise errors.Busy(f"timed out waiting for {endpoint}") from error
        except (OSError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
            raise errors.Busy(
                f"cannot reach Roadstead at {endpoint}: {said}; is it running? See 'roadstead status'",
                endpoint=endpoint,
            ) from error

    def _line(self, parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
        assert parts.hostname is not None
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port)
        import ssl

        bundle = self._access.ca_bundle
        try:
            context = ssl.create_default_context(cafile=bundle, cadata=self._access.ca)
        except OSError as error:
            raise errors.Invalid(f"the CA bundle {bundle} cannot be used: {error}") from error
        return http.client.HTTPSConnection(parts.hostname, parts.port, context=context)


def _answered(line: http.client.HTTPConnection, request: exchange.Request) -> exchange.Response:
    """Raises OSError or HTTPException."""
    try:
        line.request(request.method, request.target, request.body, dict(request.headers))
        answer = line.getresponse()
        body = answer.read(exchange.MAX_BODY + 1)
    except BaseException:
        # Also when it is interrupted: half of a request, or of its answer, is on it. The next call opens it anew.
        line.close()
        raise
    return exchange.Response(answer.status, exchange.joined(answer.getheaders()), body)


def _endpoint(endpoint: str) -> urllib.parse.SplitResult:
    parts = urllib.parse.urlsplit(endpoint)
    try:
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        good = False
    if not good:
        raise errors.Invalid(f"the endpoint {endpoint!r} is no address such as http://127.0.0.1:4566")
    return parts
