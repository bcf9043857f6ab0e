"""Observations in memory, each change with a revision, and those who watch.

Observations are made anew when the agent starts, so they are not on disk. The last changes are kept; who asks for
older ones is told so (Gone) and reads everything again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from roadstead.agent.records.desired import Key
from roadstead.contract.messages import observed
from roadstead.core import errors

_KEPT = 4096


class ObservationLog:
    """The last observation of each object, and the last changes. Of one event loop, and forgotten with the agent."""

    def __init__(self, first: int) -> None:
        """`first`: the first revision; of the time of the start, so that revisions never go back."""
        self.revision = first
        self._start = first
        self._now: dict[Key, observed.Observation] = {}
        self._changes: deque[observed.Changed] = deque(maxlen=_KEPT)
        self._waiting: set[asyncio.Event] = set()

    def get(self, key: Key) -> observed.Observation | None:
        """None: it was not looked at since the agent started."""
        return self._now.get(key)

    def all(self) -> tuple[observed.Observation, ...]:
        return tuple(self._now.values())

    def put(self, observation: observed.Observation) -> bool:
        """Keep what was seen; False when it is what was seen before."""
        key = (observation.kind, observation.id)
        if self._now.get(key) == observation:
            return False
        self._now[key] = observation
        self._add(key, observation)
        return True

    def gone(self, key: Key) -> None:
        """Told to who watches as a change without an observation."""
        if self._now.pop(key, None) is not None:
            self._add(key, None)

    def _add(self, key: Key, observation: observed.Observation | None) -> None:
        self.revision += 1
        kind, id = key
        self._changes.append(observed.Changed(revision=self.revision, kind=kind, id=id, observation=observation))
        for event in self._waiting:
            event.set()

    def since(self, revision: int) -> list[observed.Changed]:
        """The changes after a revision. Raises Gone when they are no longer known."""
        oldest = self._changes[0].revision - 1 if len(self._changes) == _KEPT else self._start
        if revision < oldest or revision > self.revision:
            raise errors.Gone(
                f"changes are known from revision {oldest} to {self.revision}, not from {revision}: "
                "read the observations again and watch from their revision",
                oldest=oldest,
            )
        return [change for change in self._changes if change.revision > revision]

    async def watch(self, revision: int) -> AsyncIterator[observed.Changed]:
        """Every change after a revision, for ever. Raises Gone when it falls too far behind."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            while True:
                event.clear()
                for change in self.since(revision):
                    revision = change.revision
                    yield change
                await event.wait()
        finally:
            self._waiting.discard(event)
