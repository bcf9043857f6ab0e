"""Watching: everything, in order, whole transactions; or Gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes
from roadstead.store.sqlite import local, writer


def key(*names: str, kind: str = "cluster") -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, *names)


def run(folder: Path, story: Callable[[interface.Store], Awaitable[None]], changes: int = 10_000) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder), writer.WriterLimits(changes)) as store:
            await story(store)

    asyncio.run(bounded())


async def take(watch: AsyncIterator[facts.Changes], count: int) -> list[facts.Changes]:
    return [await anext(watch) for _ in range(count)]


def test_the_past_is_bounded_and_older_than_that_is_gone(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        start = store.revision
        last = start
        for n in range(200):
            last = await store.put(key("a"), str(n).encode())
        for revision in (start, last - 126, last + 1, -1):
            with pytest.raises(errors.Gone, match="list again"):
                await anext(store.watch(revision))
        told = await take(store.watch(last - 99), 99)
        assert [one.revision for one in told] == list(range(last - 98, last + 1))
        with pytest.raises(errors.Conflict):
            await store.commit(writes.Unchanged(keys.Prefix("109876543210"), start))
        await store.commit(writes.Unchanged(keys.Prefix("109876543210"), last - 99))

    run(tmp_path, story, changes=100)


def test_who_is_too_slow_is_told_so(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        watch = store.watch(store.revision)
        await store.put(key("a"), b"")
        await anext(watch)
        for n in range(300):
            await store.put(key("a"), str(n).encode())
        with pytest.raises(errors.Gone):
            await anext(watch)

    run(tmp_path, story, changes=100)


def test_a_watch_goes_on_after_the_store_was_closed(tmp_path: Path) -> None:
    seen: list[int] = []

    async def first(store: interface.Store) -> None:
        seen.append(await store.put(key("a"), b""))
        seen.append(await store.put(key("b"), b""))

    async def second(store: interface.Store) -> None:
        assert [one.revision for one in await take(store.watch(seen[0]), 1)] == [seen[1]]

    run(tmp_path, first)
    run(tmp_path, second)
