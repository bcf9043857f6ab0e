"""Look at everything, then at what changes; look at everything again when the changes since are not all known."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NoReturn, TypeVar

from roadstead.core import errors

C = TypeVar("C")

log = logging.getLogger(__name__)


async def follow(
    what: str,
    look: Callable[[], Awaitable[int]],
    watch: Callable[[int], AsyncIterator[C]],
    take: Callable[[C], Awaitable[None]],
) -> NoReturn:
    """Until cancelled, or until one of the three raises. `what` is followed is said in the log.

    look: at everything; the revision that it knows all changes up to. watch: the changes after a revision, for ever;
    raises Gone when they are not all known any more. take: one of them.
    """
    while True:
        revision = await look()
        try:
            async for change in watch(revision):
                await take(change)
        except errors.Gone:
            log.info("%s: what changed since revision %d is not all known: everything is looked at", what, revision)
