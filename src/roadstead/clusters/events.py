"""Events: what happened to a cluster or a nodegroup, for people and programs. Records below `event/KIND/NAME...`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from roadstead.clusters import lifecycles
from roadstead.store import keys, writes

KIND = "event"
Severity = Literal["NORMAL", "WARNING", "ERROR"]

_REASONS = {
    "ACTIVE": "Ready",
    "UPDATING": "Updating",
    "FAILED": "CreateFailed",
    "CREATE_FAILED": "CreateFailed",
    "DEGRADED": "Degraded",
    "DELETING": "Deleting",
    lifecycles.GONE: "Deleted",
}
_SEVERITIES: Mapping[str, Severity] = {"FAILED": "ERROR", "CREATE_FAILED": "ERROR", "DEGRADED": "WARNING"}


@dataclass(frozen=True)
class Event:
    """`reason`: one word for programs; `message`: one sentence for people."""

    severity: Severity
    reason: str
    message: str
    facts: Mapping[str, str] = field(default_factory=dict)


def of_turn(thing: keys.Key, before: str, after: str, why: str) -> Event:
    """That the state of a thing has changed."""
    name = f"{thing.kind} {'/'.join(thing.names)}"
    return Event(
        _SEVERITIES.get(after, "NORMAL"), _REASONS[after], f"{name} is {after.lower()}: {why}", {"before": before}
    )


def append(thing: keys.Key, event: Event, at: float) -> writes.Append:
    key = keys.Key(thing.account, thing.region, KIND, thing.kind, *thing.names)
    return writes.Append(key, msgspec.json.encode(event), at)


def read(body: bytes) -> Event:
    return msgspec.json.decode(body, type=Event)
