"""The rolling plan in the world, run by the one loop: keeps quorum, ends, stays at its end, bears being cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeAlias

import hypothesis
import pytest
from hypothesis import strategies
from tests.world import hosts, rolling

from roadstead.core import clock as clocks
from roadstead.core.loops import loop

Plan: TypeAlias = Callable[[rolling.Wanted, Mapping[str, hosts.Host]], tuple[tuple[hosts.Step, ...], float | None]]

TICK = 0.5
LONGEST = 400.0
"""Seconds of the world after which a plan that has not ended never will."""

DELAYS = strategies.sampled_from([0.0, 0.5, 2.0, 4.0, 9.0, 25.0])
FATES = strategies.builds(
    hosts.Fate,
    arrivals=strategies.lists(DELAYS, max_size=2).map(tuple),
    start=strategies.none() | strategies.sampled_from([0.5, 3.0, 12.0]),
    lag=strategies.sampled_from([0.0, 0.5, 3.0, 11.0]),
)
CHANGES = strategies.lists(strategies.sampled_from([3.0, 7.0, 8.0, 20.0]), min_size=1, max_size=3)
"""Seconds between one wish for a new version and the next."""
CUTS = strategies.frozensets(strategies.integers(0, 60), max_size=4)
"""Ticks at which the program dies and is started again."""


class Story:
    """The group's desired state, the world, and a program that plans: a loop, started anew when it was cut off."""

    def __init__(self, plan: Plan, fates: list[hosts.Fate]) -> None:
        self.clock = clocks.FakeClock()
        self.world = hosts.World(iter("abc"), self.clock, iter(fates))
        self.wanted = rolling.Wanted(1, 1)
        self.failures: list[Exception] = []
        self._plan = plan

    async def work(self, _: str) -> float | None:
        steps, again = self._plan(self.wanted, dict(self.world.seen))
        for step in steps:
            self.world.send(step)
            # The program may be cut off after any step.
            await asyncio.sleep(0)
        return again

    def start(self) -> asyncio.Task[None]:
        runs = loop.Loop(self.work, failed=lambda _, error, __: self.failures.append(error), clock=self.clock)
        self.world.wake = lambda: runs.wake("group")
        runs.wake("group")
        return asyncio.ensure_future(runs.run())

    def at_its_end(self) -> bool:
        return self.world.quiet and self._plan(self.wanted, self.world.seen) == ((), None)

    async def live(self, changes: list[float], cuts: frozenset[int]) -> None:
        """Until nothing is on its way and nothing is to be done."""
        program = self.start()
        tick, next_change, coming = 0, 0.0, list(changes)
        try:
            while coming or not self.at_its_end():
                assert self.clock.now() < LONGEST, "it does not end"
                if coming and self.clock.now() >= next_change:
                    next_change += coming.pop()
                    self.wanted = rolling.Wanted(self.wanted.generation + 1, self.wanted.version + 1)
                    self.world.wake()
                if tick in cuts:
                    program.cancel()
                    await asyncio.wait([program])
                    program = self.start()
                await self.clock.advance(TICK)
                self.world.turn()
                tick += 1
        finally:
            program.cancel()
            await asyncio.wait([program])
        assert self.failures == []


def live(plan: Plan, fates: list[hosts.Fate], changes: list[float], cuts: frozenset[int]) -> Story:
    async def told() -> Story:
        story = Story(plan, fates)
        await story.live(changes, cuts)
        return story

    return asyncio.run(told())


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(strategies.lists(FATES, max_size=25), CHANGES, CUTS)
def test_whatever_becomes_of_the_steps_two_are_never_away_and_it_ends_as_wanted(
    fates: list[hosts.Fate], changes: list[float], cuts: frozenset[int]
) -> None:
    story = live(rolling.plan, fates, changes, cuts)
    assert story.world.worst <= 1
    for host in story.world.hosts.values():
        assert (host.condition, host.version) == (hosts.Condition.UP, story.wanted.version)


def test_nothing_is_done_twice_when_all_goes_well() -> None:
    story = live(rolling.plan, [], [3.0], frozenset())
    assert [step for step in story.world.steps if isinstance(step, hosts.Restart)] == [
        hosts.Restart(name, generation=2, incarnation=1) for name in "abc"
    ]


def hasty(wanted: rolling.Wanted, seen: Mapping[str, hosts.Host]) -> tuple[tuple[hosts.Step, ...], float | None]:
    """The plan without its rule: it disturbs before all agents are seen to be of the current generation."""
    told = [host for host in seen.values() if host.generation == wanted.generation]
    steps, again = rolling.plan(wanted, {host.name: host for host in told})
    rest, later = rolling.plan(wanted, seen)
    return ((*rest, *steps) if len(told) < len(seen) else rest), later or again


def rash(wanted: rolling.Wanted, seen: Mapping[str, hosts.Host]) -> tuple[tuple[hosts.Step, ...], float | None]:
    """The plan that takes the next host as soon as a step for the one before was sent."""
    steps, again = rolling.plan(wanted, seen)
    waiting = [host for host in seen.values() if host.condition is hosts.Condition.UP and host.version < wanted.version]
    if any(host.generation != wanted.generation for host in seen.values()):
        return steps, again
    return tuple(hosts.Restart(host.name, wanted.generation, host.incarnation) for host in waiting[:2]) or steps, again


@pytest.mark.parametrize("wrong", [hasty, rash])
def test_the_world_finds_what_is_wrong_with_a_plan(wrong: Plan) -> None:
    """So that a green run means something."""
    lives = strategies.tuples(strategies.lists(FATES, max_size=25), CHANGES)
    hypothesis.find(
        lives,
        lambda life: live(wrong, life[0], life[1], frozenset()).world.worst > 1,
        settings=hypothesis.settings(
            max_examples=2_000, deadline=None, derandomize=True, database=None, phases=[hypothesis.Phase.generate]
        ),
    )


@pytest.mark.parametrize("condition", list(hosts.Condition))
def test_the_plan_disturbs_nobody_while_one_is_away(condition: hosts.Condition) -> None:
    seen = {name: hosts.Host(name, generation=2) for name in "abc"}
    seen["c"] = hosts.Host("c", condition=condition, generation=2)
    steps, again = rolling.plan(rolling.Wanted(2, 2), seen)
    assert again is not None
    expected = {hosts.Condition.UP: ["a"], hosts.Condition.STARTING: [], hosts.Condition.DEAD: ["c"]}
    assert [step.host for step in steps] == expected[condition]
