"""What is read: each question one statement, so that its answer is of one moment. Never waits for the writer."""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import Any

from roadstead.core import errors
from roadstead.store import facts, keys
from roadstead.store.sqlite import database, sealing

_AT_ONCE = 1_000
"""Changes read at once; more than a transaction has."""

_STATE = (
    "SELECT d.key, d.body, d.generation, d.created, o.body, o.generation, o.revision "
    "FROM desired d LEFT JOIN observed o ON o.key = d.key WHERE "
)


class Reader:
    """Called from one thread. Raises Failed when the database turns out to be damaged."""

    def __init__(self, connection: sqlite3.Connection, path: Path, sealer: sealing.Sealer) -> None:
        self._connection = connection
        self._path = path
        self._sealer = sealer

    def close(self) -> None:
        self._connection.close()

    def state(self, key: keys.Key) -> facts.State | None:
        """None: there is no desired state."""
        rows = self._rows(_STATE + "d.key = ?", key.text)
        return _state(rows[0]) if rows else None

    def states(
        self, prefix: keys.Prefix, kind: str | None, after: keys.Key | None, limit: int
    ) -> tuple[facts.State, ...]:
        """In the order of their keys."""
        low, high = prefix.bounds
        where, values = "d.key >= ? AND d.key < ? AND d.key > ?", [low, high, after.text if after else ""]
        if kind is not None:
            where, values = "d.kind = ? AND " + where, [kind, *values]
        return tuple(map(_state, self._rows(f"{_STATE}{where} ORDER BY d.key LIMIT ?", *values, limit)))

    def records(
        self, of: keys.Key | keys.Prefix, *, after: int | None, limit: int, newest: bool
    ) -> tuple[facts.Record, ...]:
        """By their numbers, rising, or falling when `newest`; those behind the number `after` in that direction."""
        where, values = _belonging(of)
        if after is not None:
            where, values = f"{where} AND number {'<' if newest else '>'} ?", [*values, after]
        rows = self._rows(
            f"SELECT key, number, at, body, revision FROM records WHERE {where} "
            f"ORDER BY number {'DESC' if newest else 'ASC'} LIMIT ?",
            *values,
            limit,
        )
        return tuple(facts.Record(keys.Key.parse(row[0]), *row[1:]) for row in rows)

    def secret(self, key: keys.Key) -> facts.Secret | None:
        """None: there is none. Raises Failed as `sealing` does."""
        rows = self._rows("SELECT generation, sealer, sealed FROM secrets WHERE key = ?", key.text)
        if not rows:
            return None
        generation, sealer, sealed = rows[0]
        return facts.Secret(key, generation, self._sealer.open(key, generation, sealer, sealed))

    def changes(self, revision: int) -> list[facts.Changes]:
        """The next transactions after a revision. Raises Gone when not all of them are known any more."""
        rows = self._rows(
            "SELECT revision, part, key, deleted FROM changes WHERE revision > ? ORDER BY revision, position LIMIT ?",
            revision,
            _AT_ONCE,
        )
        # Asked after the changes were read: what has been compacted until now may be missing above.
        newest, compacted = self._rows("SELECT revision, compacted FROM counter")[0]
        if not compacted <= revision <= newest:
            raise errors.Gone(
                f"changes are known from revision {compacted} to {newest}, not from {revision}: list again, and watch "
                "from the list's revision",
                oldest=compacted,
                newest=newest,
            )
        if len(rows) == _AT_ONCE:
            # The last transaction may go on behind the limit.
            rows = [row for row in rows if row[0] < rows[-1][0]]
        return [
            facts.Changes(number, tuple(_change(*row[1:]) for row in of))
            for number, of in itertools.groupby(rows, key=lambda row: int(row[0]))
        ]

    def _rows(self, statement: str, *values: object) -> list[Any]:
        with database.explained(self._path):
            return self._connection.execute(statement, values).fetchall()


def _belonging(of: keys.Key | keys.Prefix) -> tuple[str, list[object]]:
    """The condition and its values, such that sqlite walks along an index in the order of the numbers."""
    if isinstance(of, keys.Key):
        return "key = ?", [of.text]
    low, high = of.bounds
    # The + keeps sqlite from the index by key, which would have to sort all that it finds.
    where, values = "+key >= ? AND +key < ?", [low, high]
    if len(of.parts) > 2:
        return "kind = ? AND " + where, [of.parts[2], *values]
    return where, [*values]


def _state(row: tuple[Any, ...]) -> facts.State:
    key = keys.Key.parse(row[0])
    observation = None if row[5] is None else facts.Observation(key, row[4], row[5], row[6])
    return facts.State(facts.Desired(key, row[1], row[2], row[3]), observation)


def _change(part: str, key: str, deleted: int) -> facts.Change:
    return facts.Change(facts.ChangedPart(part), keys.Key.parse(key), bool(deleted))
