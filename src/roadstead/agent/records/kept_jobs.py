"""Jobs that were asked for, and how they went. Kept as long as the host that each is of."""

from __future__ import annotations

import time

from roadstead.agent.records import desired as store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, request TEXT NOT NULL, state TEXT NOT NULL, output TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', at REAL NOT NULL) WITHOUT ROWID;
"""


class KeptJobs:
    """A table of the desired states' database."""

    def __init__(self, records: store.DesiredStore) -> None:
        self._db = records.database
        records.beside(_SCHEMA)

    def find(self, id: str) -> tuple[str, str, str, str] | None:
        """Request text, state, output, reason."""
        row = self._db.execute("SELECT request, state, output, reason FROM jobs WHERE id = ?", (id,)).fetchone()
        return None if row is None else (row[0], row[1], row[2], row[3])

    def keep(self, id: str, request: str, state: str, output: str = "", reason: str = "") -> None:
        """What was kept of it before is replaced. `request`: the job as JSON; `state`: as in observed.JobResult."""
        self._db.execute(
            "INSERT OR REPLACE INTO jobs (id, request, state, output, reason, at) VALUES (?, ?, ?, ?, ?, ?)",
            (id, request, state, output, reason, time.time()),
        )

    def unfinished(self) -> list[tuple[str, str]]:
        """Id and request of those that an agent before this one did not finish."""
        return self._db.execute("SELECT id, request FROM jobs WHERE state = 'running'").fetchall()

    def forget(self, host: str) -> None:
        """The host is gone."""
        self._db.execute("DELETE FROM jobs WHERE json_extract(request, '$.host') = ?", (host,))
