"""Following the store: keys of some kinds wake who works on them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Hashable
from typing import NoReturn, TypeVar

from roadstead.core.loops import following, reconciler
from roadstead.store import facts, interface, keys

Key = TypeVar("Key", bound=Hashable)

DESIRED = frozenset({facts.ChangedPart.DESIRED})
"""What was asked for."""
KEPT = frozenset({facts.ChangedPart.DESIRED, facts.ChangedPart.SECRET})
"""All that is decided from, and not what was seen."""


async def follow(
    store: interface.Store,
    what: str,
    look: Callable[[], Awaitable[None]],
    take: Callable[[facts.Change], Awaitable[None]],
) -> NoReturn:
    """`look` at everything, then `take` each change of the store; `look` again when some were missed."""

    async def looked() -> int:
        # Before it is looked: what changes meanwhile is told.
        revision = store.revision
        await look()
        return revision

    async def taken(changes: facts.Changes) -> None:
        for change in changes.changes:
            await take(change)

    await following.follow(what, looked, store.watch, taken)


def resources(
    store: interface.Store, kinds: Collection[str], parts: Collection[facts.ChangedPart] = DESIRED
) -> reconciler.Source[keys.Key]:
    """A source: all keys of these kinds, and each whose parts change or go."""

    async def source(wake: reconciler.Wake[keys.Key]) -> None:
        async def look() -> None:
            for kind in kinds:
                for state in (await interface.everything(store, kind=kind)).items:
                    wake(state.key)

        async def take(change: facts.Change) -> None:
            if change.part in parts and change.key.kind in kinds:
                wake(change.key)

        await follow(store, " and ".join(sorted(kinds)), look, take)

    return source


def anything(
    store: interface.Store,
    key: Key,
    kinds: Collection[str] | None,
    parts: Collection[facts.ChangedPart] = DESIRED,
) -> reconciler.Source[Key]:
    """A source: one key, at the beginning and whenever something of these kinds (None: of all) changes."""

    async def source(wake: reconciler.Wake[Key]) -> None:
        async def look() -> None:
            wake(key)

        async def take(change: facts.Change) -> None:
            if change.part in parts and (kinds is None or change.key.kind in kinds):
                wake(key)

        await follow(store, f"what {key} is made of", look, take)

    return source
