"""The one loop, on a clock that the test turns."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import pytest

from roadstead.core import clock as clocks
from roadstead.core.loops import loop


class Bench:
    """A loop with a clock to turn, and what happened in it."""

    def __init__(self, work: Callable[[str], Awaitable[float | None]], at_once: int = 8) -> None:
        self.clock = clocks.FakeClock()
        self.failures: list[tuple[str, str, float]] = []
        self.loop: loop.Loop[str] = loop.Loop(
            work,
            failed=lambda key, error, delay: self.failures.append((key, str(error), delay)),
            clock=self.clock,
            at_once=at_once,
        )

    async def __aenter__(self) -> Bench:
        self.task = asyncio.create_task(self.loop.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


def test_a_woken_key_is_worked_on_once() -> None:
    async def story() -> None:
        done: list[str] = []

        async def work(key: str) -> None:
            done.append(key)

        async with Bench(work) as bench:
            bench.loop.wake("a")
            bench.loop.wake("a")
            bench.loop.wake("b")
            await bench.clock.advance(0)
            assert done == ["a", "b"]
            assert bench.loop.idle()

    run(story)


def test_a_key_woken_while_it_is_worked_on_is_looked_at_again_and_never_twice_at_once() -> None:
    async def story() -> None:
        gate = asyncio.Event()
        active = 0
        starts = 0

        async def work(_: str) -> None:
            nonlocal active, starts
            starts += 1
            active += 1
            assert active == 1
            await gate.wait()
            active -= 1

        async with Bench(work) as bench:
            bench.loop.wake("a")
            await bench.clock.advance(0)
            bench.loop.wake("a")
            bench.loop.wake("a")
            await bench.clock.advance(0)
            assert starts == 1
            gate.set()
            await bench.clock.advance(0)
            assert starts == 2

    run(story)


def test_failures_are_tried_again_slower_and_slower_and_success_resets() -> None:
    async def story() -> None:
        tries: list[float] = []
        bad = True

        async def work(_: str) -> None:
            tries.append(bench.clock.now())
            if bad:
                raise ValueError("no")

        async with Bench(work) as bench:
            bench.loop.wake("a")
            for _ in range(3200):
                await bench.clock.advance(0.05)
            gaps = [round(later - earlier, 1) for earlier, later in itertools.pairwise(tries)]
            assert gaps[:4] == [0.1, 0.2, 0.4, 0.8]
            assert max(gaps) <= 30.1
            bad = False
            await bench.clock.advance(31)
            before = len(bench.failures)
            bad = True
            bench.loop.wake("a")
            await bench.clock.advance(0)
            assert bench.failures[before][2] == pytest.approx(0.1)

    run(story)


def test_look_again_and_wake_take_the_earlier_time() -> None:
    async def story() -> None:
        looks: list[float] = []

        async def work(_: str) -> float:
            looks.append(bench.clock.now())
            return 10.0

        async with Bench(work) as bench:
            bench.loop.wake("a")
            await bench.clock.advance(0)
            bench.loop.wake("a", 3.0)
            await bench.clock.advance(3)
            assert looks == [0.0, 3.0]
            await bench.clock.advance(9.9)
            assert len(looks) == 2
            await bench.clock.advance(0.2)
            assert len(looks) == 3

    run(story)


def test_no_more_keys_at_once_than_allowed_and_all_get_their_turn() -> None:
    async def story() -> None:
        active: set[str] = set()
        most = 0
        done: set[str] = set()

        async def work(key: str) -> None:
            nonlocal most
            active.add(key)
            most = max(most, len(active))
            await asyncio.sleep(0)
            active.remove(key)
            done.add(key)

        async with Bench(work, at_once=3) as bench:
            for number in range(20):
                bench.loop.wake(f"k{number}")
            for _ in range(20):
                await bench.clock.advance(0)
            assert len(done) == 20
            assert most == 3

    run(story)


def test_a_forgotten_key_is_not_worked_on() -> None:
    async def story() -> None:
        done: list[str] = []

        async def work(key: str) -> None:
            done.append(key)

        async with Bench(work) as bench:
            bench.loop.wake("a", 1.0)
            bench.loop.forget("a")
            await bench.clock.advance(2)
            assert done == []

    run(story)
