"""What is seen of a cluster or a nodegroup: its parts, and how far its life has come.

A part is a host of it: a member of the control plane, or a node. `Sight` is one look by the agent at all of them,
`Observed` what is kept in the store beside the desired state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from roadstead.core import lifecycle


class Phase(enum.Enum):
    """`refused`: the agent cannot make it as it was asked for, and trying again will not help."""

    ABSENT = "absent"
    MAKING = "making"
    READY = "ready"
    FAILING = "failing"
    REFUSED = "refused"


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


@dataclass(frozen=True)
class Sight:
    """One look at all parts of one cluster or nodegroup."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    endpoint: str | None = None
    """Where the API servers answer, `https://...`; clusters only."""
    authority: str | None = None
    """The certificate authority in PEM, base 64; clusters only."""


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
