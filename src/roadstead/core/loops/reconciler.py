"""The reconciler: work for a key, done whenever one of its sources wakes the key, and tried again when it fails.

Every part of Roadstead that keeps something as it is wanted is one of these: it is told that something may have
changed, never what; it looks, decides, and does. A source wakes what it has at its beginning and what changes then.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Hashable, Iterable
from typing import Any, Generic, TypeVar

from roadstead.core import clock as clocks
from roadstead.core import concurrency
from roadstead.core.loops import complaints, loop

Key = TypeVar("Key", bound=Hashable)
T = TypeVar("T")

Wake = Callable[[Key], None]
Source = Callable[[Wake[Key]], Coroutine[Any, Any, None]]
"""Wakes keys, until cancelled."""


class Reconciler(Generic[Key]):
    """`run` until cancelled.

    work: see, decide, do, for a key; seconds until to look again, or None for "when woken". It raises for what is to
        be tried again, with growing pauses.
    log, named: where failures are said, each fault of the program with its trace once, and what a key is called there.
    said: by what they are said instead.
    """

    def __init__(
        self,
        work: Callable[[Key], Awaitable[float | None]],
        sources: Iterable[Source[Key]],
        *,
        log: logging.Logger,
        named: Callable[[Key], str] = str,
        clock: clocks.Clock | None = None,
        at_once: int = 8,
        backoff: loop.Backoff | None = None,
        said: complaints.Complaints[Key] | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._complaints = said or complaints.Complaints(log, named)
        self._loop: loop.Loop[Key] = loop.Loop(
            work, failed=self._complaints.failed, clock=clock, at_once=at_once, backoff=backoff
        )

    async def run(self) -> None:
        """Sources and work side by side; the first of them that ends with an error ends all."""
        await concurrency.together(self._loop.run(), *(source(self.wake) for source in self._sources))

    def wake(self, key: Key, after: float = 0.0) -> None:
        """Work on a key in `after` seconds, or earlier when it is already due earlier."""
        self._loop.wake(key, after)

    def forget(self, key: Key) -> None:
        """The key is gone: no more work, and no memory of its failures."""
        self._loop.forget(key)
        self._complaints.forget(key)


def told(changes: Callable[[], AsyncIterator[T]], keys: Callable[[T], Iterable[Key]]) -> Source[Key]:
    """A source: what is told, and the keys that each of it concerns."""

    async def source(wake: Wake[Key]) -> None:
        async for change in changes():
            for key in keys(change):
                wake(key)

    return source


def once(key: Key) -> Source[Key]:
    """A source that wakes a key at the beginning."""

    async def source(wake: Wake[Key]) -> None:
        wake(key)

    return source
