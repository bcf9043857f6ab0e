"""Real boto3 clients in process: a store in a folder, the dispatcher, the reconciler, a simulated agent. No sockets."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import boto3  # type: ignore[import-untyped]
import botocore.awsrequest  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
from testkit.worlds import parts
from tests.unit import whole_answers

from roadstead.aws import registry
from roadstead.aws.authorization import administrators, requests
from roadstead.aws.http import dispatch
from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.identity import accounts
from roadstead.serve import main
from roadstead.store import interface
from roadstead.store.sqlite import local
from roadstead.wire import exchange, services

ENDPOINT = "http://127.0.0.1:4566"
CLOCK = "botocore.auth.get_current_datetime"
"""By which callers sign."""
DEADLINE = 30.0
REGION = "eu-central-1"


class _Raw(io.BytesIO):
    """What botocore reads a body from."""

    def stream(self, **_: object) -> Any:
        yield self.getvalue()


@dataclass(frozen=True)
class Place:
    """An AWS API. `client`: of a service, as boto3 makes it; to be used in another thread."""

    client: Callable[..., Any]
    world: parts.World
    account: accounts.Opened
    ask: Callable[[Callable[[interface.Store], Awaitable[Any]]], Any]
    """Something of the store, for other threads."""
    send: Callable[[exchange.Request], exchange.Response]
    """The answer to a request that no SDK would send; for other threads."""
    answered: set[tuple[str, str]]
    """Services and operations that were answered, other than by an error."""


@contextlib.asynccontextmanager
async def opened(
    folder: Path,
    world: parts.World,
    authorizer: requests.Authorizer | None = None,
    given: registry.Registry | None = None,
    day: dt.datetime | None = None,
) -> AsyncIterator[Place]:
    """authorizer: the account's administrators, where none is given; given: what serve has; day: when it is, for serve
    and its callers, where it is not now."""
    running, answered = asyncio.get_running_loop(), set[tuple[str, str]]()
    async with local.opened(local.Places(folder)) as store:
        account = await accounts.ensure(store, 0.0)
        operations = given or registry.build(main.SERVICES)
        asks = authorizer or administrators.Administrators()
        known = dispatch.DispatcherFacts(operations, store, main.REGIONS, account.cursors, asks)
        front = dispatch.Dispatcher(known if day is None else dataclasses.replace(known, now=lambda: day))

        def send(came: exchange.Request) -> exchange.Response:
            return asyncio.run_coroutine_threadsafe(front.answer(came), running).result(DEADLINE).response

        def handle(request: Any, **_: object) -> Any:
            answer = send(_came(request))
            headers = botocore.awsrequest.HeadersDict(answer.headers)
            return botocore.awsrequest.AWSResponse(request.url, answer.status, headers, _Raw(answer.body))

        def whole(parsed: dict[str, Any], model: Any, **_: object) -> None:
            whole_answers.check(parsed, model)
            if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
                answered.add((model.service_model.service_name, model.name))

        def client(name: str, region: str = REGION) -> Any:
            core = botocore.session.Session()
            core.get_component("data_loader").search_paths.append(str(services.OURS))
            made = boto3.session.Session(botocore_session=core).client(
                name,
                region_name=region,
                endpoint_url=ENDPOINT,
                aws_access_key_id=account.account.access_key,
                aws_secret_access_key=account.secret,
                config=botocore.config.Config(retries={"max_attempts": 0}, inject_host_prefix=False),
            )
            made.meta.events.register("before-send", handle)
            made.meta.events.register("after-call", whole)
            return made

        async def asked(question: Callable[[interface.Store], Awaitable[Any]]) -> Any:
            return await question(store)

        def ask(question: Callable[[interface.Store], Awaitable[Any]]) -> Any:
            return asyncio.run_coroutine_threadsafe(asked(question), running).result(DEADLINE)

        at = 0.0 if day is None else day.timestamp()
        facts = registry.ReconcilerFacts(store, world, lambda: at, clocks.SystemClock())
        working = asyncio.ensure_future(concurrency.together(*operations.reconciling(facts)))
        try:
            with contextlib.nullcontext() if day is None else mock.patch(CLOCK, return_value=day.replace(tzinfo=None)):
                yield Place(client, world, account, ask, send, answered)
        finally:
            working.cancel()
            await asyncio.wait([working])


def told(
    folder: Path,
    story: Callable[[Place], None],
    refuses: frozenset[str] = frozenset(),
    authorizer: requests.Authorizer | None = None,
    given: registry.Registry | None = None,
) -> parts.World:
    """Run a story of synchronous calls against an AWS API of its own."""

    async def live() -> parts.World:
        async with opened(folder, parts.World(clocks.FakeClock(), refuses=refuses), authorizer, given) as place:
            async with asyncio.timeout(DEADLINE):
                await asyncio.to_thread(story, place)
            return place.world

    return asyncio.run(live())


def trust(service: str) -> str:
    return json.dumps(
        {"Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    )


def _came(request: Any) -> exchange.Request:
    """What botocore would send, as it comes in."""
    headers = [("Host", "127.0.0.1:4566"), *((key, _text(value)) for key, value in request.headers.items())]
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    return exchange.Request.make(request.method, request.url.removeprefix(ENDPOINT), headers, body)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
