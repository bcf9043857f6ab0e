"""The clock of everything that waits: the system's, or one that a test turns."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, and waiting by them."""

    def now(self) -> float:
        """Seconds since some moment, never less than before."""
        ...

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the time `until` (None: never) has come."""
        ...


class SystemClock:
    """The kernel's monotonic clock, which stands still while the machine is suspended."""

    def now(self) -> float:
        return time.monotonic()

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        if until is None:
            await event.wait()
            return
        try:
            async with asyncio.timeout(max(0.0, until - self.now())):
                await event.wait()
        except TimeoutError:
            return


class FakeClock:
    """Time passes only by `advance`."""

    def __init__(self) -> None:
        self._now = 0.0
        self._turned = asyncio.Event()

    def now(self) -> float:
        return self._now

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        while not event.is_set() and (until is None or self._now < until):
            self._turned.clear()
            waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self._turned.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def advance(self, seconds: float) -> None:
        """Turn the clock, and let everything that became due run until it waits again."""
        self._now += seconds
        self._turned.set()
        for _ in range(50):
            await asyncio.sleep(0)
