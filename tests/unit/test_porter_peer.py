"""The other porter: how often it may be silent, and when that says nothing. That one is ended: live/test_porter.py."""

from __future__ import annotations

import pytest

from roadstead.porter import peer

GIVEN, NONE, ABSENT = peer.Answer.GIVEN, peer.Answer.NONE, peer.Answer.ABSENT
LONG = 2 * peer.EVERY + 0.1
"""Seconds that a question took where this process was held up."""


def over(*asked: tuple[peer.Answer, float]) -> list[bool]:
    patience = peer.Patience()
    return [patience.over(answer, took, peer.EVERY) for answer, took in asked]


def test_who_is_silent_all_the_time_is_ended_after_two_seconds() -> None:
    assert peer.TIMES * peer.EVERY == 2
    assert over(*[(NONE, peer.EVERY)] * peer.TIMES) == [False] * (peer.TIMES - 1) + [True]


@pytest.mark.parametrize("between", [(GIVEN, peer.EVERY), (ABSENT, peer.EVERY), (GIVEN, LONG)])
def test_who_answers_in_between_or_is_not_there_is_not(between: tuple[peer.Answer, float]) -> None:
    almost = [(NONE, peer.EVERY)] * (peer.TIMES - 1)
    assert over(*almost, between, *almost) == [False] * (2 * peer.TIMES - 1)


def test_a_machine_that_stood_still_is_no_reason() -> None:
    """Of two that were held up together neither ends the other, as often as it happens."""
    assert over(*[(NONE, LONG)] * 10) == [False] * 10
    almost = [(NONE, peer.EVERY)] * (peer.TIMES - 1)
    assert over(*almost, (NONE, LONG), *almost) == [False] * (2 * peer.TIMES - 1)
