"""s6's status and the unit's own records to the state of a unit."""

from __future__ import annotations

import struct

import pytest

from roadstead.agent.units import state
from roadstead.contract.messages import observed

SINCE = 1_700_000_000.25


def raw(pid: int, flags: int) -> bytes:
    label = 2**62 + 37 + int(SINCE)
    return struct.pack(">QIQIQHB", label, 250_000_000, label + 1, 0, pid, 9, flags)


def test_both_known_layouts_are_read() -> None:
    expected = state.Supervised(
        since=SINCE, ready_since=SINCE + 0.75, pid=42, finishing=False, wanted_up=True, ready=True
    )
    assert state.unpack(raw(42, 4 | 8)) == expected
    newer = raw(42, 4 | 8)
    assert state.unpack(newer[:32] + struct.pack(">Q", 42) + newer[32:]) == expected
    finishing = state.unpack(raw(42, 2))
    assert finishing is not None
    assert (finishing.finishing, finishing.wanted_up, finishing.ready, finishing.running) == (True, False, False, False)
    for nonsense in (b"", raw(1, 0)[:-1], raw(1, 0) + b"x"):
        assert state.unpack(nonsense) is None


def test_what_s6_writes_is_read() -> None:
    """Status files of s6 2.11.3: of a service that said it is ready, and of the same after `s6-svc -d`."""
    up = state.unpack(bytes.fromhex("400000006b0d0fd413aa4c70400000006b0d0fd413fd303c0000000000002daa00000c"))
    assert up is not None
    assert (up.pid, up.finishing, up.wanted_up, up.ready) == (11690, False, True, True)
    assert 1796018095.313 < up.since < up.ready_since < 1796018096
    down = state.unpack(bytes.fromhex("400000006b0d0fd50ce7018e400000006b0d0fd50d3371880000000000000000000f08"))
    assert down is not None
    assert (down.pid, down.running, down.wanted_up) == (0, False, False)


def test_records() -> None:
    assert state.record(b"3 0 7 2 100\n", 5.0) == state.UnitRecord(observed.Exit(code=3, at=5.0), 7, 0.1)
    assert state.record(b"256 9 1 1 0\n", 5.0) == state.UnitRecord(observed.Exit(signal=9, at=5.0), 1, 0.0)
    for nonsense in (b"", b"1 2 3 4", b"1 2 3 4 x", b"1 2 3 4 -5", b"1 2 3 4 99999999999"):
        assert state.record(nonsense, 5.0) is None


UP = state.Supervised(SINCE, SINCE, pid=42, finishing=False, wanted_up=True, ready=True)
DIED = state.Supervised(SINCE, SINCE, pid=0, finishing=False, wanted_up=True, ready=True)
NOT_SAID = state.Supervised(SINCE, SINCE, pid=42, finishing=False, wanted_up=True, ready=False)
STOPPING = state.Supervised(SINCE, SINCE, pid=42, finishing=False, wanted_up=False, ready=True)
STOPPED = state.Supervised(SINCE, SINCE, pid=0, finishing=False, wanted_up=False, ready=True)
FIRST = state.UnitRecord(observed.Exit(code=3, at=5.0), deaths=1, pause=0.0)
LATER = state.UnitRecord(observed.Exit(signal=9, at=5.0), deaths=7, pause=3.2)
NO_PROGRAM = state.UnitRecord(observed.Exit(code=127, at=5.0), deaths=7, pause=3.2)


@pytest.mark.parametrize(
    ("supervised", "record", "waiting", "notifies", "name", "reason"),
    [
        (None, None, False, False, "down", "no s6 watches over it: its host is not running"),
        (UP, None, False, False, "up", ""),
        (NOT_SAID, None, False, False, "up", ""),
        (NOT_SAID, None, False, True, "starting", ""),
        (UP, None, False, True, "up", ""),
        (DIED, None, False, False, "starting", "waits for its first start"),
        (DIED, FIRST, False, False, "backoff", "exited with code 3; starts again at once"),
        (UP, LATER, True, False, "backoff", "was ended by signal 9; starts again after a pause of 3.2 s"),
        (
            DIED,
            NO_PROGRAM,
            False,
            False,
            "backoff",
            "exited with code 127 (there is no such program); starts again after a pause of 3.2 s",
        ),
        (STOPPING, None, False, False, "up", "is stopping"),
        (STOPPED, FIRST, False, False, "down", "is stopped"),
    ],
)
def test_states(
    supervised: state.Supervised | None,
    record: state.UnitRecord | None,
    waiting: bool,
    notifies: bool,
    name: str,
    reason: str,
) -> None:
    seen = state.judge(state.UnitFacts(supervised, record, waiting, notifies, pid=4242))
    assert (seen.state, seen.reason) == (name, reason)
    assert seen.pid == (4242 if name in ("up", "starting") and supervised is not DIED else None)
    assert seen.restarts == (record.deaths if record else 0)
    assert seen.exit == (record.exit if record else None)


def test_the_start_of_the_program_is_after_its_pause() -> None:
    assert state.judge(state.UnitFacts(UP, LATER, False, False, 1)).since == pytest.approx(SINCE + 3.2)


def test_a_status_and_a_record_are_of_one_moment() -> None:
    """A process dies between the two looks: the record is of a death that the first status knows nothing of."""
    said = iter([UP, DIED, DIED])
    kept = iter([(FIRST, False), (LATER, False)])
    assert state.of_one_moment(lambda: next(said), lambda: next(kept)) == (DIED, (LATER, False))
    # What goes on is looked at once; what never rests is not looked at for ever.
    assert state.of_one_moment(lambda: UP, iter([FIRST]).__next__) == (UP, FIRST)
    numbers = iter(range(100))
    assert state.of_one_moment(numbers.__next__, lambda: LATER)[1] == LATER
    assert next(numbers) < 20
