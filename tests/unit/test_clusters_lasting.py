"""What of a part lasts: when it is failing, when it is well again, and what of it is news."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from roadstead.clusters import events, observed

Phase = observed.Phase
FAILS, RUNS, READY = Phase.FAILING, Phase.MAKING, Phase.READY
WHY = {FAILS: "kubelet is failing: exited with code 1", RUNS: "kubelet is running", READY: ""}


class Life:
    """One part, looked at as the reconciler does: at each change, and when time makes something of it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seen = observed.Observed("CREATING")
        self.told: list[tuple[float, str, str]] = []
        self.phases: list[tuple[float, Phase]] = []

    def goes(self, seconds: float, phase: Phase, reason: str | None = None, release: str = "1.37.2") -> None:
        raw = observed.Part("node-1", phase, 7, release, reason=WHY[phase] if reason is None else reason)
        end = self.now + seconds
        while self.now < end:
            looked = observed.lasting(self.seen, observed.Projection({"node-1": raw}), self.now)
            part = looked.parts["node-1"]
            news = events.of_parts(self.seen.parts, (part,))
            self.told += [(self.now - 1000, event.reason, event.message) for event in news]
            if self.phase is not part.phase:
                self.phases.append((self.now - 1000, part.phase))
            self.seen = observed.Observed("CREATING", parts=(part,))
            again = observed.look_again((part,), self.now)
            assert again is None or again > 0
            self.now = end if again is None else min(end, self.now + again)

    @property
    def phase(self) -> Phase:
        return self.seen.parts[0].phase if self.seen.parts else Phase.ABSENT

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.told]


def loop(life: Life, pauses: Iterable[float], runs: float = 1.0, then: Phase = RUNS) -> None:
    for pause in pauses:
        life.goes(pause, FAILS)
        life.goes(runs, then)


def test_what_is_made_passes_through_reasons_that_are_no_news() -> None:
    life = Life()
    for reason in ("host is not made yet", "kubelet is not made yet", "kubelet is running: not ready", "it joins"):
        life.goes(8, RUNS, reason)
    life.goes(9, READY)
    assert life.reasons() == ["PartReady"]
    assert life.seen.parts[0] == observed.Part("node-1", READY, 7, "1.37.2")


def test_a_process_that_is_killed_is_not_failing_however_long_it_takes_to_be_ready() -> None:
    life = Life()
    life.goes(100, READY)
    life.goes(0.2, FAILS, "kubelet is failing: was ended by signal 9")
    life.goes(60, RUNS, "kubelet is running")
    life.goes(60, READY)
    assert [phase for _, phase in life.phases] == [READY, RUNS, READY]
    assert life.reasons() == ["PartReady", "PartNotReady", "PartWaiting", "PartReady"]


def test_an_unlucky_start_is_not_failing() -> None:
    life = Life()
    loop(life, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2])
    life.goes(60, READY)
    assert [phase for _, phase in life.phases] == [RUNS, READY]
    assert life.reasons() == ["PartReady"]


def test_what_ends_over_and_over_is_failing_and_says_so_once() -> None:
    life = Life()
    loop(life, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30])
    assert [phase for _, phase in life.phases] == [RUNS, FAILS]
    assert 30 <= life.phases[-1][0] < 31
    assert life.seen.parts[0].reason == WHY[FAILS]
    assert life.reasons() == ["PartWaiting", "PartFailing"]
    life.goes(28, READY)
    assert life.phase is FAILS
    life.goes(2, READY)
    assert life.phase is READY
    assert life.seen.parts[0] == observed.Part("node-1", READY, 7, "1.37.2")


def test_moments_of_readiness_neither_end_a_failure_nor_are_told() -> None:
    life = Life()
    life.goes(100, READY)
    loop(life, [12, 25, 30, 30, 30, 30], runs=3, then=READY)
    assert life.phase is FAILS
    assert life.reasons() == ["PartReady", "PartNotReady", "PartReady", "PartNotReady", "PartFailing"]


@pytest.mark.parametrize("pause", [29.0, 31.0])
def test_two_failures_are_one_when_less_than_a_while_is_between_them(pause: float) -> None:
    life = Life()
    loop(life, [1, 1], runs=pause, then=READY)
    assert (FAILS in [phase for _, phase in life.phases]) is (pause < observed.LASTING)


def test_another_release_is_another_try() -> None:
    life = Life()
    life.goes(40, FAILS)
    assert life.phase is FAILS
    life.goes(29, FAILS, release="1.38.0")
    assert life.phase is RUNS
    life.goes(2, FAILS, release="1.38.0")
    assert life.phase is FAILS


def test_reasons_that_take_turns_are_told_once_each_and_not_without_end() -> None:
    life = Life()
    for _ in range(5):
        for reason in ("waits for its disk", "waits for its network"):
            life.goes(12, RUNS, reason)
    assert [message for _, _, message in life.told] == [
        "node-1 is still not ready: waits for its disk",
        "node-1 is still not ready: waits for its network",
    ]
    for number in range(50):
        life.goes(12, RUNS, f"tried {number} times")
    assert len(life.told) <= 10
