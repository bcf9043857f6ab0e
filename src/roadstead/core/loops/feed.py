"""What happens, told to everyone who listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Feed(Generic[T]):
    """`tell` what has happened, e.g. to which key; `changes` for each who listens. Of one event loop.

    What is told again before somebody has heard it is heard once, so that who is slow has no more to hear than there
    are things.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[dict[T, None], asyncio.Event]] = []

    def tell(self, item: T) -> None:
        """Returns at once. Of the loop's thread alone; who does not listen yet is not told."""
        for told, woken in self._waiting:
            told[item] = None
            woken.set()

    async def changes(self, *first: T) -> AsyncIterator[T]:
        """`first`, then what is told from the moment on in which it is asked for its first, for ever."""
        listener = (dict.fromkeys(first), asyncio.Event())
        told, woken = listener
        self._waiting.append(listener)
        try:
            while True:
                while told:
                    item = next(iter(told))
                    del told[item]
                    yield item
                woken.clear()
                await woken.wait()
        finally:
            self._waiting = [one for one in self._waiting if one is not listener]
