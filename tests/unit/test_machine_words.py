"""What the local commands say and run, where it is decided by pure functions."""

from __future__ import annotations

import pytest

from roadstead.machine import shell, status
from roadstead.messages import desired

OPENED = ["runc", "exec", "--tty", "--user", "7:7", "h0", "/bin/sh"]


def test_a_shell_has_a_terminal_where_there_is_one() -> None:
    assert shell.inside(OPENED, (), terminal=True) == OPENED
    assert shell.inside(OPENED, ("id", "-u"), terminal=True)[-3:] == ["h0", "id", "-u"]
    assert "--tty" not in shell.inside(OPENED, ("id",), terminal=False)


@pytest.mark.parametrize("kind", desired.KINDS)
def test_one_of_a_kind_is_singular(kind: str) -> None:
    assert status.counted(kind, 3) == f"3 {kind}"
    assert status.counted(kind, 1) in {
        "1 network", "1 host", "1 unit", "1 engine", "1 zone", "1 publish", "1 listener"
    }  # fmt: skip
