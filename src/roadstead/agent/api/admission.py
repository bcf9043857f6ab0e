"""Accepts batches: decides by generations, checks them against everything else, keeps them, wakes the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from roadstead.agent.api import checks, generations
from roadstead.agent.kinds import bounds
from roadstead.agent.kinds import kind as descriptors
from roadstead.agent.records import blobs, register
from roadstead.agent.records import desired as store
from roadstead.contract.messages import requests
from roadstead.core import errors


class Admission:
    """One batch at a time, so that every check sees the state that it is kept on top of.

    `allowed`: what of the machine others than root may ask for.
    """

    def __init__(
        self,
        kinds: descriptors.Kinds,
        records: store.DesiredStore,
        kept_blobs: blobs.Blobs,
        system: Iterable[str],
        accepted: Callable[[store.DesiredRecord], None],
        allowed: bounds.Bounds,
        known: register.Register,
    ) -> None:
        self._kinds = kinds
        self._records = records
        self._blobs = kept_blobs
        self._system = frozenset(system)
        self._accepted = accepted
        self._allowed = allowed
        self._register = known
        self._lock = asyncio.Lock()

    async def accept(self, batch: requests.Batch, user: int) -> requests.BatchAnswer:
        """All of the batch of a user (its id), or an error and nothing of it. What is answered is on disk."""
        async with self._lock:
            asked, answer = generations.decide(self._kinds, self._records.records, batch)
            changed = checks.with_parts(self._kinds, self._records.records, asked)
            if changed:
                checks.check(self._kinds, self._records.records, changed, self._facts(user))
                await asyncio.to_thread(self._register.commit, changed)
        for record in changed:
            self._accepted(record)
        return requests.BatchAnswer(accepted=answer)

    def _facts(self, user: int) -> descriptors.Facts:
        """What root asks for it vouches for, and it is bound by nothing of its own."""
        if user == 0:
            return descriptors.Facts(self._blobs.has, self._system)
        return descriptors.Facts(self._blobs.has, self._system, self._allowed, self._register.vouches)

    def expect(self, generations_wanted: dict[str, int]) -> None:
        """Raises Conflict unless each `KIND/ID` is here in that generation and not being deleted."""
        for name, generation in generations_wanted.items():
            kind, _, id = name.partition("/")
            record = self._records.get((kind, id))
            if record is None or record.deleting:
                raise errors.Conflict(f"{name} is not here; generation {generation} was expected", key=name)
            if record.generation != generation:
                raise errors.Conflict(
                    f"{name} is of generation {record.generation}; this was made for {generation}: "
                    "read again and decide anew",
                    key=name,
                    generation=record.generation,
                )
