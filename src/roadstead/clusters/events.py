"""Events: what happened to a cluster or a nodegroup, for people and programs. Records below `event/KIND/NAME...`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from roadstead.clusters import lifecycles, observed
from roadstead.core import foreign
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
    """`reason`: one word for programs; `message`: one sentence for people. Both may repeat what tenants wrote."""

    severity: Severity
    reason: str
    message: str
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        foreign.bind(self, "reason", "message")
        object.__setattr__(self, "facts", {name: foreign.bounded(fact) for name, fact in self.facts.items()})


def of_turn(thing: keys.Key, before: str, after: str, why: str) -> Event:
    """That the state of a thing has changed."""
    name = f"{thing.kind} {'/'.join(thing.names)}"
    return Event(
        _SEVERITIES.get(after, "NORMAL"), _REASONS[after], f"{name} is {after.lower()}: {why}", {"before": before}
    )


def of_parts(before: Iterable[observed.Part], now: Iterable[observed.Part]) -> tuple[Event, ...]:
    """Which of its parts have become ready since, are not any more, fail, are kept waiting, or are gone. Pure."""
    was = {part.name: part for part in before}
    found = [event for part in now if (event := _of_part(was.pop(part.name, None), part))]
    return (*found, *(Event("NORMAL", "PartGone", f"{name} is gone", {"part": name}) for name in was))


def _of_part(before: observed.Part | None, now: observed.Part) -> Event | None:
    phase, facts, why = before.phase if before else None, {"part": now.name}, now.reason or now.phase.value
    told = before.trouble.told if before and before.trouble else ()
    fresh = now.trouble is not None and len(now.trouble.told) > len(told)
    match now.phase:
        case observed.Phase.READY if phase is not now.phase:
            return Event("NORMAL", "PartReady", f"{now.name} is ready", facts)
        case observed.Phase.READY:
            return None
        case observed.Phase.FAILING if fresh or phase is not now.phase:
            return Event("WARNING", "PartFailing", f"{now.name}: {why}", facts)
        case _ if phase is observed.Phase.READY:
            return Event("WARNING", "PartNotReady", f"{now.name} is not ready: {why}", facts)
        case _ if fresh:
            return Event("NORMAL", "PartWaiting", f"{now.name} is still not ready: {why}", facts)
    return None


def of_warnings(before: observed.Observed | None, now: observed.Observed) -> tuple[Event, ...]:
    """What has come near its end since, and what is so no more. Pure."""
    was, is_now = _warnings(before), _warnings(now)
    there = {"", *(part.name for part in now.parts)}
    near = (_warning("WARNING", "NearLimit", *each) for each in is_now if each not in was)
    over = (_warning("NORMAL", "NearLimitOver", *each) for each in was if each not in is_now and each[0] in there)
    return (*near, *over)


def _warning(severity: Severity, reason: str, part: str, said: str) -> Event:
    sentence = f"{part} {said}".strip()
    over = f"it is over that {sentence}" if severity == "NORMAL" else sentence
    return Event(severity, reason, over, {"part": part} if part else {})


def _warnings(of: observed.Observed | None) -> tuple[tuple[str, str], ...]:
    """Each with its part; empty: of what is shared."""
    if of is None:
        return ()
    return (*(("", said) for said in of.warnings), *((part.name, said) for part in of.parts for said in part.warnings))


def of_steps(reason: str, parts: Mapping[str, str]) -> tuple[Event, ...]:
    """That the same is done to parts now, each for its reason: one event for those of one reason."""
    by_why: dict[str, list[str]] = {}
    for part, why in parts.items():
        by_why.setdefault(why, []).append(part)
    return tuple(
        Event("NORMAL", reason, f"{', '.join(names)}: {why}", {"parts": " ".join(names)})
        for why, names in by_why.items()
    )


def append(thing: keys.Key, event: Event, at: float) -> writes.Append:
    """The write that keeps an event of a resource. `at`: seconds since 1970."""
    key = keys.Key(thing.account, thing.region, KIND, thing.kind, *thing.names)
    return writes.Append(key, msgspec.json.encode(event), at)


def of(record: keys.Key) -> keys.Key:
    """To what an event happened, by the key of its record."""
    return keys.Key(record.account, record.region, *record.names)


def read(body: bytes) -> Event:
    return msgspec.json.decode(body, type=Event)
