"""Operations on resources: each is asked for once and ends once. Records, folded when they are read.

Operations of an earlier resource of the same name are not shown: their records are older than the resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from roadstead.core import lifecycle
from roadstead.store import facts, keys, kinds, writes


@dataclass(frozen=True, kw_only=True)
class Operation:
    """`type` and the types of `parameters` are words of the service's model; times in seconds since 1970."""

    id: str
    type: str
    parameters: tuple[tuple[str, str], ...] = ()
    created_at: float
    status: str
    problem: str = ""
    """Why it failed."""


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A record: the operation as it was asked for, or the event that ended it."""

    asked: Operation | None = None
    event: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Operations:
    """Those on resources of some kinds, each of which names the kind of their records, with one life cycle."""

    kinds: kinds.Kinds
    life: lifecycle.Lifecycle

    def prefix(self, resource: keys.Key) -> keys.Prefix:
        """All operations on a resource."""
        return keys.Prefix(resource.account, resource.region, self._records(resource), *resource.names)

    def begun(self, resource: keys.Key, operation: Operation) -> writes.Append:
        """Writes the operation as it was asked for. Raises NotFound for a resource of no kind."""
        line = _Line(asked=operation)
        return writes.Append(self.key(resource, operation.id), msgspec.json.encode(line), operation.created_at)

    def ended(self, resource: keys.Key, id: str, event: str, problem: str, at: float) -> writes.Append:
        """event: of the life cycle."""
        line = _Line(event=event, problem=problem)
        return writes.Append(self.key(resource, id), msgspec.json.encode(line), at)

    def folded(self, records: Iterable[facts.Record], since: int) -> tuple[Operation, ...]:
        """The operations of records in their order, oldest first; none of before the revision `since`.

        An end that is told twice (it was cut off before it was known to be kept) counts once.
        """
        found: dict[str, Operation] = {}
        for record in records:
            if record.revision < since:
                continue
            line = msgspec.json.decode(record.body, type=_Line)
            id = record.key.names[-1]
            if line.asked is not None:
                found[id] = line.asked
            elif id in found and self.life.can(found[id].status, line.event):
                status = self.life.after(found[id].status, line.event)
                found[id] = replace(found[id], status=status, problem=line.problem)
        return tuple(found.values())

    def key(self, resource: keys.Key, id: str) -> keys.Key:
        """Of the records of one operation."""
        return keys.Key(resource.account, resource.region, self._records(resource), *resource.names, id)

    def _records(self, resource: keys.Key) -> str:
        return self.kinds.of(resource).operations
