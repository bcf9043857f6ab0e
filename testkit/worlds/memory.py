"""A small store in memory behind the store's interface, so that worlds are told by the thousand.

It keeps the promises of the interface as the real one does (`tests/unit/test_store_conformance.py`), but that it seals
nothing, forgets no change, and is gone with its process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import assert_never

from roadstead.core import errors
from roadstead.store import facts, interface, keys, writes


@dataclass
class MemoryStore(interface.Store):
    """See interface.Store."""

    revision: int = 0
    desired: dict[keys.Key, facts.Desired] = field(default_factory=dict)
    observed: dict[keys.Key, facts.Observation] = field(default_factory=dict)
    secrets: dict[keys.Key, facts.Secret] = field(default_factory=dict)
    appended: list[facts.Record] = field(default_factory=list)
    changes: list[facts.Changes] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def commit(self, *transaction: writes.Write) -> int:
        writes.check(transaction)
        for write in transaction:
            self._meet(write)
        revision = self.revision + 1
        done = tuple(change for write in transaction for change in self._do(write, revision))
        if done:
            self.revision = revision
            self.changes.append(facts.Changes(revision, done))
            self.moved.set()
            self.moved = asyncio.Event()
        return self.revision

    def _meet(self, write: writes.Write) -> None:
        match write:
            case writes.Put() | writes.Delete() | writes.Require():
                there = self.desired.get(write.key)
                _expect(write.expected, there.generation if there else None, "desired state", write.key)
            case writes.PutSecret() | writes.DeleteSecret():
                secret = self.secrets.get(write.key)
                _expect(write.expected, secret.generation if secret else None, "secret", write.key)
            case writes.Observe():
                seen = self.observed.get(write.key)
                _expect(write.expected, seen.revision if seen else None, "observation", write.key)
                self._meet_observation(write)
            case writes.Unchanged():
                since = [one for one in self.changes if one.revision > write.since]
                changed = [each.key for one in since for each in one.changes if each.part is facts.ChangedPart.DESIRED]
                if any(map(write.prefix.covers, changed)):
                    raise errors.Conflict(f"something has changed below {write.prefix}: list again and decide again")
            case writes.Append():
                return
            case _:
                assert_never(write)

    def _meet_observation(self, write: writes.Observe) -> None:
        there, seen = self.desired.get(write.key), self.observed.get(write.key)
        if there is None:
            raise errors.NotFound(f"{write.key} was observed, but there is no desired state of it")
        if write.generation > there.generation:
            raise errors.Invalid(f"{write.key} has only come to {there.generation}, not to {write.generation}")
        if write.generation < max(there.created, seen.generation if seen else 0):
            raise errors.Conflict(f"{write.key} was observed for {write.generation}, which is behind what is known")

    def _do(self, write: writes.Write, revision: int) -> list[facts.Change]:
        match write:
            case writes.Put():
                before = self.desired.get(write.key)
                created = before.created if before else revision
                self.desired[write.key] = facts.Desired(write.key, write.body, revision, created)
                return [facts.Change(facts.ChangedPart.DESIRED, write.key)]
            case writes.Delete():
                kept = ((facts.ChangedPart.DESIRED, self.desired), (facts.ChangedPart.OBSERVED, self.observed))
                gone = [part for part, of in kept if of.pop(write.key, None) is not None]
                return [facts.Change(part, write.key, deleted=True) for part in gone]
            case writes.Observe():
                seen = self.observed.get(write.key)
                if seen and (seen.body, seen.generation) == (write.body, write.generation):
                    return []
                self.observed[write.key] = facts.Observation(write.key, write.body, write.generation, revision)
                return [facts.Change(facts.ChangedPart.OBSERVED, write.key)]
            case writes.Append():
                self.appended.append(facts.Record(write.key, len(self.appended) + 1, write.at, write.body, revision))
                return [facts.Change(facts.ChangedPart.RECORDS, write.key)]
            case writes.PutSecret():
                self.secrets[write.key] = facts.Secret(write.key, revision, write.value)
                return [facts.Change(facts.ChangedPart.SECRET, write.key)]
            case writes.DeleteSecret():
                secret = self.secrets.pop(write.key, None)
                return [facts.Change(facts.ChangedPart.SECRET, write.key, deleted=True)] if secret else []
            case writes.Require() | writes.Unchanged():
                return []
            case _:
                assert_never(write)

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
        _check_limit(limit)
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
        _check_limit(limit)
        covers = of.covers if isinstance(of, keys.Prefix) else of.__eq__
        found = [record for record in (reversed(self.appended) if newest else self.appended) if covers(record.key)]
        if after is not None:
            found = [record for record in found if (record.number < after if newest else record.number > after)]
        return tuple(found[:limit])

    async def secret(self, key: keys.Key) -> facts.Secret | None:
        return self.secrets.get(key)

    async def watch(self, revision: int, prefix: keys.Prefix = interface.ALL) -> AsyncIterator[facts.Changes]:
        while True:
            if not 0 <= revision <= self.revision:
                raise errors.Gone(f"changes are known up to {self.revision}, not from {revision}: list again")
            moved = self.moved
            for one in [change for change in self.changes if change.revision > revision]:
                revision = one.revision
                covered = tuple(change for change in one.changes if prefix.covers(change.key))
                if covered:
                    yield facts.Changes(revision, covered)
            if self.revision == revision:
                await moved.wait()


def _expect(expected: writes.Expected, found: int | None, what: str, key: keys.Key) -> None:
    match expected:
        case None:
            return
        case writes.Absent():
            if found is not None:
                raise errors.AlreadyExists(f"there is a {what} {key} already")
        case writes.Present() | writes.At():
            if found is None:
                raise errors.NotFound(f"there is no {what} {key}")
            if isinstance(expected, writes.At) and found != expected.number:
                raise errors.Conflict(f"the {what} {key} is at {found} and not at {expected.number}")
        case _:
            assert_never(expected)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= interface.LONGEST_PAGE:
        raise errors.Invalid(f"a page of {limit}; 1 to {interface.LONGEST_PAGE} may be asked for")
