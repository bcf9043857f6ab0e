"""When a support ends, and what is due on a day: decided without a clock. And that the page says the same days."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from roadstead.clusters import versions
from roadstead.clusters.end_of_support import policy

END = dt.date(2026, 12, 2)
STANDARD = policy.deadline("1.34", "STANDARD")
PAGE = Path(__file__).parents[2] / "docs" / "versions.md"


def midnight(days: int) -> float:
    """So many days before the end, in seconds since 1970."""
    return dt.datetime.combine(END - dt.timedelta(days=days), dt.time(), dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("minor", "support", "day", "after"),
    [
        ("1.34", "STANDARD", "2026-12-02", "1.35"),
        ("1.34", "EXTENDED", "2027-12-02", "1.35"),
        ("1.36", "STANDARD", "2027-08-02", "1.37"),
        ("1.37", "EXTENDED", "2028-12-01", None),
    ],
)
def test_the_support_of_a_cluster_ends_by_its_policy(minor: str, support: str, day: str, after: str | None) -> None:
    found = policy.deadline(minor, support)
    assert (found.day.isoformat(), found.next.minor if found.next else None) == (day, after)


@pytest.mark.parametrize(
    ("left", "told", "made"),
    [
        (61, (), None),
        (60, (), 60),
        (31, (), 60),
        (31, (60,), None),
        (30, (60,), 30),
        (8, (60,), 30),
        (7, (), 7),
        (1, (60, 30, 7), 1),
        (1, (60, 30, 7, 1), None),
        # A clock that was set back.
        (20, (7,), None),
        (60, (1,), None),
        # It is no announcement any more.
        (0, (), None),
        (-5, (), None),
    ],
)
def test_the_latest_that_is_due_is_announced_once(left: int, told: tuple[int, ...], made: int | None) -> None:
    assert policy.announcement(STANDARD, END - dt.timedelta(days=left), told) == made


@hypothesis.given(strategies.lists(strategies.integers(-10, 90), max_size=40))
def test_whenever_it_is_looked_each_is_announced_once_and_none_after_a_later_one(lefts: list[int]) -> None:
    told: list[int] = []
    for left in lefts:
        ahead = policy.announcement(STANDARD, END - dt.timedelta(days=left), told)
        if ahead is not None:
            assert 0 < left <= ahead
            told.append(ahead)
    assert told == sorted(set(told), reverse=True)


@hypothesis.given(strategies.floats(-100.0, 100.0))
def test_it_is_looked_again_within_a_day_and_at_no_midnight_that_counts_too_late(days: float) -> None:
    now = midnight(0) + days * policy.A_DAY
    after = policy.look_again(STANDARD, now)
    assert 0 < after <= policy.A_DAY
    for ahead in (*policy.AHEAD, 0):
        assert not now < midnight(ahead) < now + after


def test_an_update_that_failed_is_tried_again_ever_more_rarely() -> None:
    pauses = [policy.RETRIES.delay(failures) for failures in range(1, 30)]
    assert pauses[:3] == [600.0, 1200.0, 2400.0]
    assert max(pauses) == pauses[-1] == policy.A_DAY


def test_the_page_has_the_days_and_versions_that_there_are() -> None:
    row = re.compile(r"\| (1\.\d+) \| (\S+) \| `(\S+)` \| (\S+) \| (\S+) \| (\S+) \|")
    shown = [found.groups() for line in PAGE.read_text().splitlines() if (found := row.fullmatch(line))]
    days = [(each.released, each.standard_until, each.extended_until) for each in versions.OFFERED]
    assert shown == [
        (each.minor, each.patch, each.platform, *(day.isoformat() for day in dates))
        for each, dates in zip(versions.OFFERED, days, strict=True)
    ]
