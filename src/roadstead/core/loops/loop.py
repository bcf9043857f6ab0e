"""The one loop: keys go in, each is worked on by one task at a time, failures are tried again with back-off.

Work is a function of the key alone: it reads what is wanted and what is, does what is to be done now, and returns
when to look again (seconds from now, or None for "when woken"). A key woken while its work runs is worked on once
more afterwards, so that no change is lost. Source of the pattern: Kubernetes' client-go work queues.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from roadstead.core import clock as clocks

Key = TypeVar("Key", bound=Hashable)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Backoff:
    """Delays in seconds after the first, second ... failure in a row."""

    first: float = 0.1
    factor: float = 2.0
    most: float = 30.0

    def delay(self, failures: int) -> float:
        """The delay after `failures` (>= 1) failures in a row."""
        return min(self.most, self.first * self.factor ** min(failures - 1, 60))


class Loop(Generic[Key]):
    """The queue and its workers. `failed` is told of each failure: key, error, seconds until the next try."""

    def __init__(
        self,
        work: Callable[[Key], Awaitable[float | None]],
        *,
        failed: Callable[[Key, Exception, float], None],
        clock: clocks.Clock | None = None,
        at_once: int = 8,
        backoff: Backoff | None = None,
    ) -> None:
        self._work = work
        self._failed = failed
        self._clock = clock or clocks.SystemClock()
        self._at_once = at_once
        self._backoff = backoff or Backoff()
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0
        self._running: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._woken = asyncio.Event()

    def wake(self, key: Key, after: float = 0.0) -> None:
        """Work on `key` in `after` seconds, or earlier when it is already due earlier."""
        due = self._clock.now() + after
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        self._woken.set()

    def now(self) -> float:
        """Seconds on the clock that `wake` counts by."""
        return self._clock.now()

    def forget(self, key: Key) -> None:
        """The key is gone: no more work, no memory of its failures."""
        self._due.pop(key, None)
        self._failures.pop(key, None)

    def idle(self) -> bool:
        """Nothing runs and nothing is due now."""
        now = self._clock.now()
        return not self._running and not any(due <= now for due in self._due.values())

    async def run(self) -> None:
        """Work until cancelled. What runs at that time is cancelled too."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._woken.clear()
                later = self._start_due(tasks)
                await self._clock.wait(self._woken, later)

    def _start_due(self, tasks: asyncio.TaskGroup) -> float | None:
        """Start what is due and free; returns when the next one is due (None: when woken)."""
        blocked: list[tuple[float, int, Key]] = []
        later: float | None = None
        now = self._clock.now()
        while self._heap:
            due, count, key = self._heap[0]
            if self._due.get(key) != due:
                heapq.heappop(self._heap)
                continue
            if due > now:
                later = due
                break
            if len(self._running) >= self._at_once:
                break
            heapq.heappop(self._heap)
            if key in self._running:
                blocked.append((due, count, key))
                continue
            del self._due[key]
            self._running.add(key)
            tasks.create_task(self._one(key))
        for entry in blocked:
            heapq.heappush(self._heap, entry)
        return later

    async def _one(self, key: Key) -> None:
        try:
            again = await self._work(key)
        except Exception as error:
            count = self._failures.get(key, 0) + 1
            self._failures[key] = count
            delay = self._backoff.delay(count)
            self._failed(key, error, delay)
            again = delay
        else:
            self._failures.pop(key, None)
        finally:
            self._running.discard(key)
            self._woken.set()
        if again is not None:
            self.wake(key, again)
