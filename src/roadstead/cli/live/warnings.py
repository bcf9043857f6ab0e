"""What the service warns of while a cluster is made: its events of that kind, each told once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from roadstead.cli import service

_PAUSE = 1.0
"""Seconds between two looks: a warning is read by a person, and hastens nothing."""


@dataclass
class Warnings:
    """Of one cluster and its nodegroups. `since`: what happened to a namesake before it is nobody's business."""

    api: service.Api
    arn: str
    since: dt.datetime | None = None
    _told: set[str] = field(default_factory=set)
    _due: float = 0.0
    """Of time.monotonic."""

    def fresh(self, now: float, *, last: bool = False) -> list[str]:
        """The sentences that were not told yet; none when it was looked a moment ago, unless this look is the last.

        Raises as the service's calls do.
        """
        if now < self._due and not last:
            return []
        asks = {} if self.since is None else {"startTime": self.since}
        pages = service.pages(self.api, "roadstead", "ListEvents", resourceArn=self.arn, severity="WARNING", **asks)
        found = {each["id"]: each["message"] for page in pages for each in page["events"]}
        fresh = [message for id, message in found.items() if id not in self._told]
        self._told |= found.keys()
        self._due = now + _PAUSE
        return fresh
