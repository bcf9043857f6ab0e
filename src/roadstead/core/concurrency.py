"""Several things at once: who fails, who is waited for, and whose error is told.

Callers know errors, not groups of them; and nothing is done any more after its caller has given up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from roadstead.core import errors

_T = TypeVar("_T")

_AGAIN = 1.0
"""Seconds until a task that goes on is cancelled once more."""


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


async def together(*work: Coroutine[Any, Any, None]) -> None:
    """All of it, to the end of each. When one fails the others are cancelled, and its error is raised in a group."""
    async with asyncio.TaskGroup() as group:
        for one in work:
            group.create_task(one)


async def each(work: Callable[[_T], Awaitable[object]], things: Iterable[_T], at_once: int) -> None:
    """The same work for each, so many at a time. What is refused of one (`errors.Error`) keeps no other from its turn:
    the first refusal is raised when all had theirs."""
    room = asyncio.Semaphore(at_once)
    refused: list[errors.Error] = []

    async def one(thing: _T) -> None:
        async with room:
            try:
                await work(thing)
            except errors.Error as error:
                refused.append(error)

    async with tasks() as group:
        for thing in things:
            group.create_task(one(thing))
    if refused:
        raise refused[0]


async def until_one_ends(*work: Coroutine[object, object, None]) -> None:
    """All of it, until one ends or fails, whose error is raised; the others are cancelled and waited for.

    For who handles the error and goes on for ever: when a group of tasks is cancelled in the moment in which one of
    its tasks fails, Python 3.11 forgets that it was, and such a one would not end.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    for task in done:
        task.result()


async def end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel them, and wait until they have ended. Their errors stay with them.

    More than once, since one cancellation may meet what `until_one_ends` tells of.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=_AGAIN)
    for task in tasks:
        # Looked at: nobody else may, and asyncio would complain.
        if not task.cancelled():
            task.exception()
