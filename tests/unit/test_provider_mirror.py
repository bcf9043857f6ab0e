"""The mirror of the agent: two connections that overtake each other, lost answers, and what others have asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from testkit.worlds import machine

from roadstead.agent_client import asynchronous
from roadstead.contract.messages import desired, observed, requests
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.provider import mirror

PLACE = ("networks", "n-1")
NETWORK = desired.Network(cidrs=("10.0.0.0/16",), subnets=())
OTHER = desired.Network(cidrs=("10.1.0.0/16",), subnets=())


class Agent(machine.Machine):
    """Tells what it saw only when the test says so; the answer of a call may be held back, or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: asyncio.Queue[observed.Changed] = asyncio.Queue()
        self.held = asyncio.Event()
        self.held.set()
        self.lost = False
        self.reads = 0

    async def accept(
        self, put: asynchronous.Put | None = None, delete: asynchronous.Generations | None = None
    ) -> requests.BatchAnswer:
        answer = await super().accept(put, delete)
        await self.held.wait()
        if self.lost:
            raise errors.Busy("the answer was lost")
        return answer

    async def wanted(self) -> dict[str, dict[str, asynchronous.AgentRecord]]:
        self.reads += 1
        return await super().wanted()

    async def watch(self, since: int) -> AsyncIterator[observed.Changed]:
        del since
        while True:
            yield await self.lines.get()

    def say(self, place: mirror.Place, phase: str | None) -> None:
        seen = None
        if phase is not None:
            kept = self.records[place]
            seen = observed.Observation(kind=place[0], id=place[1], generation=kept.generation, phase=phase)  # type: ignore[arg-type]
        self.lines.put_nowait(observed.Changed(revision=1, kind=place[0], id=place[1], observation=seen))


def lived(story: Callable[[Agent, mirror.AgentMirror, clocks.FakeClock], Awaitable[None]]) -> None:
    async def whole() -> None:
        agent, clock = Agent(), clocks.FakeClock()
        known = mirror.AgentMirror(agent, clock)
        running = asyncio.ensure_future(known.run())
        try:
            await known.ready.wait()
            await story(agent, known, clock)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    asyncio.run(whole())


async def _breathe() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_what_is_told_to_be_gone_before_its_deletion_is_answered_is_gone() -> None:
    async def story(agent: Agent, known: mirror.AgentMirror, _: clocks.FakeClock) -> None:
        await known.put({"networks": {"n-1": (1, NETWORK)}})
        agent.held.clear()
        deleting = asyncio.ensure_future(known.delete({PLACE: 1}))
        await _breathe()
        del agent.records[PLACE]
        agent.say(PLACE, None)
        await _breathe()
        agent.held.set()
        await deleting
        assert PLACE not in known.wanted

    lived(story)


def test_what_was_put_anew_before_its_end_was_told_stays() -> None:
    async def story(agent: Agent, known: mirror.AgentMirror, _: clocks.FakeClock) -> None:
        await known.put({"networks": {"n-1": (1, NETWORK)}})
        await known.delete({PLACE: 1})
        del agent.records[PLACE]
        await known.put({"networks": {"n-1": (2, NETWORK)}})
        agent.say(PLACE, None)
        agent.say(PLACE, "ready")
        await _breathe()
        assert known.wanted[PLACE].generation == 2
        assert not known.wanted[PLACE].deleting
        assert known.ready.is_set()
        assert agent.reads == 1

    lived(story)


def test_what_was_put_without_an_answer_is_read() -> None:
    async def story(agent: Agent, known: mirror.AgentMirror, clock: clocks.FakeClock) -> None:
        agent.lost = True
        with pytest.raises(errors.Busy):
            await known.put({"networks": {"n-1": (1, NETWORK)}})
        assert not known.ready.is_set()
        await _breathe()
        await clock.advance(1.0)
        assert known.ready.is_set()
        assert known.wanted[PLACE].spec == NETWORK

    lived(story)


def test_what_nobody_here_asked_for_is_read() -> None:
    """A call of an earlier serve that came late; also, what is put is seen before it is answered, and is no news."""

    async def story(agent: Agent, known: mirror.AgentMirror, clock: clocks.FakeClock) -> None:
        agent.held.clear()
        putting = asyncio.ensure_future(known.put({"networks": {"n-1": (1, NETWORK)}}))
        await _breathe()
        agent.say(PLACE, "pending")
        await _breathe()
        agent.held.set()
        await putting
        assert agent.reads == 1
        other = ("networks", "n-2")
        await machine.Machine.accept(agent, {"networks": {"n-2": (1, OTHER)}})
        agent.say(other, "pending")
        await _breathe()
        await clock.advance(1.0)
        assert agent.reads == 2
        assert other in known.wanted

    lived(story)


def test_a_newer_generation_that_says_the_same_is_the_same() -> None:
    async def story(_agent: Agent, known: mirror.AgentMirror, _: clocks.FakeClock) -> None:
        await known.put({"networks": {"n-1": (1, NETWORK)}})
        await known.put({"networks": {"n-1": (2, NETWORK)}})
        assert (known.wanted[PLACE].generation, known.wanted[PLACE].since) == (2, 1)

    lived(story)
