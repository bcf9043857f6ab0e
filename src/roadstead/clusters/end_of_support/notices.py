"""What was told of the end of a cluster's support: an event for people, and in the same transaction a record for who
comes next, so that each is told once. Records at `support-notice/CLUSTER`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from roadstead.clusters import events
from roadstead.clusters.end_of_support import policy
from roadstead.store import facts, interface, keys, writes

KIND = "support-notice"
What = Literal["announced", "begun", "done", "failed", "stays"]
"""`failed`: of an update that was begun, or could not be. `stays`: there is nothing newer."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What becomes of a cluster when the support of its version ends."""

    what: What
    minor: str
    """The one whose support ends."""
    ends: str
    """The day, as `2026-12-02`."""
    support_type: str
    """By which it ends then."""
    ahead: int = 0
    """Of an announcement: how many days it was due before."""
    update: str = ""
    """The id of an update that was begun, or is over."""

    @property
    def deadline(self) -> policy.Deadline:
        """What it is about."""
        return policy.deadline(self.minor, self.support_type)


def of(what: What, deadline: policy.Deadline, *, ahead: int = 0, update: str = "") -> Notice:
    """A notice about an end."""
    return Notice(
        what=what,
        minor=deadline.minor,
        ends=deadline.day.isoformat(),
        support_type=deadline.policy,
        ahead=ahead,
        update=update,
    )


@dataclass(frozen=True)
class Told:
    """What was told of one cluster, oldest first, each with its time in seconds since 1970."""

    notices: tuple[tuple[Notice, float], ...] = ()

    @property
    def begun(self) -> tuple[Notice, float] | None:
        """The update that was begun and of whose end nothing was told yet."""
        over = {notice.update for notice, _ in self.notices if notice.what in ("done", "failed")}
        running = [each for each in self.notices if each[0].what == "begun" and each[0].update not in over]
        return running[-1] if running else None

    def of(self, deadline: policy.Deadline, what: What) -> list[tuple[Notice, float]]:
        """Those of one sort about one end."""
        about = (what, deadline.minor, deadline.day.isoformat())
        return [each for each in self.notices if (each[0].what, each[0].minor, each[0].ends) == about]


async def told(store: interface.Store, state: facts.State) -> Told:
    """Of a cluster, and not of an earlier one of its name. The newest thousand: there are a few for each minor."""
    records = await store.records(_key(state.key), limit=interface.LONGEST_PAGE, newest=True)
    return Told(tuple(_read(record for record in reversed(records) if record.revision >= state.desired.created)))


def telling(cluster: keys.Key, notice: Notice, event: events.Event, at: float) -> tuple[writes.Append, ...]:
    """What tells it, to be written in one transaction with what it is about."""
    record = writes.Append(_key(cluster), msgspec.json.encode(notice), at)
    return events.append(cluster, event, at), record


def announcement(of: policy.Deadline, left: int) -> events.Event:
    """left: days until the end."""
    when = f"{of.support} ends on {of.day}, in {left} day{'' if left == 1 else 's'}"
    if of.next is None:
        then = (
            f"this Roadstead has nothing newer, so the cluster stays at {of.minor} then; a newer Roadstead may have it"
        )
    else:
        then = (
            f"as its supportType is {of.policy}, the cluster is updated to {of.next.minor} then; to choose when, "
            "update it before"
        )
        if of.policy == "STANDARD":
            then += ", or set supportType EXTENDED"
    return _event("WARNING", "SupportEnding", f"{when}: {then}", of, days=str(left))


def beginning(of: policy.Deadline, update: str) -> events.Event:
    """update: its id."""
    return _event("NORMAL", "AutomaticUpdateBegun", f"{_over(of)}; its nodes stay as they are", of, update=update)


def ending(of: policy.Deadline) -> events.Event:
    """That the update is done."""
    return _event("NORMAL", "AutomaticUpdateDone", f"{_over(of)}; this is done", of)


def failing(of: policy.Deadline, problem: str, again: float) -> events.Event:
    """again: seconds until it is tried again."""
    said = f"{_over(of)}; this has failed and is tried again in {_spoken(again)}: {problem}"
    return _event("WARNING", "AutomaticUpdateFailed", said, of)


def staying(of: policy.Deadline) -> events.Event:
    """That there is nothing that it could be updated to."""
    return _event("WARNING", "SupportEnded", f"{_over(of)}; a newer Roadstead may have something newer", of)


def _over(of: policy.Deadline) -> str:
    then = "has the newest version here, and stays" if of.next is None else f"is updated to {of.next.minor}"
    return f"{of.support} has ended on {of.day}: the cluster {then}"


def _event(severity: events.Severity, reason: str, said: str, of: policy.Deadline, **more: str) -> events.Event:
    to = {} if of.next is None else {"next": of.next.minor}
    return events.Event(severity, reason, said, {"version": of.minor, "ends": of.day.isoformat(), **to, **more})


def _spoken(seconds: float) -> str:
    return f"{seconds / 3600:.0f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _read(records: Iterable[facts.Record]) -> Iterable[tuple[Notice, float]]:
    return ((msgspec.json.decode(record.body, type=Notice), record.at) for record in records)


def _key(cluster: keys.Key) -> keys.Key:
    return keys.Key(cluster.account, cluster.region, KIND, *cluster.names)
