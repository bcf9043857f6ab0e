"""Asks the service until it is done, and shows what it says: the picture on a terminal, a line for each phase else.

A service that does not answer for a while (it is restarted, or moved) is asked again until the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from roadstead.cli import service, show
from roadstead.cli.infrastructure import lookups
from roadstead.cli.live import picture, progress, screen, warnings
from roadstead.core import errors
from roadstead.wire import client

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 0.5
_FRAME = 0.1
"""Seconds between two pictures while nothing is asked."""
_FAILED = ("CREATE_FAILED", "DELETE_FAILED", "DEGRADED")


@dataclass
class Stage:
    """Where a command shows what it does. `shown` is replaced as it goes on."""

    log: show.Log
    screen: screen.LiveScreen
    deadline: float
    """Of time.monotonic."""
    shown: progress.CreationProgress
    told: set[str] = field(default_factory=set)
    """The phases whose end was told."""
    goes_on: str = ""
    """What becomes of it when the time is over, and how to see that."""
    warnings: warnings.Warnings | None = None
    """Of the cluster that it is about, where that is made."""

    def show(self, changed: progress.CreationProgress) -> None:
        """The new shown, as a picture or as lines for what has ended."""
        hindered = changed.note and changed.note != self.shown.note
        self.shown = changed
        now = time.monotonic()
        if self.screen.live:
            self.screen.draw(changed, now)
            return
        if hindered:
            self.log.line(changed.note, "!")
        for phase in changed.phases:
            if phase.state == "done" and phase.name not in self.told:
                self.told.add(phase.name)
                spent = picture.duration(phase.seconds(now) or 0.0)
                self.log.line(f"{phase.name}: done in {spent}{f' ({phase.said})' if phase.said else ''}")

    def begin(self, *names: str) -> None:
        """These phases go on from now; those that have begun keep their time."""
        changed = self.shown
        for name in names:
            changed = changed.begin(name, time.monotonic())
        self.show(changed)

    def end(self, name: str, said: str | None = None) -> None:
        """`said`: what there is to say of the phase; None: what was said of it before."""
        self.show(self.shown.end(name, time.monotonic(), said))

    def fail(self, name: str, said: str) -> None:
        """`said`: why, shown beside the phase."""
        self.show(self.shown.end(name, time.monotonic(), said).having(name, failed=True))

    def until(
        self,
        look: Callable[[], progress.ProgressSeen],
        after: Callable[[progress.CreationProgress, progress.ProgressSeen, float], progress.CreationProgress],
        done: Callable[[progress.ProgressSeen], bool],
        what: str,
    ) -> progress.ProgressSeen:
        """Look until done. Raises Busy at the deadline, and what `look` raises but for a service that is away."""
        pause = _FIRST_PAUSE
        while True:
            note, seen = "", None
            try:
                seen = look()
                self._warn(last=done(seen))
            except errors.Error as error:
                if not service.is_away(error):
                    raise
                # At the deadline nobody is waited for: that is not what hinders it.
                note = _said(error) if time.monotonic() < self.deadline else ""
            changed = replace(self.shown, note=note)
            self.show(changed if seen is None else after(changed, seen, time.monotonic()))
            if seen is not None and done(seen):
                return seen
            self._pause(pause, what)
            pause = min(pause * 1.3, _LONGEST_PAUSE)

    def _warn(self, *, last: bool) -> None:
        for message in self.warnings.fresh(time.monotonic(), last=last) if self.warnings is not None else ():
            self.log.line(message, "!")

    def _pause(self, seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if time.monotonic() >= self.deadline:
                why = "; ".join(each for each in (self.shown.note, self.shown.hindrance) if each)
                onwards = f"; {self.goes_on}" if self.goes_on else ""
                raise errors.Busy(f"timed out waiting for {what}{f': {why}' if why else ''}{onwards}")
            time.sleep(min(left, _FRAME))
            if self.screen.live:
                self.screen.draw(self.shown, time.monotonic())


def _said(error: errors.Error) -> str:
    return f"{error.fault.code}: {error.fault.message}" if isinstance(error, client.ServiceError) else error.message


def look(api: service.Api, cluster: str, nodegroups: Iterable[str]) -> progress.ProgressSeen:
    """A cluster with its parts, and those nodegroups. Raises Failed for what has failed."""
    there = lookups.cluster(api, cluster)
    if there is None:
        return progress.ProgressSeen()
    if there.get("status") == "FAILED":
        raise errors.Failed(f'cluster "{cluster}" is FAILED: {issues(there)}', cluster=cluster)
    groups: dict[str, str] = {}
    for name in nodegroups:
        if (group := nodegroup(api, cluster, name)) is None:
            continue
        groups[name] = str(group.get("status", ""))
        if groups[name] in _FAILED:
            raise errors.Failed(f'nodegroup "{name}" is {groups[name]}: {issues(group)}', nodegroup=name)
    return progress.ProgressSeen(there.get("status"), there.get("endpoint", ""), groups, _parts(api, cluster))


def look_anyway(api: service.Api, cluster: str) -> progress.ProgressSeen:
    """A cluster with its parts and all of its nodegroups, whatever became of them. For those who delete it."""
    there = lookups.cluster(api, cluster)
    if there is None:
        return progress.ProgressSeen()
    groups = {name: nodegroup(api, cluster, name) for name in _listed(api, cluster)}
    statuses = {name: str(group.get("status", "")) for name, group in groups.items() if group is not None}
    for name, group in groups.items():
        if group is not None and group.get("status") == "DELETE_FAILED":
            raise errors.Failed(f'nodegroup "{name}" is DELETE_FAILED: {issues(group)}', nodegroup=name)
    return progress.ProgressSeen(there.get("status"), there.get("endpoint", ""), statuses, _parts(api, cluster))


def nodegroup(api: service.Api, cluster: str, name: str) -> dict[str, object] | None:
    """The model's Nodegroup; None: there is none. Raises ServiceError for all else."""
    try:
        found_one: dict[str, object] = api.call("eks", "DescribeNodegroup", clusterName=cluster, nodegroupName=name)[
            "nodegroup"
        ]
    except client.ServiceError as error:
        if lookups.is_missing(error):
            return None
        raise
    return found_one


def _listed(api: service.Api, cluster: str) -> list[str]:
    try:
        return [
            name
            for page in service.pages(api, "eks", "ListNodegroups", clusterName=cluster)
            for name in page.get("nodegroups", [])
        ]
    except client.ServiceError as error:
        if lookups.is_missing(error):
            return []
        raise


def _parts(api: service.Api, cluster: str) -> list[progress.ProgressPart]:
    try:
        found_ones = api.call("roadstead", "ListClusterParts", clusterName=cluster)["parts"]
    except client.ServiceError as error:
        if lookups.is_missing(error):
            return []
        raise
    return [
        progress.ProgressPart(
            each["name"], each["state"], each.get("zone", ""), each.get("nodegroup", ""), each.get("reason", "")
        )
        for each in found_ones
    ]


def issues(thing: dict[str, object]) -> str:
    """What a Describe of eks says of a thing's health."""
    health = thing.get("health")
    all_of_them = health.get("issues", []) if isinstance(health, dict) else []
    return "; ".join(f"{one.get('code')}: {one.get('message')}" for one in all_of_them) or "no reason given"
