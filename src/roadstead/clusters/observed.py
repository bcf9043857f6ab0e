"""What is seen of a cluster or a nodegroup: its parts, and how far its life has come.

A part is a host of it: a member of the control plane, or a node. `Sight` is one look by the agent at all of them,
`Observed` what is kept in the store beside the desired state.

An agent says what is so now, and `lasting` what of it lasts. A process that dies is started again with a growing pause,
so one that never comes up is seen to fail, to run, and to fail again; one that was killed, or whose first start was
unlucky, is seen so once and is ready soon after. A part is failing when its failures go on for LASTING seconds, without
as many in which there was none; and it is well again when there was none for as long.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from roadstead.core import foreign, lifecycle

NEWS = 10.0
"""Seconds after which it is told why a part is not ready: reasons that pass sooner are how parts are made."""
LASTING = 30.0
"""Seconds. Processes that fail over and over are started again after a pause of at most so many."""
_MOST_TOLD = 10
"""Reasons of one trouble; more than that are one with a number in it."""


class Phase(enum.Enum):
    """`failing`: something of it ends, or cannot be made, over and over; at an agent, also for the first time.
    `refused`: the agent cannot make it as it was asked for, and trying again will not help."""

    ABSENT = "absent"
    MAKING = "making"
    READY = "ready"
    FAILING = "failing"
    REFUSED = "refused"


@dataclass(frozen=True)
class Failure:
    """That a part fails. Times in seconds since 1970."""

    since: float
    until: float | None = None
    """When it was first seen to fail no more; None while it does."""


@dataclass(frozen=True)
class Trouble:
    """That a part is not ready. Times in seconds since 1970."""

    began: float
    since: float
    """When its reason began to be the one that it is."""
    told: tuple[str, ...] = ()
    """Reasons that were told of: each is once, however they take turns."""
    lasts: bool = False
    """For LASTING seconds by now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "told", tuple(map(foreign.bounded, self.told)))


@dataclass(frozen=True)
class Part:
    """A host as it was seen. An absent one may still be known to the agent, with the generation that removed it."""

    name: str
    phase: Phase = Phase.ABSENT
    generation: int = 0
    """The newest that its agent was told of; 0: none."""
    release: str = ""
    """The version of Kubernetes that it runs."""
    incarnation: int = 0
    """Counts its starts."""
    reason: str = ""
    address: str | None = None
    since: float | None = None
    """When it started last, seconds since 1970."""
    warnings: tuple[str, ...] = ()
    """What of it is near its end, a sentence each."""
    trouble: Trouble | None = None
    failure: Failure | None = None
    """These two are not an agent's to say."""

    def __post_init__(self) -> None:
        foreign.bind(self, "release", "reason")


@dataclass(frozen=True)
class Projection:
    """One look at all parts of one cluster or nodegroup."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    endpoint: str | None = None
    """Where the API servers answer, `https://...`; clusters only."""
    authority: str | None = None
    """The certificate authority in PEM, base 64; clusters only."""
    warnings: tuple[str, ...] = ()
    """What is near its end of what it shares with others."""


@dataclass(frozen=True)
class Observed:
    """What is kept. `status` is a state of the life cycle, `settled` the last update that is over."""

    status: str
    release: str | None = None
    """The version that all of it came to run last; None before it was ever ready."""
    settled: str | None = None
    parts: tuple[Part, ...] = ()
    endpoint: str | None = None
    authority: str | None = None
    warnings: tuple[str, ...] = ()


def lasting(before: Observed | None, projection: Projection, at: float) -> Projection:
    """A look at a time, with what lasts of what was seen before it. Pure."""
    known = {part.name: part for part in before.parts} if before else {}
    return replace(
        projection, parts={name: _lasting(known.get(name), part, at) for name, part in projection.parts.items()}
    )


def look_again(parts: Iterable[Part], at: float) -> float | None:
    """Seconds until time alone makes something of these parts last, or be over; None: it does not. Pure."""
    due = [moment - at for part in parts for moment in _turning(part) if moment > at]
    return min(due, default=None)


def _lasting(before: Part | None, now: Part, at: float) -> Part:
    if now.phase in (Phase.ABSENT, Phase.REFUSED):
        return now
    if before is not None and before.release != now.release:
        # Replaced: what failed was the release before.
        before = replace(before, failure=None, phase=Phase.MAKING if before.phase is Phase.FAILING else before.phase)
    failure = _failure(before.failure if before else None, now.phase is Phase.FAILING, at)
    phase, reason = now.phase, now.reason
    if failure is not None and (at if failure.until is None else failure.until) - failure.since >= LASTING:
        if before is not None and phase is not Phase.FAILING:
            # In between it runs, and may even be ready for a moment: that is no news of why it fails.
            reason = before.reason
        phase = Phase.FAILING
    elif phase is Phase.FAILING:
        phase = Phase.MAKING
    now = replace(now, phase=phase, reason=reason, failure=failure)
    return now if phase is Phase.READY else replace(now, trouble=_trouble(before, now, at))


def _failure(before: Failure | None, fails: bool, at: float) -> Failure | None:
    if before is not None and before.until is None and not fails:
        before = replace(before, until=at)
    if before is not None and before.until is not None and at - before.until >= LASTING:
        before = None
    if fails:
        return Failure(before.since if before else at)
    return before


def _trouble(before: Part | None, now: Part, at: float) -> Trouble:
    """Of a part that is not ready. That it is not any more was told with its reason."""
    if before is None or before.trouble is None:
        was_ready = before is not None and before.phase is Phase.READY
        return Trouble(at, at, (now.reason,) if was_ready else ())
    known = before.trouble
    since = known.since if now.reason == before.reason else at
    fresh = bool(now.reason) and now.reason not in known.told and len(known.told) < _MOST_TOLD
    told = (*known.told, now.reason) if fresh and at - since >= NEWS else known.told
    return Trouble(known.began, since, told, at - known.began >= LASTING)


def _turning(part: Part) -> list[float]:
    """When something of it begins to last or is over, or did."""
    found = []
    if part.trouble is not None:
        found += [part.trouble.since + NEWS, part.trouble.began + LASTING]
    if part.failure is not None:
        found.append((part.failure.since if part.failure.until is None else part.failure.until) + LASTING)
    return found


def read(body: bytes) -> Observed:
    return msgspec.json.decode(body, type=Observed)


def written(observed: Observed) -> bytes:
    return msgspec.json.encode(observed)


def status(life: lifecycle.Lifecycle, seen: Observed | None, update: str | None, deleting: bool) -> str:
    """The state as it is shown: what was seen, and what was asked for since (by the table).

    update: the last one asked for; deleting: whether deleting was.
    """
    now = seen.status if seen else life.initial
    if update is not None and update != (seen.settled if seen else None) and life.can(now, "update"):
        now = life.after(now, "update")
    if deleting and life.can(now, "delete"):
        now = life.after(now, "delete")
    return now
