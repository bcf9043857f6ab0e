"""Several things at once: whose error is told, and that nothing goes on after its caller has given up."""

from __future__ import annotations

import asyncio

import pytest

from roadstead.core import concurrency, errors


def test_what_failed_first_is_the_error_and_nothing_is_done_after_it() -> None:
    done = []

    async def fails() -> None:
        raise errors.Busy("not now")

    async def writes_late() -> None:
        await asyncio.sleep(0.01)
        done.append(1)

    async def both() -> None:
        async with concurrency.tasks() as tasks:
            tasks.create_task(writes_late())
            tasks.create_task(fails())

    async def story() -> None:
        with pytest.raises(errors.Busy, match="not now"):
            await both()
        await asyncio.sleep(0.02)

    asyncio.run(story())
    assert done == []


def test_each_has_its_turn_so_many_at_a_time_and_the_first_refusal_is_told_at_the_end() -> None:
    done: list[int] = []
    now = most = 0

    async def work(number: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        if number % 3 == 1:
            raise errors.Busy(f"not {number}")
        done.append(number)

    with pytest.raises(errors.Busy, match="not 1"):
        asyncio.run(concurrency.each(work, range(9), 4))
    assert done == [0, 2, 3, 5, 6, 8]
    assert most == 4


def test_what_is_no_refusal_ends_the_others_at_once() -> None:
    ended: list[str] = []

    async def work(word: str) -> None:
        if word == "fault":
            raise RuntimeError(word)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(word)

    with pytest.raises(RuntimeError, match="fault"):
        asyncio.run(concurrency.each(work, ["waits", "fault"], 4))
    assert ended == ["waits"]


def test_together_all_are_done_and_one_that_fails_ends_the_others() -> None:
    seen: list[str] = []

    async def says(word: str) -> None:
        seen.append(word)

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async def fails() -> None:
        raise errors.Busy("not now")

    asyncio.run(concurrency.together(says("a"), says("b")))
    with pytest.raises(ExceptionGroup) as told:
        asyncio.run(concurrency.together(waits(), fails()))
    assert [str(each) for each in told.value.exceptions] == ["not now"]
    assert seen == ["a", "b", "ended"]


def test_who_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "_AGAIN", 0.01)
    swallowed: list[int] = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(1)
                if len(swallowed) == 3:
                    raise

    async def fails() -> None:
        raise errors.Busy("not now")

    async def story() -> None:
        tasks = [asyncio.ensure_future(stubborn()), asyncio.ensure_future(fails())]
        await asyncio.sleep(0)
        await concurrency.end(*tasks)
        assert all(task.done() for task in tasks)

    asyncio.run(story())
    assert len(swallowed) == 3


def test_the_end_of_one_is_the_end_of_all() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("ended")

    async def fails() -> None:
        raise errors.Busy("not now")

    async def ends() -> None:
        seen.append("done")

    asyncio.run(concurrency.until_one_ends(waits(), ends()))
    with pytest.raises(errors.Busy):
        asyncio.run(concurrency.until_one_ends(waits(), fails()))
    assert seen == ["done", "ended", "ended"]
