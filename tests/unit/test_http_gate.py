"""Who may connect, and who gives way: no source has more than its share, and none takes the room of a smaller one."""

from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.http import gate


def door(**held: str) -> gate.Callers[str]:
    """For each source a letter a connection: `w` waits, `b` is busy. They are called `a0`, `a1` ..."""
    made: gate.Callers[str] = gate.Callers(gate.Limits(6, 4))
    for source, kinds in held.items():
        for number, kind in enumerate(kinds):
            made.enter(f"{source}{number}", source)
            made.waits(f"{source}{number}", waits=kind == "w")
    return made


@pytest.mark.parametrize(
    ("held", "source", "full", "gone"),
    [
        ({"a": "www"}, "a", False, "a0"),
        ({"a": "wwww"}, "a", True, "a0"),
        ({"a": "bbww"}, "a", True, "a2"),
        ({"a": "bbbb", "b": "w"}, "a", True, None),
        ({"b": "w", "a": "wwww", "c": "w"}, "d", True, "a0"),
        ({"b": "w", "a": "wwww", "c": "w"}, "b", True, "a0"),
        ({"b": "ww", "a": "bbbb"}, "b", True, "b0"),
        ({"b": "ww", "a": "bbbb"}, "c", True, "b0"),
        ({"b": "w", "a": "bbbb", "c": "w"}, "a", True, None),
        ({"b": "www", "a": "bbb"}, "a", True, None),
    ],
)
def test_who_gives_way(held: dict[str, str], source: str, full: bool, gone: str | None) -> None:
    callers = door(**held)
    assert callers.full(source) == full
    assert callers.gives_way(source) == gone


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["enter", "busy", "waits", "left"])), max_size=80)
)
def test_whatever_happens_the_bounds_hold_and_a_smaller_source_loses_nothing(steps: list[tuple[str, str]]) -> None:
    callers = door()
    theirs: dict[str, list[str]] = {}
    for number, (source, what) in enumerate(steps):
        own = theirs.setdefault(source, [])
        if what == "enter":
            if callers.full(source):
                gone = callers.gives_way(source)
                if gone is None:
                    continue
                assert gone[0] == source or len(theirs[gone[0]]) > len(own)
                theirs[gone[0]].remove(gone)
                callers.left(gone)
            own.append(f"{source}{number}")
            callers.enter(own[-1], source)
        elif own and what == "left":
            callers.left(own.pop())
        elif own:
            callers.waits(own[0], waits=what == "waits")
        assert callers.open == sum(map(len, theirs.values())) <= 6
        assert max(map(len, theirs.values())) <= 4
        assert callers.waiting <= callers.open


def test_a_source_is_who_has_an_address() -> None:
    assert gate.source(("192.0.2.7", 5)) == "192.0.2.7"
    assert gate.source(("2001:db8::1", 5, 0, 0)) == gate.source(("2001:db8::ffff:1", 6, 0, 0))
    assert gate.source(("2001:db8::1", 5, 0, 0)) != gate.source(("2001:db8:0:1::1", 5, 0, 0))
    assert gate.source(("fe80::1%eth0", 5, 0, 2)) == gate.source(("fe80::2", 5, 0, 2))
    assert gate.source(None) == gate.source("") == ""


def test_a_gate_knows_when_none_of_what_it_took_is_open() -> None:
    with gate.Gate(socket.create_server(("127.0.0.1", 0)), gate.Limits(2, 2)) as listening:
        assert listening.empty.is_set()
        with contextlib.ExitStack() as clients:
            taken = []
            for _ in range(2):
                clients.enter_context(socket.create_connection(listening.getsockname(), 5))
                taken.append(listening.accept()[0])
            for one in taken:
                assert not listening.empty.is_set()
                one.close()
        assert listening.empty.is_set()
