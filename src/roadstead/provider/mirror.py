"""What the agent is asked for and what it sees, held in memory and kept true by its watch.

serve alone asks the agent of its instance for things, so what was put is known without asking back. Three things could
make it untrue, and each makes it be read anew: a gap (the agent was away), a call whose answer is not known (it was
lost, or nobody waits for it any more) or that met something else than was expected, and an observation of what nobody
here asked for (a call of an earlier serve that came late). Until then `ready` is not set.

The answer of a call and the watch are two connections: what is gone may be told before its deletion was answered, and
what is there anew before its end was told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import msgspec

from roadstead.agent_client import asynchronous
from roadstead.contract.messages import desired, earlier, observed
from roadstead.core import clock as clocks
from roadstead.core import concurrency, errors
from roadstead.core.loops import feed

log = logging.getLogger(__name__)

Place = tuple[str, str]
"""Kind and id."""
_AGAIN = 0.25
"""Seconds until an agent that is away is asked again."""
_UNKNOWN = (errors.Busy, errors.Conflict, errors.Failed, asyncio.CancelledError)
"""After these it is not known what the agent has."""


@dataclass(frozen=True)
class MirroredObject:
    """A desired state at the agent. `since`: the generation from which on it says the same as now, to what is made."""

    generation: int
    spec: desired.Message
    deleting: bool = False
    since: int = 0


class _Doubted(Exception):
    """What is held may not be true."""


class AgentMirror:
    """`run` until cancelled. `ready` is set while it is true."""

    def __init__(self, client: asynchronous.AsyncClient, clock: clocks.Clock) -> None:
        self._client = client
        self._clock = clock
        self.wanted: dict[Place, MirroredObject] = {}
        self.seen: dict[Place, observed.Observation] = {}
        self.ready = asyncio.Event()
        self._units: dict[str, set[Place]] = {}
        """By host."""
        self._feed: feed.Feed[str] = feed.Feed()
        self._never = asyncio.Event()
        self._doubted = asyncio.Event()
        self._asking = asyncio.Lock()
        """One call at a time, as the agent's API has it, and none while everything is read."""
        self._coming: frozenset[Place] = frozenset()
        """What is being put: it may be seen before the answer is here."""
        self._reborn: set[Place] = set()
        """What was put where something was that is still to be told to be gone."""
        self._strange: frozenset[Place] = frozenset()
        """What this serve does not understand."""

    async def run(self) -> None:
        away = False
        while True:
            try:
                since = await self._read()
                if away:
                    log.info("the agent is back")
                away = False
                await concurrency.until_one_ends(self._follow(since), self._until_doubted())
            except _Doubted:
                log.info("what the agent has is read anew")
            except (errors.Busy, errors.Gone, msgspec.DecodeError) as error:
                if not away:
                    log.warning("the agent is away: %s", error)
                away = True
            finally:
                self.ready.clear()
            await self._clock.wait(self._never, self._clock.now() + _AGAIN)

    async def put(self, put: Mapping[str, Mapping[str, tuple[int, desired.Message]]]) -> None:
        """Ask the agent for these, all or none. Raises what it refuses."""
        async with self._asking:
            self._coming = frozenset((kind, id) for kind, specs in put.items() for id in specs)
            try:
                answer = await self._client.accept(put)
            except _UNKNOWN:
                self._doubt()
                raise
            finally:
                self._coming = frozenset()
            for one in answer.accepted:
                place = (one.kind, one.id)
                if one.outcome == "created" and place in self.wanted:
                    self._reborn.add(place)
                generation, spec = put[one.kind][one.id]
                before = self.wanted.get(place)
                same = before is not None and _unnoticed(before.spec, spec) and not before.deleting
                self._keep(
                    place, MirroredObject(generation, spec, since=before.since if before and same else generation)
                )

    async def delete(self, places: Mapping[Place, int]) -> None:
        """Ask the agent to delete what is there of these, each with its generation."""
        async with self._asking:
            by_kind: dict[str, dict[str, int]] = {}
            for place in places.keys() & self.wanted.keys():
                by_kind.setdefault(place[0], {})[place[1]] = places[place]
            if not by_kind:
                return
            try:
                answer = await self._client.accept(delete=by_kind)
            except _UNKNOWN:
                self._doubt()
                raise
            for one in answer.accepted:
                kept = self.wanted.get((one.kind, one.id))
                if one.outcome == "absent":
                    self._drop((one.kind, one.id))
                elif kept is not None:
                    self._keep((one.kind, one.id), replace(kept, generation=one.generation, deleting=True))

    def next_generation(self, place: Place, spec: desired.Message) -> int | None:
        """With which generation something shared is put; None when the agent has it just so."""
        kept = self.wanted.get(place)
        if kept is None:
            return 1
        return None if kept.spec == spec and not kept.deleting else kept.generation + 1

    def units(self, host: str) -> list[Place]:
        """The units that a host is to have."""
        return sorted(self._units.get(host, ()))

    def changes(self) -> AsyncIterator[str]:
        """Ids of hosts and networks (a unit's host) of which something was seen, for ever; `` after a gap."""
        return self._feed.changes()

    async def _read(self) -> int:
        """Everything anew; the revision to watch from."""
        async with self._asking:
            self._doubted.clear()
            first = await self._client.observations()
            records = await self._client.wanted()
            self.wanted, self._units, self._reborn = {}, {}, set()
            strange = set()
            for kind, of_kind in records.items():
                for id, record in of_kind.items():
                    spec = _spec(kind, id, record)
                    if spec is None:
                        strange.add((kind, id))
                    else:
                        self._keep(
                            (kind, id), MirroredObject(record.generation, spec, record.deleting, record.generation)
                        )
            self._strange = frozenset(strange)
            self.seen = {(one.kind, one.id): one for one in first.observations}
            self.ready.set()
        self._feed.tell("")
        return first.revision

    async def _follow(self, since: int) -> None:
        async for change in self._client.watch(since):
            self._change(change)

    async def _until_doubted(self) -> None:
        await self._doubted.wait()
        raise _Doubted

    def _doubt(self) -> None:
        self.ready.clear()
        self._doubted.set()

    def _change(self, change: observed.Changed) -> None:
        place = (change.kind, change.id)
        if change.observation is None:
            self.seen.pop(place, None)
            if place in self._reborn:
                self._reborn.discard(place)
            else:
                self._drop(place)
        else:
            self.seen[place] = change.observation
            kept = self.wanted.get(place)
            if kept is None and place not in self._coming and place not in self._strange:
                self._doubt()
            elif kept is not None and place[0] == "zones" and kept.generation < change.observation.generation:
                # Others than serve let zones fail.
                self._doubt()
        self._feed.tell(change.id.partition("/")[0])

    def _keep(self, place: Place, kept: MirroredObject) -> None:
        self.wanted[place] = kept
        if place[0] == "units":
            self._units.setdefault(place[1].partition("/")[0], set()).add(place)

    def _drop(self, place: Place) -> None:
        self.wanted.pop(place, None)
        if place[0] == "units":
            host = place[1].partition("/")[0]
            others = self._units.get(host, set()) - {place}
            if others:
                self._units[host] = others
            else:
                self._units.pop(host, None)


def _unnoticed(before: desired.Message, now: desired.Message) -> bool:
    """Whether what was made of the one is as it is to be by the other. Other images come to a unit as it runs."""
    if isinstance(before, desired.Unit) and isinstance(now, desired.Unit):
        return msgspec.structs.replace(before, images=now.images) == now
    return before == now


def _spec(kind: str, id: str, record: asynchronous.AgentRecord) -> desired.Message | None:
    """None for what a newer serve asked for, which this one does not understand."""
    try:
        return earlier.read(desired.KINDS[kind], id, bytes(record.spec))
    except (msgspec.DecodeError, KeyError):
        return None
