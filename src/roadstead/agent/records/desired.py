"""The desired states on disk: one sqlite database, one transaction per accepted batch, fsync before the answer.

Specs are kept as the text that came, so that an agent that does not understand one (it is of a newer release) keeps
it whole. What is to be deleted stays as a record, marked, until everything it stands for is gone.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from roadstead.agent.idmaps import ranges
from roadstead.contract.messages import desired
from roadstead.core import errors

Key = tuple[str, str]
"""Kind and id, as in desired.KINDS."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    kind TEXT NOT NULL, id TEXT NOT NULL, generation INTEGER NOT NULL, spec TEXT NOT NULL,
    deleting INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uids (host TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranges (host TEXT PRIMARY KEY, first INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS once (what TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun (unit TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vouched (engine TEXT PRIMARY KEY, components TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, output TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', at REAL NOT NULL) WITHOUT ROWID;
"""

_UID_FIRST = 1_900_000_000
_UID_BLOCK = 1_000
_RANGE_GIVEN = "range"


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
        return (self.kind, self.id)


def understood(kind: str, id: str, generation: int, text: str, deleting: bool) -> DesiredRecord:
    """The record of a text, decoded if it can be. Never raises for what the text says."""
    known = desired.KINDS.get(kind)
    if known is None:
        return DesiredRecord(kind, id, generation, text, deleting, None, f"this agent knows no kind {kind!r}")
    try:
        spec = msgspec.json.decode(text, type=known)
    except msgspec.DecodeError as error:
        return DesiredRecord(kind, id, generation, text, deleting, None, str(error))
    return DesiredRecord(kind, id, generation, text, deleting, spec)


class DesiredStore:
    """The database and its image in memory. Called from one task at a time (the door's lock)."""

    def __init__(self, path: Path) -> None:
        self.version = 0
        """Counts the changes, so that what is computed from all records can be kept until the next."""
        # Its log and its index (-wal, -shm) get the mode of the database. Who can read the index can lock it, and so
        # everyone else out.
        path.touch(0o600)
        for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            with contextlib.suppress(FileNotFoundError):
                each.chmod(0o600)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            self._records = {
                record.key: record
                for record in (
                    understood(kind, id, generation, text, bool(deleting))
                    for kind, id, generation, text, deleting in self._db.execute(
                        "SELECT kind, id, generation, spec, deleting FROM objects"
                    )
                )
            }
            self._uids: dict[str, int] = dict(self._db.execute("SELECT host, uid FROM uids").fetchall())
            self._vouched: dict[str, str] = dict(self._db.execute("SELECT engine, components FROM vouched").fetchall())
            self._ranges: dict[str, int] = dict(self._db.execute("SELECT host, first FROM ranges").fetchall())
            self._begun: set[str] = {unit for (unit,) in self._db.execute("SELECT unit FROM begun")}
        except sqlite3.DatabaseError as error:
            raise errors.Failed(
                f"{path} is damaged ({error}); nothing was overwritten: move it away or restore it", path=path
            ) from error

    def close(self) -> None:
        self._db.close()

    @property
    def records(self) -> Mapping[Key, DesiredRecord]:
        return self._records

    def get(self, key: Key) -> DesiredRecord | None:
        return self._records.get(key)

    def of_kind(self, kind: str) -> dict[str, DesiredRecord]:
        """The records of a kind by id."""
        return {record.id: record for record in self._records.values() if record.kind == kind}

    def commit(self, changed: Iterable[DesiredRecord], vouched: Mapping[str, str] | None = None) -> None:
        """Keep all of these, or none. On disk when it returns. Blocks for the time of an fsync.

        `vouched`: by engine of these its components, where it is known that they are what they are said to be.
        """
        changed, vouched = list(changed), dict(vouched or {})
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(
                "INSERT OR REPLACE INTO objects (kind, id, generation, spec, deleting) VALUES (?, ?, ?, ?, ?)",
                [(r.kind, r.id, r.generation, r.text, int(r.deleting)) for r in changed],
            )
            self._db.executemany("INSERT OR REPLACE INTO vouched (engine, components) VALUES (?, ?)", vouched.items())
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        for record in changed:
            self._records[record.key] = record
        self._vouched |= vouched
        self.version += 1

    def vouched(self, engine: str) -> str | None:
        """The components of an engine that were vouched for when it was accepted."""
        return self._vouched.get(engine)

    def gone(self, key: Key) -> None:
        """What the record stands for is gone: forget it."""
        self._db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", key)
        self._records.pop(key, None)
        self.version += 1
        if key[0] == "units" and key[1] in self._begun:
            self._db.execute("DELETE FROM begun WHERE unit = ?", (key[1],))
            self._begun.discard(key[1])
        if key[0] == "engines":
            self._db.execute("DELETE FROM vouched WHERE engine = ?", (key[1],))
            self._vouched.pop(key[1], None)
        if key[0] == "hosts":
            self._db.execute("DELETE FROM uids WHERE host = ?", (key[1],))
            self._db.execute("DELETE FROM ranges WHERE host = ?", (key[1],))
            self._db.execute("DELETE FROM jobs WHERE json_extract(request, '$.host') = ?", (key[1],))
            self._uids.pop(key[1], None)
            self._ranges.pop(key[1], None)

    def has_begun(self, unit: str) -> bool:
        """Whether a unit was ever ready: what is to be done once before that is done."""
        return unit in self._begun

    def begin(self, unit: str) -> None:
        """A unit is ready: kept as long as it is."""
        if unit not in self._begun:
            self._db.execute("INSERT OR IGNORE INTO begun (unit) VALUES (?)", (unit,))
            self._begun.add(unit)

    def uid(self, host: str, instance: str) -> int:
        """The user id that this unprivileged host runs as: its own, kept as long as the host."""
        if host not in self._uids:
            # A block per instance, in a range that neither users nor container tools are given by distributions.
            first = _UID_FIRST + zlib.crc32(instance.encode()) % 100_000 * _UID_BLOCK
            taken = set(self._uids.values())
            free = next((n for n in range(first, first + _UID_BLOCK) if n not in taken), None)
            if free is None:
                raise errors.LimitExceeded(f"host {host}: all {_UID_BLOCK} user ids of instance {instance} are taken")
            self._db.execute("INSERT INTO uids (host, uid) VALUES (?, ?)", (host, free))
            self._uids[host] = free
        return self._uids[host]

    def range(self, host: str) -> ranges.Range | None:
        """The ids of the machine's that are a node's own; None when it was made without."""
        first = self._ranges.get(host)
        return None if first is None else ranges.Range(first)

    def range_given(self) -> bool:
        """Whether any node ever had ids of its own, also one that is gone."""
        return self._db.execute("SELECT 1 FROM once WHERE what = ?", (_RANGE_GIVEN,)).fetchone() is not None

    def give_range(self, host: str, instance: str) -> ranges.Range:
        """The node's ids from now on, kept as long as the host. Raises LimitExceeded."""
        free = self.range(host) or ranges.free(instance, self._ranges.values())
        if free is None:
            raise errors.LimitExceeded(f"host {host}: all ranges of ids of instance {instance} are taken")
        self._db.execute("INSERT OR IGNORE INTO once (what) VALUES (?)", (_RANGE_GIVEN,))
        self._db.execute("INSERT OR IGNORE INTO ranges (host, first) VALUES (?, ?)", (host, free.first))
        self._ranges[host] = free.first
        return free

    def job(self, id: str) -> tuple[str, str, str, str] | None:
        """Request text, state, output, reason."""
        row = self._db.execute("SELECT request, state, output, reason FROM jobs WHERE id = ?", (id,)).fetchone()
        return None if row is None else (row[0], row[1], row[2], row[3])

    def keep_job(self, id: str, request: str, state: str, output: str = "", reason: str = "") -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO jobs (id, request, state, output, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
            (id, request, state, output, reason, time.time()),
        )

    def unfinished_jobs(self) -> list[tuple[str, str]]:
        """Id and request of the jobs that an agent before this one did not finish."""
        return self._db.execute("SELECT id, request FROM jobs WHERE state = 'running'").fetchall()
