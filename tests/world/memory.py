"""A small store in memory behind the store's interface, so that worlds are told by the thousand.

It does what offices need: desired states, observations, records, secrets (unsealed), expectations, watching. No
compaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import assert_never

from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes


@dataclass
class MemoryStore:
    """See interface.Store."""

    revision: int = 0
    desired: dict[keys.Key, facts.Desired] = field(default_factory=dict)
    observed: dict[keys.Key, facts.Observation] = field(default_factory=dict)
    secrets: dict[keys.Key, facts.Secret] = field(default_factory=dict)
    book: list[facts.Record] = field(default_factory=list)
    changes: list[facts.Changes] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, *transaction: writes.Write) -> int:
        writes.check(transaction)
        for write in transaction:
            self._expect(write)
        revision = self.revision + 1
        done = tuple(change for write in transaction for change in self._do(write, revision))
        if done:
            self.revision = revision
            self.changes.append(facts.Changes(revision, done))
            self.moved.set()
            self.moved = asyncio.Event()
        return self.revision

    def _expect(self, write: writes.Write) -> None:
        match write:
            case writes.Put() | writes.Delete() | writes.Require():
                self._hold(write.key, write.expected)
            case writes.Observe():
                there = self.desired.get(write.key)
                if there is None:
                    raise errors.NotFound(f"there is no {write.key}")
                before = self.observed.get(write.key)
                if write.generation < there.created or (before and write.generation < before.generation):
                    raise errors.Conflict(f"{write.key} is seen as of later already")
            case writes.Unchanged():
                if any(d.generation > write.since for key, d in self.desired.items() if write.prefix.covers(key)):
                    raise errors.Conflict(f"{write.prefix} has changed")
            case writes.PutSecret() | writes.DeleteSecret():
                assert write.expected in (None, writes.Absent())
                if write.expected and write.key in self.secrets:
                    raise errors.AlreadyExists(f"there is {write.key} already")
            case writes.Append():
                return
            case _:
                assert_never(write)

    def _hold(self, key: keys.Key, expected: writes.Expected) -> None:
        there = self.desired.get(key)
        match expected:
            case None:
                return
            case writes.Absent():
                if there:
                    raise errors.AlreadyExists(f"there is {key} already")
            case writes.Present() | writes.At():
                if there is None:
                    raise errors.NotFound(f"there is no {key}")
                if isinstance(expected, writes.At) and there.generation != expected.number:
                    raise errors.Conflict(f"{key} is another one by now")

    def _do(self, write: writes.Write, revision: int) -> list[facts.Change]:
        match write:
            case writes.Put():
                before = self.desired.get(write.key)
                created = before.created if before else revision
                self.desired[write.key] = facts.Desired(write.key, write.body, revision, created)
                return [facts.Change(facts.Part.DESIRED, write.key)]
            case writes.Delete():
                self.observed.pop(write.key, None)
                gone = self.desired.pop(write.key, None)
                return [facts.Change(facts.Part.DESIRED, write.key, deleted=True)] if gone else []
            case writes.Observe():
                kept = self.observed.get(write.key)
                if kept and (kept.body, kept.generation) == (write.body, write.generation):
                    return []
                self.observed[write.key] = facts.Observation(write.key, write.body, write.generation, revision)
                return [facts.Change(facts.Part.OBSERVED, write.key)]
            case writes.Append():
                self.book.append(facts.Record(write.key, len(self.book) + 1, write.at, write.body, revision))
                return [facts.Change(facts.Part.RECORDS, write.key)]
            case writes.PutSecret():
                self.secrets[write.key] = facts.Secret(write.key, revision, write.value)
                return [facts.Change(facts.Part.SECRET, write.key)]
            case writes.DeleteSecret():
                kept_secret = self.secrets.pop(write.key, None)
                return [facts.Change(facts.Part.SECRET, write.key, deleted=True)] if kept_secret else []
            case _:
                return []

    async def put(self, key: keys.Key, body: bytes, expected: writes.Expected = None) -> int:
        return await self.commit(writes.Put(key, body, expected))

    async def delete(self, key: keys.Key, expected: writes.Expected = None) -> int:
        return await self.commit(writes.Delete(key, expected))

    async def observe(self, key: keys.Key, body: bytes, generation: int) -> int:
        return await self.commit(writes.Observe(key, body, generation))

    async def append(self, key: keys.Key, body: bytes, at: float) -> int:
        return await self.commit(writes.Append(key, body, at))

    async def get(self, key: keys.Key) -> facts.State | None:
        there = self.desired.get(key)
        return facts.State(there, self.observed.get(key)) if there else None

    async def list(
        self,
        prefix: keys.Prefix = interface.ALL,
        *,
        kind: str | None = None,
        after: keys.Key | None = None,
        limit: int = 100,
    ) -> facts.Page[facts.State]:
        fitting = sorted(
            key
            for key in self.desired
            if prefix.covers(key) and kind in (None, key.kind) and (after is None or key > after)
        )
        items = tuple(facts.State(self.desired[key], self.observed.get(key)) for key in fitting[:limit])
        return facts.Page(items, items[-1].key if len(fitting) > limit else None, self.revision)

    async def records(
        self, of: keys.Key | keys.Prefix, *, after: int | None = None, limit: int = 100, newest: bool = False
    ) -> tuple[facts.Record, ...]:
        assert not newest
        covers = of.covers if isinstance(of, keys.Prefix) else of.__eq__
        return tuple(record for record in self.book if covers(record.key) and record.number > (after or 0))[:limit]

    async def secret(self, key: keys.Key) -> facts.Secret | None:
        return self.secrets.get(key)

    async def watch(self, revision: int, prefix: keys.Prefix = interface.ALL) -> AsyncIterator[facts.Changes]:
        while True:
            moved = self.moved
            for one in [change for change in self.changes if change.revision > revision]:
                revision = one.revision
                covered = tuple(change for change in one.changes if prefix.covers(change.key))
                if covered:
                    yield facts.Changes(revision, covered)
            if self.revision == revision:
                await moved.wait()
