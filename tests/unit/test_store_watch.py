"""Watching: everything, in order, whole transactions; or Gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.store import facts, interface, keys, local, writer, writes


def key(*names: str, kind: str = "cluster") -> keys.Key:
    return keys.Key("012345678901", "eu-central-1", kind, *names)


def run(folder: Path, story: Callable[[interface.Store], Awaitable[None]], changes: int = 10_000) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder), writer.Limits(changes)) as store:
            await story(store)

    asyncio.run(bounded())


async def take(watch: AsyncIterator[facts.Changes], count: int) -> list[facts.Changes]:
    return [await anext(watch) for _ in range(count)]


def test_a_watch_tells_what_was_and_what_comes_and_how_it_was_grouped(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        start = store.revision
        one = await store.put(key("a"), b"")
        two = await store.commit(
            writes.Observe(key("a"), b"up", one), writes.Append(key("a", kind="event"), b"", at=0.0)
        )
        watch = store.watch(start)
        assert await take(watch, 2) == [
            facts.Changes(one, (facts.Change(facts.Part.DESIRED, key("a")),)),
            facts.Changes(
                two,
                (
                    facts.Change(facts.Part.OBSERVED, key("a")),
                    facts.Change(facts.Part.RECORDS, key("a", kind="event")),
                ),
            ),
        ]
        coming = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        assert not coming.done()
        three = await store.commit(writes.Delete(key("a")), writes.PutSecret(key("s"), b"value"))
        assert await coming == facts.Changes(
            three,
            (
                facts.Change(facts.Part.DESIRED, key("a"), deleted=True),
                facts.Change(facts.Part.OBSERVED, key("a"), deleted=True),
                facts.Change(facts.Part.SECRET, key("s")),
            ),
        )
        assert await take(store.watch(two), 1) == [await anext(store.watch(two))]

    run(tmp_path, story)


def test_a_watch_of_a_prefix_is_told_of_nothing_else(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        watch = store.watch(store.revision, keys.Prefix("012345678901", "eu-central-1", "cluster"))
        await store.put(key("a", kind="subnet"), b"")
        revision = await store.commit(writes.Put(key("b", kind="subnet"), b""), writes.Put(key("b"), b""))
        assert await anext(watch) == facts.Changes(revision, (facts.Change(facts.Part.DESIRED, key("b")),))

    run(tmp_path, story)


def test_list_and_watch_miss_nothing_while_others_write(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        async def fill(start: int) -> None:
            for n in range(start, start + 40):
                await store.put(key(str(n)), b"")

        filling = [asyncio.ensure_future(fill(100 * n)) for n in range(5)]
        await asyncio.sleep(0.005)
        page = await store.list(limit=1_000)
        known = {one.key for one in page.items}
        revision = page.revision
        # All of them may have been quicker.
        if len(known) < 200:
            async for changes in store.watch(page.revision):
                assert changes.revision > revision
                revision = changes.revision
                known |= {change.key for change in changes.changes}
                if len(known) == 200:
                    break
        await asyncio.gather(*filling)

    run(tmp_path, story)


def test_a_long_past_is_told_in_whole_transactions(tmp_path: Path) -> None:
    async def story(store: interface.Store) -> None:
        start = store.revision
        revisions = [
            await store.commit(*(writes.Put(key(f"{n}-{m}"), b"") for m in range(writes.MOST))) for n in range(9)
        ]
        told = await take(store.watch(start), 9)
        assert [one.revision for one in told] == revisions
        assert {len(one.changes) for one in told} == {writes.MOST}

    run(tmp_path, story)


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
