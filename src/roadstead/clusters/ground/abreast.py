"""Several things at once, whose error is that of the one that failed: callers know errors, not groups of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine


@contextlib.asynccontextmanager
async def tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group. What still runs when one fails is cancelled, so that nothing is done after its caller has given up.

    Raises the error of the task that failed first.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def until_one_ends(*work: Coroutine[object, object, None]) -> None:
    """All of it, until one ends or fails, whose error is raised; the others are cancelled and waited for.

    For who handles the error and goes on for ever: when a group of tasks is cancelled in the moment in which one of
    its tasks fails, Python 3.11 forgets that it was, and such a one would not end.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
