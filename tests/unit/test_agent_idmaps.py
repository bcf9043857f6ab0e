"""Which ids nodes get on the machine, and where it is told that they cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.idmaps import ability, ranges


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=32), st.integers(0, 511))
def test_ranges_are_apart_and_nobody_elses(instance: str, others: int) -> None:
    first = ranges.free(instance, ())
    assert first is not None
    taken = [first.first + ranges.SIZE * number for number in range(others)]
    found = ranges.free(instance, taken)
    assert found is not None
    assert found.first == first.first + ranges.SIZE * others
    # Above all that distributions and systemd give away, below the ids that are none.
    assert found.first >= 1 << 31
    assert found.first + found.size < (1 << 32) - 2
    assert found.line == f"0 {found.first} 65536\n"


def test_there_is_an_end_of_them() -> None:
    first = ranges.free("main", ())
    assert first is not None
    assert ranges.free("main", [first.first + ranges.SIZE * number for number in range(512)]) is None


@pytest.mark.parametrize(
    ("kernel", "runc", "why"),
    [
        ("5.15.0-91-generic", "runc version 1.5.3", "Linux 5.15.0-91-generic is older than 5.19"),
        ("6.12.57+deb13-amd64", "", "runc says no version, and 1.2 is needed"),
        ("6.12.57+deb13-amd64", "runc version 1.1.5+ds1\ncommit: x", "runc version 1.1.5+ds1, and 1.2 is needed"),
        ("6.12.57+deb13-amd64", "runc version 1.1.15", "runc version 1.1.15, and 1.2 is needed"),
        ("6.12.57+deb13-amd64", "runc version 1.10.0", None),
        ("5.19.0", "runc version 1.2.0\nspec: 1.2.0", None),
    ],
)
def test_what_is_too_old_is_named(kernel: str, runc: str, why: str | None) -> None:
    assert ability.too_old(kernel, runc) == why
