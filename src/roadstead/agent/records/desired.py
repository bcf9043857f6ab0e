"""The desired states on disk: one sqlite database, one transaction per accepted batch, fsync before the answer.

Specs are kept as the text that came, so that an agent that does not understand one (it is of a newer release) keeps
it whole. What is to be deleted stays as a record, marked, until everything it stands for is gone.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from roadstead.contract.messages import desired, earlier
from roadstead.core import errors

Key = tuple[str, str]
"""Kind and id, as in desired.KINDS."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL, spec TEXT NOT NULL,
    deleting INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, id)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class DesiredRecord:
    """One desired state. `spec` is None when this agent does not understand `text`; `trouble` then says why."""

    kind: str
    id: str
    generation: int
    text: str
    deleting: bool = False
    spec: desired.Message | None = field(default=None, compare=False)
    trouble: str = field(default="", compare=False)

    @property
    def key(self) -> Key:
        """Kind and id."""
        return (self.kind, self.id)


Messages = Mapping[str, type[desired.Message]]
"""What texts are read as, by kind."""


def understood(
    kind: str, id: str, generation: int, text: str, deleting: bool, messages: Messages = desired.KINDS
) -> DesiredRecord:
    """The record of a text, decoded if it can be. Never raises for what the text says."""
    known = messages.get(kind)
    if known is None:
        return DesiredRecord(kind, id, generation, text, deleting, None, f"this agent knows no kind {kind!r}")
    try:
        spec = earlier.read(known, id, text)
    except msgspec.DecodeError as error:
        return DesiredRecord(kind, id, generation, text, deleting, None, str(error))
    return DesiredRecord(kind, id, generation, text, deleting, spec)


class DesiredStore:
    """The database and its image in memory. Called from one task at a time (admission's lock).

    What is kept beside the desired states is in tables of the same database, each of a class of its own in this room.
    """

    def __init__(self, path: Path, messages: Messages = desired.KINDS) -> None:
        self.version = 0
        """Counts the changes, so that what is computed from all records can be kept until the next."""
        # Its log and its index (-wal, -shm) get the mode of the database. Who can read the index can lock it, and so
        # everyone else out.
        path.touch(0o600)
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with contextlib.suppress(FileNotFoundError):
                each.chmod(0o600)
        self._path = path
        with self._whole():
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            rows = self.beside(_SCHEMA, "SELECT kind, id, generation, spec, deleting FROM objects")
        records = (understood(kind, id, number, text, bool(gone), messages) for kind, id, number, text, gone in rows)
        self._records = {record.key: record for record in records}

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise errors.Failed(
                f"{self._path} is damaged ({error}); nothing was overwritten: move it away or restore it",
                path=self._path,
            ) from error

    def beside(self, schema: str, query: str = "") -> list[Any]:
        """Tables in the same database, made where they are not there yet, and what a query finds. Raises Failed."""
        with self._whole():
            self._db.executescript(schema)
            return self._db.execute(query).fetchall() if query else []

    def close(self) -> None:
        self._db.close()

    @property
    def records(self) -> Mapping[Key, DesiredRecord]:
        """All of them, with those that are being deleted and those that are not understood."""
        return self._records

    def get(self, key: Key) -> DesiredRecord | None:
        return self._records.get(key)

    def of_kind(self, kind: str) -> dict[str, DesiredRecord]:
        """The records of a kind by id."""
        return {record.id: record for record in self._records.values() if record.kind == kind}

    @property
    def database(self) -> sqlite3.Connection:
        """For tables that are kept beside it (`beside`), in the same transactions."""
        return self._db

    def commit(self, changed: Iterable[DesiredRecord], beside: Callable[[], None] = lambda: None) -> None:
        """Keep all of these, or none, and what `beside` writes. On disk when it returns. Blocks for an fsync."""
        changed = list(changed)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO objects (kind, id, generation, spec, deleting) VALUES (?, ?, ?, ?, ?)",
                [(r.kind, r.id, r.generation, r.text, int(r.deleting)) for r in changed],
            )
            beside()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        for record in changed:
            self._records[record.key] = record
        self.version += 1

    def gone(self, key: Key) -> None:
        """What the record stands for is gone: forget it."""
        self._db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", key)
        self._records.pop(key, None)
        self.version += 1
