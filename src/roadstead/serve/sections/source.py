"""The source of a section: which changes of the store concern it, and how it is made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from roadstead.clusters.allocation import cluster_secrets
from roadstead.contract.messages.sections import section
from roadstead.store import facts, interface


@dataclass(frozen=True)
class Given:
    """What sections are made of. `now`: the time of day."""

    store: interface.Store
    secrets: cluster_secrets.ClusterSecrets
    now: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))


@dataclass(frozen=True)
class Source:
    """Of one section."""

    of: section.Section[Any]
    wakes: frozenset[tuple[facts.ChangedPart, str]]
    """Parts and kinds of the store whose changes concern it."""
    made: Callable[[int], Awaitable[section.Body]]
    """The section as it is now, of that revision. Raises core.errors."""
    every: float | None = None
    """Seconds after which it is looked at again if nothing has changed; None: never."""

    def concerns(self, change: facts.Change) -> bool:
        return (change.part, change.key.kind) in self.wakes


async def all_of(store: interface.Store, kind: str) -> tuple[facts.Desired, ...]:
    """Of a kind, over all accounts and regions."""
    return tuple(state.desired for state in (await interface.everything(store, kind=kind)).items)
