"""The schema, as the steps that led to it. Only ever add to the end: databases of every release are out there.

`user_version` counts the steps that a database has behind it. Each is one transaction, so a cut-off step has not been.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TypeAlias

Migration: TypeAlias = tuple[str, ...]
"""SQL statements."""

APPLICATION = 0x52445354
"""`application_id` of our databases: "RDST"."""

_FIRST: Migration = (
    f"PRAGMA application_id = {APPLICATION}",
    # ceiling: every revision given so far is at most this, durably. compacted: changes after it are all known.
    # boot: the boot of the machine in which the database was last opened.
    """CREATE TABLE counter (
        one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL, ceiling INTEGER NOT NULL,
        compacted INTEGER NOT NULL, boot TEXT NOT NULL)""",
    "INSERT INTO counter VALUES (1, 0, 0, 0, '')",
    """CREATE TABLE desired (
        key TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, generation INTEGER NOT NULL, created INTEGER NOT NULL,
        body BLOB NOT NULL)""",
    "CREATE INDEX desired_kind ON desired (kind, key)",
    """CREATE TABLE observed (
        key TEXT NOT NULL PRIMARY KEY, generation INTEGER NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE records (
        number INTEGER PRIMARY KEY AUTOINCREMENT, revision INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
        at REAL NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX records_key ON records (key, number)",
    "CREATE INDEX records_kind ON records (kind, number)",
    # sealer: the id of the key that sealed it. sealed: nonce, ciphertext, tag.
    """CREATE TABLE secrets (
        key TEXT NOT NULL PRIMARY KEY, generation INTEGER NOT NULL, sealer TEXT NOT NULL, sealed BLOB NOT NULL)""",
    """CREATE TABLE changes (
        revision INTEGER NOT NULL, position INTEGER NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL,
        deleted INTEGER NOT NULL, PRIMARY KEY (revision, position)) WITHOUT ROWID""",
)

MIGRATIONS: tuple[Migration, ...] = (_FIRST,)


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a database forward. The caller has seen that it is not newer than `migrations`."""
    behind: int = connection.execute("PRAGMA user_version").fetchone()[0]
    for number, migration in enumerate(migrations[behind:], behind + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in migration:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise
