"""How quick the machine is, and how busy: what the times that components have for each other depend on."""

from __future__ import annotations

import asyncio
import collections
import os
import time
from collections.abc import Collection

_PROGRAM = "/bin/true"
_FIRST, _TRIES = 100, 10
_EVERY = 1.0
"""Seconds between two timers."""
_KEPT = 60
"""Timers that are looked back at; the program is started anew as often."""


class Pace:
    """`look` before anybody asks, then `run` until cancelled; `spawn` and `late` as messages.machine has them."""

    def __init__(self) -> None:
        self.spawn = 0.0
        """The best of all tries: how busy the machine is, is another matter."""
        self._delays: collections.deque[float] = collections.deque(maxlen=_KEPT)

    @property
    def late(self) -> float:
        """By how many seconds timers of this program came too late in the last minute, see `usual`."""
        return usual(self._delays)

    async def look(self) -> None:
        """How long a program takes."""
        now = await asyncio.to_thread(spawned, _TRIES if self.spawn else _FIRST)
        self.spawn = min(now, self.spawn or now)

    async def run(self) -> None:
        """A timer each second, and once a minute `look`."""
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_KEPT):
                due = loop.time() + _EVERY
                await asyncio.sleep(_EVERY)
                self._delays.append(loop.time() - due)
            await self.look()


def spawned(tries: int) -> float:
    """Seconds that a program of no work takes, the best of some tries: others may have the processors meanwhile."""
    return min(_once() for _ in range(tries))


def _once() -> float:
    began = time.monotonic()
    os.waitpid(os.posix_spawn(_PROGRAM, [_PROGRAM], {}), 0)
    return time.monotonic() - began


def usual(delays: Collection[float]) -> float:
    """What nine of ten do not exceed; 0 without any. Pure."""
    return sorted(delays)[len(delays) * 9 // 10] if delays else 0.0
