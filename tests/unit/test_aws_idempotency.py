"""The same request twice: once done, the same answer; also after a crash at any point."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from roadstead.aws import calls, idempotency
from roadstead.aws.authorization import administrators, requests
from roadstead.core import errors
from roadstead.store import interface, keys, writes
from roadstead.store.sqlite import local

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ACCOUNT = "123456789012"
CALLER = requests.Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "AKIA")


class Making:
    """An operation that makes one more thing each time."""

    def __init__(self) -> None:
        self.made = 0

    async def __call__(self, call: calls.Call) -> Mapping[str, Any]:
        self.made += 1
        await call.store.put(keys.Key(ACCOUNT, "eu-central-1", "thing", str(self.made)), b"", writes.Absent())
        return {"thing": self.made, "at": call.now, "raw": b"\xff"}


def request(store: interface.Store, token: str = "t", **asked: Any) -> idempotency.TokenRequest:
    call = calls.Call(
        "eks", "CreateCluster", "eu-central-1", CALLER, "request-1", NOW, store, administrators.Administrators()
    )
    return idempotency.TokenRequest(call, token, asked)


def later(one: idempotency.TokenRequest, by: dt.timedelta) -> idempotency.TokenRequest:
    return replace(one, call=replace(one.call, now=one.call.now + by))


def in_store(tmp_path: Path, test: Callable[[interface.Store], Awaitable[None]]) -> None:
    async def run() -> None:
        async with local.opened(local.Places(tmp_path / "state")) as store:
            await test(store)

    asyncio.run(run())


def test_the_same_token_and_request_have_the_same_answer(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        making, tokens = Making(), idempotency.Tokens()
        first = await tokens.once(request(store, name="a"), making, None)
        second = await tokens.once(request(store, name="a"), making, None)
        assert (first, making.made) == (second, 1)
        assert first == {"thing": 1, "at": NOW, "raw": b"\xff"}

    in_store(tmp_path, test)


def test_another_request_with_the_token_is_refused_and_another_token_is_another(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        making, tokens = Making(), idempotency.Tokens()
        await tokens.once(request(store, name="a"), making, None)
        with pytest.raises(idempotency.Mismatch):
            await tokens.once(request(store, name="b"), making, None)
        await tokens.once(request(store, "u", name="b"), making, None)
        assert making.made == 2

    in_store(tmp_path, test)


def test_both_at_once_are_done_once(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        making, tokens = Making(), idempotency.Tokens()
        answers = await asyncio.gather(*(tokens.once(request(store, name="a"), making, None) for _ in range(20)))
        assert making.made == 1
        assert all(answer == answers[0] for answer in answers)
        assert not tokens._locks

    in_store(tmp_path, test)


def test_a_token_is_good_for_a_day_and_then_swept(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        making, tokens = Making(), idempotency.Tokens()
        one = request(store, name="a")
        await tokens.once(one, making, None)
        day = idempotency.LIFETIME
        await tokens.once(later(one, day - dt.timedelta(seconds=1)), making, None)
        assert making.made == 1
        await tokens.once(later(one, day), making, None)
        assert making.made == 2
        assert await idempotency.sweep(store, NOW + day) == 0
        assert await idempotency.sweep(store, NOW + 2 * day) == 1
        assert await store.get(one.key) is None

    in_store(tmp_path, test)


def test_a_request_that_was_refused_leaves_no_token(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        making, tokens = Making(), idempotency.Tokens()

        async def refusing(_call: calls.Call) -> Mapping[str, Any]:
            raise errors.LimitExceeded("no room")

        with pytest.raises(errors.LimitExceeded):
            await tokens.once(request(store, name="a"), refusing, None)
        await tokens.once(request(store, name="b"), making, None)
        assert making.made == 1

    in_store(tmp_path, test)


@pytest.mark.parametrize("named", [True, False])
def test_what_was_done_before_a_crash_is_not_done_again(tmp_path: Path, named: bool) -> None:
    async def test(store: interface.Store) -> None:
        making, tokens = Making(), idempotency.Tokens()

        async def dying(call: calls.Call) -> Mapping[str, Any]:
            await making(call)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await tokens.once(request(store, name="a"), dying, None)

        async def describe(_call: calls.Call) -> Mapping[str, Any]:
            return {"thing": "described"}

        if named:
            assert await tokens.once(request(store, name="a"), making, describe) == {"thing": "described"}
        else:
            with pytest.raises(errors.Busy, match="done already"):
                await tokens.once(request(store, name="a"), making, None)
        assert making.made == 1

    in_store(tmp_path, test)


def test_an_operation_that_keeps_nothing_needs_no_token(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        async def looking(_call: calls.Call) -> Mapping[str, Any]:
            return {}

        one = request(store, name="a")
        await idempotency.Tokens().once(one, looking, None)
        assert await store.get(one.key) is None

    in_store(tmp_path, test)


def test_tokens_of_any_length_and_characters(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        making = Making()
        for token in ("x" * 5000, "é/\x00", "\ud800"):
            await idempotency.Tokens().once(request(store, token, name="\ud800"), making, None)
        assert making.made == 3

    in_store(tmp_path, test)
