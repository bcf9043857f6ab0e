"""Several things at once, whose error is that of the one that failed: callers know errors, not groups of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


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
