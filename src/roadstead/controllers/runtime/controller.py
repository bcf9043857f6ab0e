"""A controller: what it watches in each cluster, which of its keys a change wakes, and its work on one of them.

It is one module, which the runtime does not know: it is given a tuple of them. Its keys are its own words, mostly names
of objects. Work looks, decides (by a pure function) and does; a key is worked on by one task at a time, again when it
is woken meanwhile, and with growing pauses as long as it fails. So work that was cut off, or done already, may be done
again. It fails by raising one of `core.errors`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, assert_never

from roadstead.controllers.runtime import outbox, targets
from roadstead.core import clock as clocks
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

R = TypeVar("R")

Part: TypeAlias = Callable[[targets.ClusterTarget], object]
"""What of a target a controller depends on."""


@dataclass(frozen=True)
class Began:
    """The runtime begins, or an API server answers again."""


@dataclass(frozen=True)
class Listed:
    """All objects of a resource that the controller watches are known for the first time."""

    resource: resources.Resource


@dataclass(frozen=True)
class Changed:
    """An object of a resource that the controller watches came, changed or went. key: as `resources.key`."""

    resource: resources.Resource
    key: str


@dataclass(frozen=True)
class Retargeted:
    """Something else is wanted of the cluster."""

    before: targets.ClusterTarget
    now: targets.ClusterTarget


@dataclass(frozen=True)
class Reported:
    """A controller, maybe this one, reports something else than before."""

    report: object


Change: TypeAlias = Began | Listed | Changed | Retargeted | Reported


class View(Protocol):
    """What is known of one cluster."""

    @property
    def target(self) -> targets.ClusterTarget:
        """What is wanted now."""
        ...

    @property
    def answering(self) -> bool:
        """An API server answered the last request."""
        ...

    def objects(self, resource: resources.Resource) -> Mapping[str, Json]:
        """By `resources.key`, of a resource that the controller watches; empty until they were listed."""
        ...

    def listed(self, resource: resources.Resource) -> bool:
        """Whether all objects of a resource that the controller watches are known."""
        ...


class Cluster(View, Protocol):
    """One cluster, as the work of a controller has it."""

    @property
    def connection(self) -> connections.Connection:
        """To its API servers; shared by all controllers."""
        ...

    @property
    def outbox(self) -> outbox.ClusterOutbox:
        """For what work causes outside of the cluster's API."""
        ...

    @property
    def clock(self) -> clocks.Clock:
        """By which work waits, and is done again."""
        ...

    def now(self) -> float:
        """Seconds since 1970."""
        ...

    def reported(self, kind: type[R]) -> R | None:
        """What was reported last of that type."""
        ...

    async def until(self, what: Callable[[targets.ClusterTarget], bool]) -> None:
        """Wait for a target that it is true of: for work that takes long, and may be in vain meanwhile."""
        ...


Wakes: TypeAlias = Callable[[Change, View], Iterable[str]]
Work: TypeAlias = Callable[[str], Awaitable[float | None]]
"""On one key. It returns the seconds until it is to be done again, or None for "when woken"."""


@dataclass(frozen=True, kw_only=True)
class Controller:
    """See the module."""

    named: Callable[[str], str]
    """What the work on a key is called in the log: `node n1`."""
    watches: tuple[resources.Resource, ...] = ()
    """What is mirrored for it. Controllers that watch the same share one mirror."""
    wakes: Wakes
    """Pure: the keys that a change concerns."""
    work: Callable[[Cluster], Work]
    """Called once whenever the work in a cluster begins: what it remembers begins anew with it."""
    away: bool = False
    """True: there is work to do while no API server answers, too. Otherwise it waits for `Began`."""
    at_once: int = 32
    """Keys of a cluster that are worked on side by side. A connection has 64 sockets for all of them."""


def anew(change: Change, part: Part) -> bool:
    """Whether all keys are to be looked at: at the beginning, when all objects are known, and when that part of the
    target is another one."""
    match change:
        case Began() | Listed():
            return True
        case Retargeted(before, now):
            return part(before) != part(now)
        case Changed() | Reported():
            return False
        case _:
            assert_never(change)


def each_object(resource: resources.Resource, part: Part) -> Wakes:
    """Keys are those of a resource's objects: one is woken when it changes, all of them as `anew` has it."""

    def wakes(change: Change, view: View) -> Iterable[str]:
        if isinstance(change, Changed):
            return (change.key,)
        return tuple(view.objects(resource)) if anew(change, part) else ()

    return wakes


def all_at_once(part: Part) -> Wakes:
    """There is one key, the empty text: it is woken when any object changes, and as `anew` has it."""

    def wakes(change: Change, _: View) -> Iterable[str]:
        return ("",) if isinstance(change, Changed) or anew(change, part) else ()

    return wakes
