"""What the store holds and tells: frozen facts. Bodies are bytes that the store never looks into.

`revision` is the store's one counter. Each transaction that changed something has one of its own, larger than all
before it; no number is given twice, also when the machine loses power.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from roadstead.store import keys

Item = TypeVar("Item")


class ChangedPart(enum.Enum):
    """What of a key has changed."""

    DESIRED = "desired"
    OBSERVED = "observed"
    RECORDS = "records"
    SECRET = "secret"


@dataclass(frozen=True)
class Desired:
    """What was asked for. `generation` is the revision that put it, `created` the one that put its first.

    So a generation is never used again, also not by one of the same name that is made after it was deleted.
    """

    key: keys.Key
    body: bytes
    generation: int
    created: int


@dataclass(frozen=True)
class Observation:
    """What was seen, and the generation of the desired state that it was made from."""

    key: keys.Key
    body: bytes
    generation: int
    revision: int


@dataclass(frozen=True)
class State:
    """A desired state and the observation of it (None: not yet seen), both of one moment."""

    desired: Desired
    observation: Observation | None

    @property
    def key(self) -> keys.Key:
        """Of both."""
        return self.desired.key

    @property
    def current(self) -> bool:
        """Whether the observation was made from the desired state as it is now."""
        return self.observation is not None and self.observation.generation == self.desired.generation


@dataclass(frozen=True)
class Record:
    """One line of an append-only logs. `number` orders all records; `at`: seconds since 1970, the writer's."""

    key: keys.Key
    number: int
    at: float
    body: bytes
    revision: int


@dataclass(frozen=True)
class Secret:
    """A secret, opened. Its value is in no text that is made of it."""

    key: keys.Key
    generation: int
    value: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the value, hexadecimal: what a desired state names beside the generation."""
        return hashlib.sha256(self.value).hexdigest()


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some of a list. `next`: what to give as `after` for more (None: that was all).

    `revision`: watching from it tells of every change that this page does not show yet (of a list of many pages, watch
    from the first one's).
    """

    items: tuple[Item, ...]
    next: keys.Key | None
    revision: int


@dataclass(frozen=True)
class Change:
    """That something changed, never what it is now: who is told reads it."""

    part: ChangedPart
    key: keys.Key
    deleted: bool = False


@dataclass(frozen=True)
class Changes:
    """What one transaction changed, as far as the watcher asked for it."""

    revision: int
    changes: tuple[Change, ...]
