"""The record of updates: each is asked for once and ends once. Records, folded when they are read.

An update is of a cluster, or of a nodegroup. Those of an earlier thing of the same name are not shown: their records
are older than the thing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from roadstead.clusters import lifecycles
from roadstead.store import facts, keys, writes

Names = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Update:
    """`type` and the types of `parameters` are of the model's enums; times in seconds since 1970."""

    id: str
    type: str
    parameters: tuple[tuple[str, str], ...] = ()
    created_at: float
    status: str = lifecycles.UPDATE.initial
    problem: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A record: the update as it was asked for, or the event that ended it."""

    asked: Update | None = None
    event: str = ""
    problem: str = ""


def place(thing: keys.Key) -> tuple[str, Names]:
    """The kind of the records, and the names before the update's id."""
    return ("update" if thing.kind == "cluster" else "nodegroup-update"), thing.names


def prefix(thing: keys.Key) -> keys.Prefix:
    """All updates of a cluster or a nodegroup."""
    kind, names = place(thing)
    return keys.Prefix(thing.account, thing.region, kind, *names)


def _key(thing: keys.Key, id: str) -> keys.Key:
    kind, names = place(thing)
    return keys.Key(thing.account, thing.region, kind, *names, id)


def begun(thing: keys.Key, update: Update) -> writes.Append:
    return writes.Append(_key(thing, update.id), msgspec.json.encode(_Line(asked=update)), update.created_at)


def ended(thing: keys.Key, id: str, event: str, problem: str, at: float) -> writes.Append:
    """event: `ready` or `failed`, of the life cycle."""
    return writes.Append(_key(thing, id), msgspec.json.encode(_Line(event=event, problem=problem)), at)


def folded(records: Iterable[facts.Record], since: int) -> tuple[Update, ...]:
    """The updates of records in their order, oldest first; none of before the revision `since`.

    An end that is told twice (it was cut off before it was known to be kept) counts once.
    """
    found: dict[str, Update] = {}
    for record in records:
        if record.revision < since:
            continue
        line = msgspec.json.decode(record.body, type=_Line)
        id = record.key.names[-1]
        if line.asked is not None:
            found[id] = line.asked
        elif id in found and lifecycles.UPDATE.can(found[id].status, line.event):
            status = lifecycles.UPDATE.after(found[id].status, line.event)
            found[id] = replace(found[id], status=status, problem=line.problem)
    return tuple(found.values())
