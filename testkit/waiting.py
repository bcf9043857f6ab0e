"""Waiting for what has no event to wait for: it is looked at again and again, until the deadline that the caller gives.

A look that fails is no answer: a server may have been away for a moment. The last failure is told at the end.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_NO_ANSWER = (AssertionError, OSError, subprocess.TimeoutExpired)


class Late(AssertionError):
    """It was not so in time."""


def until(what: str, true: Callable[[], object], seconds: float, every: float = 0.1) -> float:
    """Seconds until it is true. Raises Late."""
    began = time.monotonic()
    soon(what, true, seconds, every)
    return time.monotonic() - began


def soon(what: str, value: Callable[[], T], seconds: float, every: float = 0.02) -> T:
    """The first value that is true, of one look after the deadline at the latest. Raises Late."""
    began = time.monotonic()
    while True:
        looked = time.monotonic()
        failed: Exception | None = None
        try:
            if found := value():
                return found
        except _NO_ANSWER as error:
            failed = error
        if looked - began > seconds:
            raise Late(f"{what}: not within {seconds:g} s" + (f": {failed}" if failed else ""))
        time.sleep(every)


async def turns(what: str, true: Callable[[], object], seconds: float, every: float = 0.01) -> float:
    """The same between other tasks of the loop: seconds until it is true. Raises Late."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise Late(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(every)
    return time.monotonic() - began
