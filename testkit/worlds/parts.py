"""A simulated agent behind the reconciler's protocol: steps take effect late, twice, partly or never, observations lag.

It is to its parts what the agent is: it never goes back to an older generation, also not for a part that it removed,
and starts a part anew only for the incarnation that was meant.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import functools
import heapq
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from roadstead.clusters import observed, provider
from roadstead.clusters.trust import authorities
from roadstead.contract import leaving
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.store import keys

PAUSE, RUNS = 6.0, 1.0
"""Seconds that what ends is not started again, and that it lasts then."""

Phase = observed.Phase
Place = tuple[keys.Key, str]


@functools.cache
def certificate() -> str:
    """Of an authority, as clients are told of it: in PEM and base 64. Made once: a key takes its time."""
    made = authorities.authority("simulated", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    return base64.b64encode(made.certificate).decode()


@dataclass(frozen=True)
class Fate:
    """What becomes of one step: after each of `arrivals` seconds it is done (none: it is lost); a part that it starts
    ends again and again for `fails` seconds, as its supervision starts it anew, and then takes `start` seconds; what is
    seen after it arrives `lag` seconds later."""

    arrivals: tuple[float, ...] = (0.0,)
    start: float = 0.0
    lag: float = 0.0
    fails: float = 0.0


@dataclass
class World:
    """See clusters.provider.Provider. `parts` is how it is, `seen` how it was seen; `worst`: how many parts of one
    owner, that had been ready and were still wanted, were away at the same time. `refuses`: releases that it cannot
    make; `coming`: those of which it says, when it is to prepare them, that they are being got. `held`: whether pods
    are held where they are."""

    clock: clocks.Clock
    fates: Iterator[Fate] = field(default_factory=lambda: iter(()))
    refuses: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()
    held: bool = False
    parts: dict[Place, observed.Part] = field(default_factory=dict)
    told: dict[Place, provider.PartSpec] = field(default_factory=dict)
    seen: dict[Place, observed.Part] = field(default_factory=dict)
    steps: list[tuple[str, str, int]] = field(default_factory=list)
    worst: int = 0
    _proven: set[Place] = field(default_factory=set)
    _looks: dict[Place, int] = field(default_factory=dict)
    _coming: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _count: int = 0
    _changed: list[keys.Key] = field(default_factory=list)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    async def prepare(self, release: str) -> None:
        if release in self.coming:
            raise errors.Busy(f"the engine {release} is being built")
        if release in self.refuses:
            raise errors.Failed(f"there is no engine {release}")
        await asyncio.sleep(0)

    async def tell(self, owner: keys.Key, generation: int, parts: Mapping[str, provider.PartSpec]) -> None:
        for part, wanted in parts.items():
            self._tell((owner, part), generation, wanted)
        await asyncio.sleep(0)

    def _tell(self, place: Place, generation: int, wanted: provider.PartSpec) -> None:
        self._send("tell", *place, generation, lambda fate: self._told(place, generation, wanted, fate))

    async def replace(
        self, owner: keys.Key, part: str, generation: int, incarnation: int, wanted: provider.PartSpec
    ) -> None:
        def effect(fate: Fate) -> None:
            there = self.parts.get((owner, part))
            meant = there and (there.generation, there.incarnation) == (generation, incarnation)
            if there and meant and there.phase is not Phase.ABSENT:
                self.told[owner, part] = wanted
                self._start((owner, part), fate)

        self._send("replace", owner, part, generation, effect)
        await asyncio.sleep(0)

    async def remove(self, owner: keys.Key, generation: int, parts: Collection[str], leave: leaving.Leave) -> None:
        for part in parts:
            if not self.held or leave is leaving.Leave.DROPPED:
                self._remove((owner, part), generation)
        await asyncio.sleep(0)

    def _remove(self, place: Place, generation: int) -> None:
        def effect(fate: Fate) -> None:
            there = self.parts.get(place, observed.Part(place[1]))
            if generation >= there.generation and there != observed.Part(place[1], generation=generation):
                self._proven.discard(place)
                gone = observed.Part(place[1], generation=generation, incarnation=there.incarnation)
                self._become(place, gone, fate.lag)

        self._send("remove", *place, generation, effect)

    async def see(self, owner: keys.Key) -> observed.Projection:
        mine = {name: part for (of, name), part in self.seen.items() if of == owner}
        up = owner.kind == "cluster" and any(part.phase is Phase.READY for part in mine.values())
        return observed.Projection(mine, "https://198.51.100.1", certificate()) if up else observed.Projection(mine)

    async def changes(self) -> AsyncIterator[keys.Key]:
        told = 0
        while True:
            moved = self._moved
            while told < len(self._changed):
                told += 1
                yield self._changed[told - 1]
            await moved.wait()

    def turn(self) -> None:
        """Let everything happen that is due."""
        while self._coming and self._coming[0][0] <= self.clock.now():
            heapq.heappop(self._coming)[2]()
            away: dict[keys.Key, int] = {}
            for owner, name in self._proven:
                away[owner] = away.get(owner, 0) + (self.parts[owner, name].phase is not Phase.READY)
            self.worst = max(self.worst, *away.values(), 0)

    @property
    def quiet(self) -> bool:
        """Nothing is on its way any more."""
        return not self._coming

    def present(self) -> list[Place]:
        return sorted(place for place, part in self.parts.items() if part.phase is not Phase.ABSENT)

    def _send(self, what: str, owner: keys.Key, part: str, generation: int, effect: Callable[[Fate], None]) -> None:
        self.steps.append((what, part, generation))
        fate = next(self.fates, Fate())
        for delay in fate.arrivals:
            self._later(delay, lambda: effect(fate))
        # Agents look at what they have from time to time anyway.
        self._later(fate.lag + 2.0, lambda: self._look((owner, part), fate.lag))
        self.turn()

    def _later(self, delay: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._coming, (self.clock.now() + delay, self._count, event))

    def _told(self, place: Place, generation: int, wanted: provider.PartSpec, fate: Fate) -> None:
        there = self.parts.get(place, observed.Part(place[1]))
        if generation <= there.generation:
            return
        self.told[place] = wanted
        release = there.release if wanted.runs_kubernetes else wanted.release
        self._become(place, replace(there, generation=generation, release=release), fate.lag)
        if wanted.release in self.refuses:
            refused = replace(self.parts[place], phase=Phase.REFUSED, reason=f"there is no engine {wanted.release}")
            self._become(place, refused, fate.lag)
        elif there.phase in (Phase.ABSENT, Phase.REFUSED):
            self._start(place, fate)

    def _start(self, place: Place, fate: Fate) -> None:
        there = self.parts[place]
        started = replace(
            there, phase=Phase.MAKING, release=self.told[place].release, incarnation=there.incarnation + 1, reason=""
        )
        self._become(place, started, fate.lag)
        self._try(place, started, fate, fate.fails)

    def _try(self, place: Place, started: observed.Part, fate: Fate, left: float) -> None:
        """It ends, is started after a pause, runs for a while, and ends again."""
        there = self.parts[place]
        if there.phase not in (Phase.MAKING, Phase.FAILING) or there.incarnation != started.incarnation:
            return
        if left <= 0.0:
            self._become(place, replace(there, phase=Phase.MAKING, reason=""), fate.lag)
            self._later(fate.start, lambda: self._up(place, started.incarnation, fate.lag))
            return
        self._become(place, replace(there, phase=Phase.FAILING, reason="exited with code 1"), fate.lag)
        pause = min(left, PAUSE)

        def runs() -> None:
            there = self.parts[place]
            if (there.phase, there.incarnation) == (Phase.FAILING, started.incarnation):
                self._become(place, replace(there, phase=Phase.MAKING, reason="is running"), fate.lag)
                self._later(RUNS, lambda: self._try(place, started, fate, left - pause - RUNS))

        self._later(pause, runs)

    def _up(self, place: Place, incarnation: int, lag: float) -> None:
        there = self.parts[place]
        if (there.phase, there.incarnation) == (Phase.MAKING, incarnation):
            self._proven.add(place)
            self._become(place, replace(there, phase=Phase.READY), lag)

    def _become(self, place: Place, part: observed.Part, lag: float) -> None:
        self.parts[place] = part
        self._look(place, lag)

    def _look(self, place: Place, lag: float) -> None:
        if place not in self.parts:
            return
        part = self.parts[place]
        self._count += 1
        number = self._count

        def arrive() -> None:
            # What is known later stays.
            if number > self._looks.get(place, 0):
                self._looks[place] = number
                if self.seen.get(place) != part:
                    self.seen[place] = part
                    self._changed.append(place[0])
                    self._moved.set()
                    self._moved = asyncio.Event()

        self._later(lag, arrive)
