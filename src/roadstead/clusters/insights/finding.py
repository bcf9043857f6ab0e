"""What a check says."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from roadstead.core import foreign


class Status(enum.Enum):
    """The model's InsightStatusValue, from the best to the worst."""

    PASSING = "PASSING"
    UNKNOWN = "UNKNOWN"
    WARNING = "WARNING"
    ERROR = "ERROR"


_ORDER = tuple(Status)


@dataclass(frozen=True)
class ResourceFinding:
    """Of one resource."""

    status: Status
    reason: str
    uri: str = ""
    """The path of an object of Kubernetes."""
    arn: str = ""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason", "uri")


@dataclass(frozen=True)
class ApiClient:
    """Who uses a deprecated API. at: seconds since 1970."""

    agent: str
    at: float


@dataclass(frozen=True)
class Deprecation:
    """Of one API, by paths and minors."""

    usage: str
    stops: str
    replacement: str = ""
    clients: tuple[ApiClient, ...] = ()


@dataclass(frozen=True)
class Finding:
    """`reason`: one sentence."""

    status: Status
    reason: str
    resources: tuple[ResourceFinding, ...] = ()
    deprecations: tuple[Deprecation, ...] = ()

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


def worst(statuses: Iterable[Status], default: Status = Status.PASSING) -> Status:
    """Of several; `default` where there is none."""
    return max(statuses, key=_ORDER.index, default=default)


def of_resources(resources: Iterable[ResourceFinding], well: str, unwell: str) -> Finding:
    """As bad as the worst of them. well, unwell: the reason when all pass, and when not; `{}` is how many do not."""
    every = tuple(resources)
    bad = sum(each.status is not Status.PASSING for each in every)
    return Finding(worst(each.status for each in every), unwell.format(bad) if bad else well, every)
