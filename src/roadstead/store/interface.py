"""The store as everyone sees it, whatever keeps it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from roadstead.store import facts, keys, writes

ALL = keys.Prefix()

LONGEST_PAGE = 1_000


class Store(Protocol):
    """Desired states, observations, records and secrets by their keys. Called in one event loop.

    What is a store says so by its bases, and has the short ways of one write from here.
    """

    @property
    def revision(self) -> int:
        """Of the last transaction that was answered."""
        ...

    async def commit(self, *transaction: writes.Write) -> int:
        """Write all of it or nothing; the revision under which it is kept.

        Kept means on the disk, unless it was observations alone. When nothing had to change, the revision is that of
        an earlier transaction. Raises what the writes name; Invalid for what no store could take; Busy when too many
        wait; Failed when the disk would not (then nothing of it was kept). Who is cancelled while waiting does not
        know whether it was kept.
        """
        ...

    async def put(self, key: keys.Key, body: bytes, expected: writes.Expected = None) -> int:
        """`commit` of one Put; the generation."""
        return await self.commit(writes.Put(key, body, expected))

    async def delete(self, key: keys.Key, expected: writes.Expected = None) -> int:
        """`commit` of one Delete."""
        return await self.commit(writes.Delete(key, expected))

    async def observe(self, key: keys.Key, body: bytes, generation: int) -> int:
        """`commit` of one Observe."""
        return await self.commit(writes.Observe(key, body, generation))

    async def append(self, key: keys.Key, body: bytes, at: float) -> int:
        """`commit` of one Append."""
        return await self.commit(writes.Append(key, body, at))

    async def get(self, key: keys.Key) -> facts.State | None:
        """A desired state and what was seen of it."""
        ...

    async def list(
        self,
        prefix: keys.Prefix = ALL,
        *,
        kind: str | None = None,
        after: keys.Key | None = None,
        limit: int = 100,
    ) -> facts.Page[facts.State]:
        """The desired states below a prefix by their keys, with what was seen of them.

        kind: only of that kind, for lists over all accounts and regions. limit: 1 to 1000, else Invalid.
        """
        ...

    async def records(
        self,
        of: keys.Key | keys.Prefix,
        *,
        after: int | None = None,
        limit: int = 100,
        newest: bool = False,
    ) -> tuple[facts.Record, ...]:
        """The records of a key, or of all keys below a prefix, oldest first, or newest first.

        after: the number of the last record seen. limit: 1 to 1000, else Invalid.
        """
        ...

    async def secret(self, key: keys.Key) -> facts.Secret | None:
        """A secret, opened. Raises Failed when it is damaged or the key that sealed it is missing."""
        ...

    def watch(self, revision: int, prefix: keys.Prefix = ALL) -> AsyncIterator[facts.Changes]:
        """Every transaction after a revision that changed something below the prefix, for ever, in order.

        Raises Gone when the changes since are not all known any more, at the start or when the watcher is too slow.
        """
        ...


async def everything(store: Store, below: keys.Prefix = ALL, *, kind: str | None = None) -> facts.Page[facts.State]:
    """A list of all its pages. Its revision is the first page's: what changed meanwhile is told by a watch from it."""
    page = await store.list(below, kind=kind, limit=LONGEST_PAGE)
    found, revision = list(page.items), page.revision
    while page.next is not None:
        page = await store.list(below, kind=kind, after=page.next, limit=LONGEST_PAGE)
        found += page.items
    return facts.Page(tuple(found), None, revision)
