"""The store's promises about transactions, on real files."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.store import facts, interface, keys
from roadstead.store.sqlite import local


def key(*names: str, kind: str = "cluster") -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, *names)


def below(*names: str, kind: str = "cluster") -> keys.Prefix:
    return keys.Prefix("012345678901", "eu-central-1", kind, *names)


def run(folder: Path, story: Callable[[interface.Store], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder)) as store:
            await story(store)

    asyncio.run(bounded())


async def observation(store: interface.Store, of: keys.Key) -> facts.Observation:
    state = await store.get(of)
    assert state is not None
    assert state.observation is not None
    return state.observation


def test_what_is_put_is_there_and_after_opening_again(tmp_path: Path) -> None:
    kept: list[facts.State | None] = []

    async def first(store: interface.Store) -> None:
        assert await store.get(key("a")) is None
        generation = await store.put(key("a"), b"one")
        assert await store.get(key("a")) == facts.State(facts.Desired(key("a"), b"one", generation, generation), None)
        again = await store.put(key("a"), b"two")
        assert again > generation
        await store.observe(key("a"), b"seen", generation)
        kept.append(await store.get(key("a")))
        assert kept[0] is not None
        assert kept[0].desired == facts.Desired(key("a"), b"two", again, generation)
        assert not kept[0].current

    async def second(store: interface.Store) -> None:
        assert kept[0] is not None
        assert kept[0].observation is not None
        assert await store.get(key("a")) == kept[0]
        assert store.revision == kept[0].observation.revision

    run(tmp_path, first)
    run(tmp_path, second)


def test_who_is_cancelled_disturbs_nobody_and_what_was_sent_at_the_end_is_kept(tmp_path: Path) -> None:
    last: list[asyncio.Task[int]] = []

    async def put(store: interface.Store, name: str) -> int:
        return await store.put(key(name), b"")

    async def story(store: interface.Store) -> None:
        cancelled = asyncio.create_task(put(store, "cancelled"))
        other = asyncio.create_task(put(store, "other"))
        await asyncio.sleep(0)
        cancelled.cancel()
        assert await other > 0
        last.append(asyncio.create_task(put(store, "last")))
        await asyncio.sleep(0)

    async def after(store: interface.Store) -> None:
        assert await store.get(key("last")) is not None

    async def both() -> None:
        async with local.opened(local.Places(tmp_path)) as store:
            await story(store)
        assert await last[0] > 0
        with pytest.raises(errors.Failed, match="closed"):
            await store.put(key("never"), b"")

    asyncio.run(both())
    run(tmp_path, after)
