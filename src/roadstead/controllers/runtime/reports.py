"""What controllers saw, the last of each kind: in memory only, made anew by looking when their program starts.

Which kinds there are, the controllers say: a report is a frozen dataclass of a controller's own module, whole each
time, and of each type a cluster has one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TypeVar

from roadstead.controllers.runtime import targets
from roadstead.core import foreign
from roadstead.core.loops import feed

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class ApiReport:
    """The runtime's own: whether a cluster's API answers."""

    answering: bool = False
    """An API server answered the last request."""
    reason: str = ""
    """Why not: one sentence."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


class Reports:
    """The last that was seen of each cluster. Written through outboxes, read by everyone."""

    def __init__(self) -> None:
        self._reports: dict[targets.ClusterKey, dict[type, object]] = {}
        self._feed: feed.Feed[targets.ClusterKey] = feed.Feed()

    def of(self, key: targets.ClusterKey, kind: type[R]) -> R | None:
        """The report of that type; None when nobody has said anything yet."""
        found = self._reports.get(key, {}).get(kind)
        return found if isinstance(found, kind) else None

    def keep(self, key: targets.ClusterKey, report: object) -> bool:
        """In the place of the last one of its type. Whether that said something else."""
        kept = self._reports.setdefault(key, {})
        if kept.get(type(report)) == report:
            return False
        kept[type(report)] = report
        self._feed.tell(key)
        return True

    def forget(self, key: targets.ClusterKey) -> None:
        """The cluster is gone."""
        if self._reports.pop(key, None):
            self._feed.tell(key)

    async def changes(self) -> AsyncGenerator[targets.ClusterKey, None]:
        """First all clusters of which something is reported, then each of which something else is, for ever.

        Several may follow; many changes of one cluster may come as one.
        """
        async for key in self._feed.changes(*self._reports):
            yield key
