"""One transaction onto the database: first every expectation, then every write. Called inside of a BEGIN."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import assert_never

from roadstead.core import errors
from roadstead.store import facts, keys, writes
from roadstead.store.sqlite import sealing


@dataclass(frozen=True)
class Applier:
    """What writing needs: the connection and the keys that seal."""

    connection: sqlite3.Connection
    sealer: sealing.Sealer

    def apply(self, transaction: tuple[writes.Write, ...], revision: int) -> list[facts.Change]:
        """What changed, under that revision; empty: nothing, and the revision is still free.

        Raises Conflict, AlreadyExists, NotFound, Invalid before anything is written, and sqlite3.Error.
        """
        for write in transaction:
            self._meet(write)
        changes: list[facts.Change] = []
        for write in transaction:
            changes += self._write(write, revision)
        return changes

    def _meet(self, write: writes.Write) -> None:
        match write:
            case writes.Put() | writes.Delete() | writes.Require():
                _expect(write.expected, self._number("desired", "generation", write.key), "desired state", write.key)
            case writes.PutSecret() | writes.DeleteSecret():
                _expect(write.expected, self._number("secrets", "generation", write.key), "secret", write.key)
            case writes.Observe():
                _expect(write.expected, self._number("observed", "revision", write.key), "observation", write.key)
                self._meet_observation(write)
            case writes.Unchanged():
                self._meet_unchanged(write)
            case writes.Append():
                pass
            case _:
                assert_never(write)

    def _number(self, table: str, column: str, key: keys.Key) -> int | None:
        row = self.connection.execute(f"SELECT {column} FROM {table} WHERE key = ?", (key.text,)).fetchone()
        return None if row is None else row[0]

    def _meet_observation(self, write: writes.Observe) -> None:
        row = self.connection.execute(
            "SELECT d.generation, d.created, o.generation FROM desired d LEFT JOIN observed o ON o.key = d.key "
            "WHERE d.key = ?",
            (write.key.text,),
        ).fetchone()
        if row is None:
            raise errors.NotFound(f"{write.key} was observed, but there is no desired state of it", key=write.key)
        generation, created, observed = row
        if write.generation > generation:
            raise errors.Invalid(
                f"{write.key} was observed for generation {write.generation}, but it has only come to {generation}",
                key=write.key,
                generation=generation,
            )
        if write.generation < max(created, observed or 0):
            raise errors.Conflict(
                f"{write.key} was observed for generation {write.generation}, which is behind what is known: it was "
                f"made in {created} and last observed for {observed}",
                key=write.key,
                generation=generation,
            )

    def _meet_unchanged(self, write: writes.Unchanged) -> None:
        low, high = write.prefix.bounds
        compacted: int = self.connection.execute("SELECT compacted FROM counter").fetchone()[0]
        changed = self.connection.execute(
            "SELECT key FROM changes WHERE revision > ? AND part = ? AND key >= ? AND key < ? LIMIT 1",
            (write.since, facts.ChangedPart.DESIRED.value, low, high),
        ).fetchone()
        if changed is not None or write.since < compacted:
            what = f"{changed[0]} has" if changed else "something may have"
            raise errors.Conflict(
                f"{what} changed below {write.prefix} since revision {write.since}: list again and decide again",
                prefix=write.prefix,
            )

    def _write(self, write: writes.Write, revision: int) -> list[facts.Change]:
        match write:
            case writes.Put():
                self._put(write, revision)
                return [facts.Change(facts.ChangedPart.DESIRED, write.key)]
            case writes.Delete():
                return [
                    facts.Change(part, write.key, deleted=True)
                    for part, table in (
                        (facts.ChangedPart.DESIRED, "desired"),
                        (facts.ChangedPart.OBSERVED, "observed"),
                    )
                    if self._delete(table, write.key)
                ]
            case writes.Observe():
                return [facts.Change(facts.ChangedPart.OBSERVED, write.key)] if self._observe(write, revision) else []
            case writes.Append():
                self.connection.execute(
                    "INSERT INTO records (revision, key, kind, at, body) VALUES (?, ?, ?, ?, ?)",
                    (revision, write.key.text, write.key.kind, write.at, write.body),
                )
                return [facts.Change(facts.ChangedPart.RECORDS, write.key)]
            case writes.PutSecret():
                sealed = self.sealer.seal(write.key, revision, write.value)
                self.connection.execute(
                    "INSERT OR REPLACE INTO secrets (key, generation, sealer, sealed) VALUES (?, ?, ?, ?)",
                    (write.key.text, revision, self.sealer.current, sealed),
                )
                return [facts.Change(facts.ChangedPart.SECRET, write.key)]
            case writes.DeleteSecret():
                gone = self._delete("secrets", write.key)
                return [facts.Change(facts.ChangedPart.SECRET, write.key, deleted=True)] if gone else []
            case writes.Require() | writes.Unchanged():
                return []
            case _:
                assert_never(write)

    def _put(self, write: writes.Put, revision: int) -> None:
        self.connection.execute(
            "INSERT INTO desired (key, kind, generation, created, body) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET generation = excluded.generation, body = excluded.body",
            (write.key.text, write.key.kind, revision, revision, write.body),
        )

    def _observe(self, write: writes.Observe, revision: int) -> bool:
        """False when just that is kept already, so that seeing the same again wakes nobody."""
        cursor = self.connection.execute(
            "INSERT INTO observed (key, generation, revision, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET generation = excluded.generation, revision = excluded.revision, "
            "body = excluded.body WHERE generation != excluded.generation OR body != excluded.body",
            (write.key.text, write.generation, revision, write.body),
        )
        return cursor.rowcount > 0

    def _delete(self, table: str, key: keys.Key) -> bool:
        return self.connection.execute(f"DELETE FROM {table} WHERE key = ?", (key.text,)).rowcount > 0


def _expect(expected: writes.Expected, found: int | None, what: str, key: keys.Key) -> None:
    match expected:
        case None:
            return
        case writes.Absent():
            if found is not None:
                raise errors.AlreadyExists(f"there is a {what} {key} already", key=key, found=found)
        case writes.Present():
            if found is None:
                raise errors.NotFound(f"there is no {what} {key}", key=key)
        case writes.At(number=number):
            if found is None:
                raise errors.NotFound(f"there is no {what} {key}", key=key, expected=number)
            if found != number:
                raise errors.Conflict(
                    f"the {what} {key} is at {found} and not at {number}: it was changed meanwhile; read it again",
                    key=key,
                    expected=number,
                    found=found,
                )
        case _:
            assert_never(expected)
