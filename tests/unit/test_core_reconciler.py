"""What wakes a reconciler: feeds, what changes in a store, and looking again when changes were missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from testkit.worlds import memory

from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import feed, following, reconciler
from roadstead.store import following as store_following
from roadstead.store import keys, writes

log = logging.getLogger("tests.reconciler")
ACCOUNT, REGION = "012345678901", "eu-central-1"


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_everyone_who_listens_hears_what_is_told_from_then_on_and_the_same_once() -> None:
    async def story() -> None:
        told: feed.Feed[str] = feed.Feed()
        told.tell("before")
        first, second = told.changes("all"), told.changes()
        assert await anext(first) == "all"
        waiting = asyncio.ensure_future(anext(second))
        await settle()
        for item in ("a", "b", "a"):
            told.tell(item)
        assert await waiting == "a"
        assert [await anext(first), await anext(first), await anext(second)] == ["a", "b", "b"]
        told.tell("a")
        assert await anext(first) == "a"
        await first.aclose()  # type: ignore[attr-defined]
        told.tell("c")
        assert [await anext(second), await anext(second)] == ["a", "c"]

    run(story)


def test_what_was_missed_is_looked_for() -> None:
    async def story() -> None:
        looked: list[int] = []
        taken: list[str] = []

        async def look() -> int:
            looked.append(len(taken))
            return 10 * len(looked)

        async def watch(revision: int) -> AsyncIterator[str]:
            yield f"since {revision}"
            if revision < 30:
                raise errors.Gone("too old")
            await asyncio.Event().wait()

        async def take(change: str) -> None:
            taken.append(change)

        task = asyncio.ensure_future(following.follow("things", look, watch, take))
        await settle()
        assert (looked, taken) == ([0, 1, 2], ["since 10", "since 20", "since 30"])
        await ended(task)

    run(story)


def test_a_reconciler_works_on_what_its_sources_wake_and_says_what_fails(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        clock, told, done = clocks.FakeClock(), feed.Feed[str](), list[str]()
        broken = {"b"}

        async def work(key: str) -> float | None:
            done.append(key)
            if key in broken:
                raise errors.Busy(f"{key} is not to be had")
            return 5.0 if key == "a" else None

        made = reconciler.Reconciler(
            work,
            (reconciler.once("a"), reconciler.told(told.changes, lambda item: (item, "c"))),
            log=log,
            named="the thing {}".format,
            clock=clock,
        )
        task = asyncio.ensure_future(made.run())
        await settle()
        assert done == ["a"]
        told.tell("b")
        await settle()
        assert done == ["a", "b", "c"]
        assert caplog.messages == ["the thing b: b is not to be had; tried again in 0.1 s"]
        broken.clear()
        await clock.advance(0.2)
        assert done == ["a", "b", "c", "b"]
        await clock.advance(5)
        assert done[4:] == ["a"]
        made.forget("a")
        await clock.advance(50)
        assert done[5:] == []
        await ended(task)

    run(story)


def test_a_source_that_fails_ends_the_reconciler() -> None:
    async def story() -> None:
        async def work(_: str) -> None:
            return None

        async def source(_: reconciler.Wake[str]) -> None:
            raise ZeroDivisionError

        with pytest.raises(ExceptionGroup, match="unhandled"):
            await reconciler.Reconciler(work, (source,), log=log).run()

    run(story)


def test_the_store_wakes_what_there_is_and_what_changes_of_a_kind() -> None:
    async def story() -> None:
        store = memory.MemoryStore()
        there, other = keys.Key(ACCOUNT, REGION, "thing", "there"), keys.Key(ACCOUNT, REGION, "other", "there")
        await store.commit(writes.Put(there, b"1"), writes.Put(other, b"1"))
        woken: list[object] = []
        one: reconciler.Source[keys.Key] = store_following.resources(store, {"thing"})
        whole: reconciler.Source[str] = store_following.anything(store, "whole", {"other"})
        tasks = [asyncio.ensure_future(one(woken.append)), asyncio.ensure_future(whole(woken.append))]
        await settle()
        assert woken == [there, "whole"]
        woken.clear()
        fresh = keys.Key(ACCOUNT, REGION, "thing", "fresh")
        await store.commit(writes.Put(fresh, b"1"))
        kept = await store.get(fresh)
        assert kept is not None
        await store.commit(writes.Observe(fresh, b"seen", kept.desired.generation))
        await settle()
        await store.commit(writes.Delete(other), writes.Delete(there))
        await settle()
        assert woken[0] == fresh
        assert set(woken[1:]) == {there, "whole"}
        for task in tasks:
            await ended(task)

    run(story)
