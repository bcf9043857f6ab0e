"""Requests to the API servers of one cluster: tried in turn, until one answers.

A server that cannot be reached within a second is passed over, and so is one that answers 500, 502, 503 or 504 when the
request may be sent twice: each API server has only its own zone's etcd, so another one may well do it. The server that
answered last is asked first the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import types
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import aiohttp
import msgspec

from roadstead.core import errors
from roadstead.kube import answers, resources
from roadstead.kube.resources import Json

FIELD_MANAGER = "roadstead"

_ROUNDS = 50
"""Of the event loop, at most, until sockets that were shut down are closed; a few do."""
_CONNECTING = 1.0
"""Seconds for TCP and TLS, as a frozen server accepts the first and not the second."""
_TRYING = 5.0
"""Seconds for one server to answer."""
_DEADLINE = 15.0
"""Seconds for a whole request, all servers."""
_ELSEWHERE = frozenset({500, 502, 503, 504})
_REPEATABLE = frozenset({"GET", "PUT", "PATCH", "DELETE"})
"""A PUT carries the revision that it replaces, our PATCHes say what is to be: doing one twice changes nothing."""
_TYPES = {"apply": "application/apply-patch+yaml", "merge": "application/merge-patch+json"}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """In PEM: the CA of the servers, and our client certificate with its key."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Select:
    """Which objects of a list: selectors in the API's own notation."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def query(self) -> dict[str, str]:
        """Parameters of the list's and the watch's query; the namespace is in the path."""
        both = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in both.items() if value}


EVERYTHING = Select()


def tls(credentials: Credentials) -> ssl.SSLContext:
    """Verifies servers by the given CA alone. The key is on no disk: OpenSSL reads it from anonymous memory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=credentials.ca.decode("ascii"))
    memory = os.memfd_create("credentials")
    try:
        with os.fdopen(os.dup(memory), "wb") as out:
            out.write(credentials.key.rstrip() + b"\n" + credentials.certificate)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return context


class Connection:
    """Use as `async with`. Objects are plain dicts. Every call raises

    - Busy when no server answered, or the servers have no time,
    - Denied, NotFound, Conflict, AlreadyExists, Gone, Invalid and Failed as the server answered (see `answers`).
    """

    def __init__(self, servers: Sequence[str], credentials: Credentials | None) -> None:
        """servers: `https://ADDRESS:PORT`, at least one. Without credentials they are `http://`, for tests."""
        self._servers = tuple(servers)
        self._first = 0
        self._tls = tls(credentials) if credentials is not None else None
        self._session: aiohttp.ClientSession | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    async def __aenter__(self) -> Connection:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self._tls if self._tls is not None else True,
                limit=64,
                keepalive_timeout=30.0,
                socket_factory=self._socket,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECTING),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await self._shut()

    async def _shut(self) -> None:
        """Until no socket is open. Those of requests that were cancelled before their answer would otherwise say
        goodbye in TLS, and wait up to 30 s for the server's.
        """
        await asyncio.sleep(0)
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        # A transport closes in the event loop's next rounds: TLS first, then its socket.
        for _ in range(_ROUNDS):
            if all(each.fileno() == -1 for each in self._sockets):
                return
            await asyncio.sleep(0)

    def _socket(self, info: _Info) -> socket.socket:
        made = _alert(info)
        self._sockets.add(made)
        return made

    async def get(self, resource: resources.Resource, name: str, namespace: str = "") -> Json:
        """One object. `namespace`: empty for what is in none. Raises NotFound and as `call` does."""
        return await self.call("GET", resource.path(name, namespace))

    async def list(self, resource: resources.Resource, select: Select = EVERYTHING) -> tuple[list[Json], str]:
        """All objects, and the revision of the list, from which a watch goes on."""
        answer = await self.call("GET", resource.path(namespace=select.namespace), query=select.query())
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    async def create(self, thing: Json, part: tuple[str, str] | None = None) -> Json:
        """part: name and subresource that the object is created at: `("web-0", "eviction")` of a pod."""
        resource = resources.of(thing) if part is None else resources.PODS
        name, sub = part or ("", "")
        return await self.call("POST", resource.path(name, _namespace(thing), sub), thing)

    async def apply(self, thing: Json) -> Json:
        """Server-side apply: what the object says is ours, whoever else had it; the rest stays as it is."""
        path = resources.of(thing).path(resources.name(thing), _namespace(thing))
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self.call("PATCH", path, thing, query=query, form="apply")

    async def patch(
        self, resource: resources.Resource, name: str, change: Json, namespace: str = "", part: str = ""
    ) -> Json:
        """A JSON merge patch (RFC 7386) of an object, or of a part of it as `status`."""
        query = {"fieldManager": FIELD_MANAGER}
        return await self.call("PATCH", resource.path(name, namespace, part), change, query=query, form="merge")

    async def replace(self, thing: Json, part: str = "") -> Json:
        """Put the object, or a part of it as `approval`; Conflict when it has changed since it was read."""
        path = resources.of(thing).path(resources.name(thing), _namespace(thing), part)
        return await self.call("PUT", path, thing)

    async def delete(
        self, resource: resources.Resource, name: str, namespace: str = "", *, grace: int | None = None, uid: str = ""
    ) -> None:
        """Gone, or on its way; NotFound does not raise. With `uid` only that very object; else Conflict."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid:
            options["preconditions"] = {"uid": uid}
        with contextlib.suppress(errors.NotFound):
            await self.call("DELETE", resource.path(name, namespace), options)

    async def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        form: str = "",
    ) -> Json:
        """Any request with a JSON object as its answer. form: `apply` or `merge` for a PATCH."""
        asked = f"{method} {path}"
        payload = None if body is None else msgspec.json.encode(body)
        headers = {"accept": "application/json"}
        if payload is not None:
            headers["content-type"] = _TYPES.get(form, "application/json")
        request = _Request(method, path, dict(query or {}), payload, headers)
        try:
            async with asyncio.timeout(_DEADLINE):
                return await self._in_turn(request, asked)
        except TimeoutError:
            raise errors.Busy(f"{asked}: no API server answered within {_DEADLINE:.0f} s", asked=asked) from None

    @contextlib.asynccontextmanager
    async def watch(
        self, resource: resources.Resource, select: Select, revision: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[Json]]:
        """The changes after a revision, as the API has them: `type` and `object`; entered when a server has begun to
        tell them. They end after about `seconds`. Raises Gone when the revision is too old.
        """
        query = {
            **select.query(),
            "watch": "true",
            "resourceVersion": revision,
            "timeoutSeconds": str(seconds),
            "allowWatchBookmarks": "true",
        }
        path = resource.path(namespace=select.namespace)
        asked = f"watch of {path}"
        request = _Request("GET", path, query, None, {"accept": "application/json"})
        try:
            # A server that is frozen never ends the watch: the deadline does.
            async with asyncio.timeout(seconds + _TRYING), self._stream(request, asked) as lines:
                yield _events(lines, asked)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            self._pass_over(self._first)
            raise errors.Busy(f"{asked} was cut off: {_words(error)}", asked=asked) from error

    @contextlib.asynccontextmanager
    async def lines(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """A text, as `/metrics`, line by line, of the first server that answers."""
        asked = f"GET {path}"
        # Unpacked: packing megabytes costs the server more than sending them.
        request = _Request("GET", path, {}, None, {"accept": "text/plain", "accept-encoding": "identity"})
        try:
            async with asyncio.timeout(_DEADLINE), self._stream(request, asked) as found:
                yield found
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise errors.Busy(f"{asked} was cut off: {_words(error)}", asked=asked) from error

    async def _in_turn(self, request: _Request, asked: str) -> Json:
        last: errors.Error | None = None
        for number in self._order():
            try:
                async with asyncio.timeout(_TRYING), self._send(number, request) as response:
                    body = await response.read()
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                self._pass_over(number)
                last = errors.Busy(f"{asked}: {self._servers[number]}: {_words(error)}", asked=asked)
                if _unsent(error) or request.method in _REPEATABLE:
                    continue
                raise last from error
            if response.status < 400:
                self._first = number
                return _decoded(body, asked)
            last = answers.error(response.status, body, asked)
            if response.status not in _ELSEWHERE or request.method not in _REPEATABLE:
                raise last
            self._pass_over(number)
        raise last or errors.Busy(f"{asked}: there is no API server to ask", asked=asked)

    @contextlib.asynccontextmanager
    async def _stream(self, request: _Request, asked: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that goes on, from the first server that can be reached."""
        last: errors.Error | None = None
        for number in self._order():
            async with contextlib.AsyncExitStack() as stack:
                try:
                    async with asyncio.timeout(_TRYING):
                        response = await stack.enter_async_context(self._send(number, request))
                        refused = await response.read() if response.status >= 400 else None
                except (TimeoutError, aiohttp.ClientError, OSError) as error:
                    self._pass_over(number)
                    last = errors.Busy(f"{asked}: {self._servers[number]}: {_words(error)}", asked=asked)
                    continue
                if refused is not None:
                    last = answers.error(response.status, refused, asked)
                    if response.status not in _ELSEWHERE:
                        raise last
                    self._pass_over(number)
                    continue
                self._first = number
                yield _lines(response)
                return
        raise last or errors.Busy(f"{asked}: there is no API server to ask", asked=asked)

    @contextlib.asynccontextmanager
    async def _send(self, number: int, request: _Request) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise errors.Busy("the connection is closed")
        sending = self._session.request(
            request.method,
            self._servers[number] + request.path,
            params=request.query,
            data=request.body,
            headers=request.headers,
        )
        async with sending as response:
            try:
                yield response
            finally:
                if not response.content.at_eof() and response.connection is not None:
                    # What is left half read would otherwise say goodbye in TLS for up to 30 s.
                    transport = response.connection.transport
                    if transport is not None:
                        transport.abort()

    def _order(self) -> tuple[int, ...]:
        count = len(self._servers)
        return tuple((self._first + step) % count for step in range(count))

    def _pass_over(self, number: int) -> None:
        if self._first == number:
            self._first = (number + 1) % len(self._servers)


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    query: dict[str, str]
    body: bytes | None
    headers: dict[str, str]


_Info: TypeAlias = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]
"""What a socket is made of: family, kind, protocol, name, address."""


def _alert(info: _Info) -> socket.socket:
    """A link that goes black is noticed within 6 s, also by a watch that only listens."""
    family, kind, protocol, _, _ = info
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 6000)
    return made


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Whole lines, however long: aiohttp's own reader ends at 128 KiB."""
    rest = bytearray()
    async for chunk in response.content.iter_any():
        rest += chunk
        *whole, last = rest.split(b"\n")
        for line in whole:
            if line.strip():
                yield bytes(line)
        rest = last


async def _events(lines: AsyncIterator[bytes], asked: str) -> AsyncIterator[Json]:
    async for line in lines:
        event = _decoded(line, asked)
        if event["type"] == "ERROR":
            status: Json = event["object"]
            raise answers.error(status.get("code", 500), msgspec.json.encode(status), asked)
        yield event


def _unsent(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _namespace(thing: Json) -> str:
    return str(thing["metadata"].get("namespace", ""))


def _decoded(body: bytes, asked: str) -> Json:
    try:
        return msgspec.json.decode(body, type=dict)
    except msgspec.DecodeError as error:
        raise errors.Failed(f"{asked}: the answer is no JSON object: {error}", asked=asked) from error
