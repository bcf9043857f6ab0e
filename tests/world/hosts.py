"""A small simulated world: hosts with an agent each, a road to them on which steps are delayed, lost and doubled, and
observations that come late and out of order. All of it by one clock that the test turns.

What an agent does is what Roadstead's does: it knows the newest generation that it was told of, and refuses a step that
was made for another one, or for another incarnation of its host.
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from roadstead.core import clock as clocks


class Condition(enum.Enum):
    UP = "up"
    STARTING = "starting"
    DEAD = "dead"


@dataclass(frozen=True)
class Host:
    """A host as it is, or as it was seen. `incarnation` counts its starts, `seen` the looks at it."""

    name: str
    condition: Condition = Condition.UP
    version: int = 1
    incarnation: int = 1
    generation: int = 1
    told: int = 1
    """The version that its agent was told to run from the next start on."""
    seen: int = 0


@dataclass(frozen=True)
class Tell:
    """Give the agent a newer desired state. Disturbs nothing."""

    host: str
    generation: int
    version: int


@dataclass(frozen=True)
class Restart:
    """Stop the host and start it with what its agent was told. It is away for a while."""

    host: str
    generation: int
    incarnation: int


Step = Tell | Restart


@dataclass(frozen=True)
class Fate:
    """What becomes of one step: after each of `arrivals` seconds it is done (none: it is lost); a host that it starts
    takes `start` seconds, or never comes up (None: done by half); what is seen after it arrives `lag` seconds later."""

    arrivals: tuple[float, ...] = (0.0,)
    start: float | None = 1.0
    lag: float = 0.0


class World:
    """`seen` is all that a plan may look at; `wake` is called when it has changed; `worst` is how many hosts were not
    up at the same time."""

    def __init__(self, names: Iterator[str], clock: clocks.Clock, fates: Iterator[Fate]) -> None:
        self.hosts = {name: Host(name) for name in names}
        self.seen = dict(self.hosts)
        self.steps: list[Step] = []
        self.worst = 0
        self.wake: Callable[[], None] = lambda: None
        self._clock = clock
        self._fates = fates
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def send(self, step: Step) -> None:
        """Send a step on its way. The sender is never told what became of it."""
        self.steps.append(step)
        fate = next(self._fates, Fate())
        for delay in fate.arrivals:
            self._later(delay, lambda: self._arrive(step, fate))
        # Agents look at their hosts from time to time anyway.
        self._later(fate.lag + 2.0, lambda: self._look(step.host, fate.lag))

    def turn(self) -> None:
        """Let everything happen that is due."""
        while self._coming and self._coming[0][0] <= self._clock.now():
            heapq.heappop(self._coming)[2]()
            away = sum(host.condition is not Condition.UP for host in self.hosts.values())
            self.worst = max(self.worst, away)

    @property
    def quiet(self) -> bool:
        """Nothing is on its way any more."""
        return not self._coming

    def _later(self, delay: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._coming, (self._clock.now() + delay, self._count, event))

    def _arrive(self, step: Step, fate: Fate) -> None:
        host = self.hosts[step.host]
        match step:
            case Tell():
                if step.generation > host.generation:
                    self._become(replace(host, generation=step.generation, told=step.version), fate.lag)
            case Restart():
                if (step.generation, step.incarnation) != (host.generation, host.incarnation):
                    return
                condition = Condition.DEAD if fate.start is None else Condition.STARTING
                started = replace(host, condition=condition, version=host.told, incarnation=host.incarnation + 1)
                self._become(started, fate.lag)
                if fate.start is not None:
                    self._later(fate.start, lambda: self._up(started, fate.lag))

    def _up(self, started: Host, lag: float) -> None:
        host = self.hosts[started.name]
        if (host.condition, host.incarnation) == (Condition.STARTING, started.incarnation):
            self._become(replace(host, condition=Condition.UP), lag)

    def _become(self, host: Host, lag: float) -> None:
        self.hosts[host.name] = host
        self._look(host.name, lag)

    def _look(self, name: str, lag: float) -> None:
        looked = replace(self.hosts[name], seen=self.hosts[name].seen + 1)
        self.hosts[name] = looked

        def arrive() -> None:
            # As the store does: what is known later stays.
            if looked.seen > self.seen[name].seen:
                self.seen[name] = looked
                self.wake()

        self._later(lag, arrive)
