"""What a transaction is made of: writes and what they expect.

All expectations are held against the store as it was before the transaction; only if every one is met is anything
written, and then everything, under one revision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from roadstead.core import errors
from roadstead.store import keys

LARGEST = 1 << 20
"""Bytes of the largest body or secret."""

MOST = 256
"""Writes of the largest transaction."""


@dataclass(frozen=True)
class Absent:
    """There is none (else AlreadyExists)."""


@dataclass(frozen=True)
class Present:
    """There is one (else NotFound)."""


@dataclass(frozen=True)
class At:
    """There is one (else NotFound) of this number (else Conflict).

    The number is the generation of a desired state or a secret, or the revision of an observation.
    """

    number: int


Expected: TypeAlias = Absent | Present | At | None
"""None: whatever is there."""


@dataclass(frozen=True)
class Put:
    """Keep a desired state; its generation becomes the transaction's revision."""

    key: keys.Key
    body: bytes
    expected: Expected = None


@dataclass(frozen=True)
class Delete:
    """Forget a desired state and the observation of it. Nothing there is as good, unless one is expected."""

    key: keys.Key
    expected: Expected = None


@dataclass(frozen=True)
class Observe:
    """Keep what was seen of the desired state as it was at `generation`. The same again changes nothing.

    NotFound without a desired state. Conflict when `generation` is of one before that of the same name, or older than
    what the kept observation was made from: what is known later stays. Invalid when there is no such generation yet.
    """

    key: keys.Key
    body: bytes
    generation: int
    expected: Expected = None


@dataclass(frozen=True)
class Append:
    """Add a record. `at`: seconds since 1970."""

    key: keys.Key
    body: bytes
    at: float


@dataclass(frozen=True)
class PutSecret:
    """Keep a secret, sealed; its generation becomes the transaction's revision."""

    key: keys.Key
    value: bytes = field(repr=False)
    expected: Expected = None


@dataclass(frozen=True)
class DeleteSecret:
    """Forget a secret. Nothing there is as good, unless one is expected."""

    key: keys.Key
    expected: Expected = None


@dataclass(frozen=True)
class Require:
    """Only if this desired state is as expected: a nodegroup is put where its cluster is Present."""

    key: keys.Key
    expected: Absent | Present | At


@dataclass(frozen=True)
class Unchanged:
    """Only if no desired state below the prefix has changed after that revision (else Conflict).

    What was decided from a list (a free address, room for one more) holds: list, decide, and commit with the page's
    revision. Conflict also when the revision is so old that the changes since are no longer known.
    """

    prefix: keys.Prefix
    since: int


Write: TypeAlias = Put | Delete | Observe | Append | PutSecret | DeleteSecret | Require | Unchanged


def durable(writes: Iterable[Write]) -> bool:
    """Whether a power cut may not take it back. Only observations are made again by looking again."""
    return not all(isinstance(write, Observe | Require | Unchanged) for write in writes)


def check(writes: tuple[Write, ...]) -> None:
    """Raises Invalid for writes that no store could take: too many, too large, two to one place."""
    if len(writes) > MOST:
        raise errors.Invalid(f"a transaction of {len(writes)} writes; at most {MOST} may be", writes=len(writes))
    taken: set[tuple[str, str]] = set()
    for write in writes:
        for place in _places(write):
            if place in taken:
                raise errors.Invalid(f"a transaction writes twice to the {place[0]} of {place[1]}", key=place[1])
            taken.add(place)
        _check_size(write)


def _places(write: Write) -> tuple[tuple[str, str], ...]:
    match write:
        case Put():
            return (("desired state", write.key.text),)
        case Delete():
            return (("desired state", write.key.text), ("observation", write.key.text))
        case Observe():
            return (("observation", write.key.text),)
        case PutSecret() | DeleteSecret():
            return (("secret", write.key.text),)
        case Append() | Require() | Unchanged():
            return ()


def _check_size(write: Write) -> None:
    match write:
        case Put() | Observe() | Append():
            size = len(write.body)
        case PutSecret():
            size = len(write.value)
        case Delete() | DeleteSecret() | Require() | Unchanged():
            return
    if size > LARGEST:
        raise errors.Invalid(
            f"{type(write).__name__} of {size} bytes to {write.key}; at most {LARGEST} may be", key=write.key, size=size
        )
    if isinstance(write, Append) and not math.isfinite(write.at):
        raise errors.Invalid(f"the record for {write.key} has no time, but {write.at}", key=write.key)
