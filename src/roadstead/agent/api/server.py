"""The agent's API: HTTP + JSON over a unix socket, for root and the users that it was started for.

    GET    /v1/status                         observed.Status
    GET    /v1/machine                        machine.Machine, as it is now
    PUT    /v1/desired                        requests.Batch -> requests.BatchAnswer; all or nothing
    GET    /v1/desired                        every desired state with its generation
    PUT    /v1/KIND/ID                        requests.Put; a unit's ID is HOST/UNIT
    DELETE /v1/KIND/ID?generation=N           accepted; it is gone when its observation is
    GET    /v1/observations                   requests.Observations
    GET    /v1/watch?since=REVISION           observed.Changed, a line each, for ever; an empty line every 15 s
    HEAD   /v1/blobs/DIGEST                   is it here
    PUT    /v1/blobs/DIGEST                   the bytes, streamed
    PUT    /v1/jobs/ID, GET /v1/jobs/ID       requests: jobs.JobRequest -> observed.JobResult
    GET    /v1/logs/HOST/UNIT?lines=N&follow  the unit's log as it is written
    GET    /v1/shell/HOST                     the command line that opens a shell in the host

Errors are requests.Problem with the status of the error's class. Another version in the path: 404 that says which
one is spoken here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from aiohttp import typedefs, web

from roadstead.agent import peers
from roadstead.contract import paths
from roadstead.contract.messages import jobs as job_types
from roadstead.contract.messages import machine as machines
from roadstead.contract.messages import observed, requests
from roadstead.core import errors

if TYPE_CHECKING:
    from roadstead.agent import jobs as job_room
    from roadstead.agent.api import admission
    from roadstead.agent.records import blobs, observation_log
    from roadstead.agent.records import desired as store

log = logging.getLogger(__name__)

_BODY_LIMIT = 32 * 2**20
_HEARTBEAT = 15.0
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rooms(Protocol):
    """What the API needs of the rest of the agent."""

    @property
    def records(self) -> store.DesiredStore: ...
    @property
    def blobs(self) -> blobs.Blobs: ...
    @property
    def admission(self) -> admission.Admission: ...
    @property
    def observations(self) -> observation_log.ObservationLog: ...
    @property
    def jobs(self) -> job_room.Jobs: ...

    def status(self) -> observed.Status:
        """The agent itself, as it is now."""
        ...

    async def machine(self) -> machines.Machine:
        """The machine as it is now, with how quick it is and what is near its end."""
        ...

    def logs(self, host: str, unit: str, lines: int, follow: bool) -> AsyncIterator[bytes]:
        """The last `lines` of a unit's log in chunks; with `follow` for ever. Raises NotFound."""
        ...

    def shell(self, host: str) -> list[str]:
        """The command line of a shell in a host that runs. Raises NotFound."""
        ...


def application(rooms: Rooms, users: frozenset[int]) -> web.Application:
    """The API, for these user ids."""
    app = web.Application(middlewares=[_errors, _callers(users)], client_max_size=_BODY_LIMIT)
    routes = _Routes(rooms)
    app.router.add_get(paths.STATUS, routes.status)
    app.router.add_get(paths.MACHINE, routes.machine)
    app.router.add_put(paths.DESIRED, routes.put_batch)
    app.router.add_get(paths.DESIRED, routes.get_desired)
    app.router.add_get(paths.OBSERVATIONS, routes.observations)
    app.router.add_get(paths.WATCH, routes.watch)
    app.router.add_head(paths.blob("{digest}"), routes.head_blob)
    app.router.add_put(paths.blob("{digest}"), routes.put_blob)
    app.router.add_put(paths.job("{id}"), routes.put_job)
    app.router.add_get(paths.job("{id}"), routes.get_job)
    app.router.add_get(paths.logs("{host}", "{unit}"), routes.logs)
    app.router.add_get(paths.shell("{host}"), routes.shell)
    app.router.add_put("/v1/{kind}/{id:.+}", routes.put_one)
    app.router.add_delete("/v1/{kind}/{id:.+}", routes.delete_one)
    app.router.add_route("*", "/{rest:.*}", _unknown)
    return app


async def _unknown(request: web.Request) -> web.StreamResponse:
    raise errors.NotFound(
        f"{request.method} {request.path} is not of this API; it speaks version {requests.API_VERSION} under /v1"
    )


def _answer(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _problem(error: errors.Error) -> web.Response:
    return _answer(requests.Problem(code=error.code, message=error.message, facts=error.facts), error.status)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except errors.Error as error:
        return _problem(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _problem(errors.Invalid(f"{request.method} {request.path}: {error.reason}"))
    except ConnectionError:
        # The caller hung up: there is nobody to tell.
        return web.Response(status=499)
    except Exception as error:
        log.exception("%s %s", request.method, request.path)
        return _problem(errors.Failed(f"{request.method} {request.path}: {type(error).__name__} in the agent"))


def _callers(users: frozenset[int]) -> typedefs.Middleware:
    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        uid = peer_uid(request)
        if uid not in users:
            raise errors.Denied(f"user id {uid} may not speak to the agent", uid=uid)
        return await handler(request)

    return check


def peer_uid(request: web.Request) -> int:
    """The user id of the process at the other end, as the kernel knows it (SO_PEERCRED, unix(7))."""
    assert request.transport is not None
    return peers.uid(request.transport.get_extra_info("socket"))


def _number(request: web.Request, name: str, default: int | None = None) -> int:
    text = request.query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdecimal() or len(text) > 18:
        raise errors.Invalid(f"{request.path}: ?{name}=N must be given as a whole number, not {text!r}")
    return int(text)


async def _body(request: web.Request, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=type_)
    except msgspec.DecodeError as error:
        raise errors.Invalid(f"{request.method} {request.path}: {error}") from error


class _Routes:
    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def status(self, _request: web.Request) -> web.StreamResponse:
        return _answer(self._rooms.status())

    async def machine(self, _request: web.Request) -> web.StreamResponse:
        return _answer(await self._rooms.machine())

    async def put_batch(self, request: web.Request) -> web.StreamResponse:
        return _answer(await self._rooms.admission.accept(await _body(request, requests.Batch), peer_uid(request)))

    async def put_one(self, request: web.Request) -> web.StreamResponse:
        put = await _body(request, requests.Put)
        kind, id = request.match_info["kind"], request.match_info["id"]
        return _answer(await self._rooms.admission.accept(requests.Batch(put={kind: {id: put}}), peer_uid(request)))

    async def delete_one(self, request: web.Request) -> web.StreamResponse:
        kind, id = request.match_info["kind"], request.match_info["id"]
        delete = requests.Delete(generation=max(1, _number(request, "generation")))
        batch = requests.Batch(delete={kind: {id: delete}})
        return _answer(await self._rooms.admission.accept(batch, peer_uid(request)), 202)

    async def get_desired(self, _request: web.Request) -> web.StreamResponse:
        body: dict[str, dict[str, object]] = {}
        for record in self._rooms.records.records.values():
            body.setdefault(record.kind, {})[record.id] = {
                "generation": record.generation,
                "deleting": record.deleting,
                "spec": json.loads(record.text),
            }
        return _answer(body)

    async def observations(self, _request: web.Request) -> web.StreamResponse:
        observations = self._rooms.observations
        return _answer(requests.Observations(revision=observations.revision, observations=observations.all()))

    async def watch(self, request: web.Request) -> web.StreamResponse:
        since = _number(request, "since", self._rooms.observations.revision)
        self._rooms.observations.since(since)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        changes = self._rooms.observations.watch(since)
        following = asyncio.ensure_future(anext(changes))
        try:
            while True:
                done, _ = await asyncio.wait({following}, timeout=_HEARTBEAT)
                if not done:
                    await response.write(b"\n")
                    continue
                await response.write(msgspec.json.encode(following.result()) + b"\n")
                following = asyncio.ensure_future(anext(changes))
        except errors.Gone as error:
            # The status is sent long ago: the reader is told by the last line.
            await response.write(msgspec.json.encode(requests.Problem(code=error.code, message=error.message)) + b"\n")
        finally:
            following.cancel()
        return response

    async def head_blob(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if self._rooms.blobs.has(_digest(request)) else 404)

    async def put_blob(self, request: web.Request) -> web.StreamResponse:
        digest = _digest(request)
        size = await self._rooms.blobs.keep(digest, request.content.iter_chunked(2**18))
        return _answer({"digest": digest, "size": size}, 201)

    async def put_job(self, request: web.Request) -> web.StreamResponse:
        job = await _body(request, job_types.JobRequest)
        self._rooms.admission.expect(job.expect)
        return _answer(self._rooms.jobs.start(request.match_info["id"], job.job), 202)

    async def get_job(self, request: web.Request) -> web.StreamResponse:
        return _answer(self._rooms.jobs.result(request.match_info["id"]))

    async def logs(self, request: web.Request) -> web.StreamResponse:
        host, unit = request.match_info["host"], request.match_info["unit"]
        if self._rooms.records.get(("units", f"{host}/{unit}")) is None:
            known = [id for id in self._rooms.records.of_kind("units") if id.startswith(f"{host}/")]
            raise errors.NotFound(f"no unit {host}/{unit}; known there: {', '.join(sorted(known)) or 'none'}")
        lines = self._rooms.logs(host, unit, _number(request, "lines", 100), "follow" in request.query)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        async for chunk in lines:
            await response.write(chunk)
        return response

    async def shell(self, request: web.Request) -> web.StreamResponse:
        return _answer({"command": self._rooms.shell(request.match_info["host"])})


def _digest(request: web.Request) -> str:
    digest = request.match_info["digest"]
    head, _, rest = digest.partition(":")
    if head != "sha256" or len(rest) != 64 or set(rest) - set("0123456789abcdef"):
        raise errors.Invalid(f"{digest!r} is no digest: sha256: and 64 hexadecimal digits", digest=digest)
    return digest
