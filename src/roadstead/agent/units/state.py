"""s6's status file and the unit's own records to the state of a unit. Pure: no I/O.

Source of the layout: s6 2.11 s6_svstatus_unpack.c (35 bytes); s6 2.13 has the process group in between (43 bytes).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from roadstead.contract.messages import observed

A = TypeVar("A")
B = TypeVar("B")

MOST_BYTES = 64
"""More than any status or record file holds."""
_TAI_EPOCH = 2**62 + 37
"""What a TAI64 label has more than Unix time: skalibs counts the leap seconds, 37 since 2017."""
_LOOKS = 8
_OLD = struct.Struct(">QIQIQHB")
_NEW = struct.Struct(">QIQIQQHB")


@dataclass(frozen=True)
class Supervised:
    """What `s6-supervise` says. Times are Unix seconds; `pid` is of the host's namespace, 0 when nothing runs."""

    since: float
    ready_since: float
    pid: int
    finishing: bool
    wanted_up: bool
    ready: bool

    @property
    def running(self) -> bool:
        """Its `run` runs: the program, or the pause before it."""
        return self.pid > 0 and not self.finishing


@dataclass(frozen=True)
class UnitRecord:
    """What `finish` wrote: how the process ended, how often, and the pause before the next start (seconds)."""

    exit: observed.Exit
    deaths: int
    pause: float


@dataclass(frozen=True)
class UnitFacts:
    """Everything seen of one unit at one time."""

    supervised: Supervised | None
    """None: no s6 watches over it."""
    record: UnitRecord | None
    waiting: bool
    """`run` waits for the pause to end."""
    notifies: bool
    """The unit itself says when it is ready."""
    pid: int | None
    """On the machine."""


@dataclass(frozen=True)
class UnitStatus:
    """A unit's process as it is. `starting`: it has not said yet that it is ready; `up` without that question."""

    state: Literal["down", "backoff", "starting", "up"]
    reason: str = ""
    """For a human; empty when all is well."""
    pid: int | None = None
    """On the machine; None when the program does not run or the host's PID 1 is not known."""
    since: float | None = None
    """Unix time of the program's start."""
    exit: observed.Exit | None = None
    restarts: int = 0
    """Deaths that nobody asked for, since the host was made."""


def unpack(raw: bytes) -> Supervised | None:
    """None when these are not the bytes of a status file."""
    if len(raw) == _OLD.size:
        since, nano, ready, ready_nano, pid, _wait, flags = _OLD.unpack(raw)
    elif len(raw) == _NEW.size:
        since, nano, ready, ready_nano, pid, _group, _wait, flags = _NEW.unpack(raw)
    else:
        return None
    return Supervised(
        since=since - _TAI_EPOCH + nano / 1e9,
        ready_since=ready - _TAI_EPOCH + ready_nano / 1e9,
        pid=pid,
        finishing=bool(flags & 2),
        wanted_up=bool(flags & 4),
        ready=bool(flags & 8),
    )


def record(raw: bytes, written: float) -> UnitRecord | None:
    """`CODE SIGNAL DEATHS ROW PAUSE`, written at a Unix time. None for anything else: the host's user may write it."""
    words = raw.split()
    if len(words) != 5 or not all(word.isdigit() and len(word) < 10 for word in words):
        return None
    code, signal, deaths, _row, pause = (int(word) for word in words)
    ended = observed.Exit(signal=signal, at=written) if code == 256 else observed.Exit(code=code, at=written)
    return UnitRecord(ended, deaths, pause / 1000)


def of_one_moment(status: Callable[[], A], records: Callable[[], B]) -> tuple[A, B]:
    """Both as they were together: a record is written while the supervisor says something else than before and after.

    One that dies all the time is taken as it was seen last.
    """
    before, seen = status(), records()
    for _ in range(_LOOKS):
        now = status()
        if now == before:
            break
        before, seen = now, records()
    return before, seen


def judge(facts: UnitFacts) -> UnitStatus:
    """The state of a unit, with the reason where it is not up."""
    exit = facts.record.exit if facts.record else None
    restarts = facts.record.deaths if facts.record else 0
    pause = facts.record.pause if facts.record else 0.0
    now = facts.supervised
    if now is None:
        return UnitStatus("down", "no s6 watches over it: its host is not running", exit=exit, restarts=restarts)
    if not now.running and not now.wanted_up:
        return UnitStatus("down", "is stopped", exit=exit, restarts=restarts)
    if not now.running and facts.record is None:
        return UnitStatus("starting", "waits for its first start")
    if not now.running or facts.waiting:
        reason = f"{how(exit)}; starts again {f'after a pause of {pause:g} s' if pause else 'at once'}"
        return UnitStatus("backoff", reason, exit=exit, restarts=restarts)
    return UnitStatus(
        "starting" if facts.notifies and not now.ready else "up",
        reason="" if now.wanted_up else "is stopping",
        pid=facts.pid,
        since=now.since + pause,
        exit=exit,
        restarts=restarts,
    )


def how(exit: observed.Exit | None) -> str:
    """How a process ended, in words."""
    match exit:
        case None:
            return "ended"
        case observed.Exit(signal=int(number)):
            return f"was ended by signal {number}"
        case _:
            return f"exited with code {exit.code}" + _HINTS.get(exit.code or 0, "")


_HINTS = {126: " (the program may not be executed)", 127: " (there is no such program)"}
