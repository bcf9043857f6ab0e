"""How much longer than usual components wait for each other on a machine, and whether it is too slow for them. Pure.

Components end or take over when another one has not answered for some seconds. On a machine that needs most of these
for the answer itself they would end over and over, each start making it slower for the others.
"""

from __future__ import annotations

from roadstead.contract.messages import machine

_SLOW = 0.003
"""Seconds that the smallest program takes, at best: 1 ms on a computer, be it busy or not, and more than 4 in user-mode
Linux, where system calls take forty times as long."""
_LATE = 0.5
"""Seconds by which timers are late where more is asked of the processors than they have."""


def patience(seen: machine.Machine | None) -> int:
    """By how much the usual times are multiplied: 1, 2 or 5. A cluster has for its life what it was made with."""
    if seen is None:
        return 1
    if seen.spawn > _SLOW:
        return 5
    return 2 if seen.cores == 1 else 1


def too_slow(seen: machine.Machine | None) -> str:
    """Why what fails here may fail for want of time; empty where it has no such excuse."""
    if seen is None:
        return ""
    if seen.spawn > _SLOW:
        return "the machine is too slow: it needs long to start even the smallest program"
    if seen.late > _LATE:
        return "the machine is too slow: more is asked of its processors than they have"
    return ""
