"""When the support of a cluster ends, and what is due on a day. Pure; days are UTC's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from roadstead.clusters import versions
from roadstead.core.loops import loop

AHEAD = (60, 30, 7, 1)
"""Days before the end on which it is announced."""
A_DAY = 86_400.0
RETRIES = loop.Backoff(first=600.0, factor=2.0, most=A_DAY)
"""After updates that failed, in seconds: whoever mends what was wrong does so in hours, or asks for the update."""


@dataclass(frozen=True)
class Deadline:
    """The end of the support that a cluster has by its policy, STANDARD or EXTENDED."""

    minor: str
    """What it runs."""
    policy: str
    day: dt.date
    """The first one without."""
    next: versions.Version | None
    """What it is updated to then; None: this Roadstead has nothing newer."""

    @property
    def support(self) -> str:
        """For people: `standard support of Kubernetes 1.34`."""
        return f"{self.policy.lower()} support of Kubernetes {self.minor}"


def deadline(minor: str, policy: str) -> Deadline:
    """Raises Invalid for a minor that is not offered."""
    return Deadline(minor, policy, versions.find(minor).ends(policy), versions.after(minor))


def announcement(of: Deadline, today: dt.date, told: Collection[int]) -> int | None:
    """The announcement to make today, as days ahead of the end; None: none.

    told: those that were made. Of several that were missed only the latest is made: it says how many days are left.
    """
    left = (of.day - today).days
    due = [days for days in AHEAD if 0 < left <= days]
    if not due or any(days <= min(due) for days in told):
        return None
    return min(due)


def look_again(of: Deadline, now: float) -> float:
    """Seconds from a time (since 1970) until another announcement, or the end, may be due; a day at most."""
    moments = (_midnight(of.day - dt.timedelta(days=days)) for days in (*AHEAD, 0))
    return min((moment - now for moment in moments if now < moment <= now + A_DAY), default=A_DAY)


def day_of(at: float) -> dt.date:
    """Of seconds since 1970."""
    return dt.datetime.fromtimestamp(at, dt.UTC).date()


def _midnight(day: dt.date) -> float:
    return dt.datetime.combine(day, dt.time(), dt.UTC).timestamp()
