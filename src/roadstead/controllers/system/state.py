"""What is reported of a cluster as a whole: its API, and the objects that Roadstead puts there."""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.controllers.runtime import reports, targets
from roadstead.core import foreign


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A report: the objects that every cluster has from Roadstead."""

    whole: bool = False
    """All of them are there as they are now to be."""
    reason: str = ""
    """Why not: one sentence."""
    at: float = 0.0
    """Seconds on the controllers' clock at which the system's were put in place last."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


@dataclass(frozen=True, kw_only=True)
class SystemState:
    """A cluster's API and the system objects in it."""

    answering: bool = False
    """An API server answered the last request."""
    applied: bool = False
    """All objects are there as they are now to be."""
    reason: str = ""
    """Why not: one sentence."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


def of(told: reports.Reports, key: targets.ClusterKey) -> SystemState:
    """Of a cluster of which nobody has said anything: not answering, not applied."""
    api = told.of(key, reports.ApiReport) or reports.ApiReport()
    applied = told.of(key, Applied) or Applied()
    reason = applied.reason if api.answering else api.reason
    return SystemState(answering=api.answering, applied=applied.whole, reason=reason)
