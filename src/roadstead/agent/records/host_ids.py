"""Which ids of the machine are a host's: a user of its own, or a node's range. Kept as long as the host."""

from __future__ import annotations

import zlib

from roadstead.agent.idmaps import ranges
from roadstead.agent.records import desired as store
from roadstead.core import errors

_SCHEMA = """
CREATE TABLE IF NOT EXISTS uids (host TEXT PRIMARY KEY, uid INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ranges (host TEXT PRIMARY KEY, first INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS once (what TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_UID_FIRST = 1_900_000_000
_UID_BLOCK = 1_000
_RANGE_GIVEN = "range"


class HostIds:
    """Two tables of the desired states' database."""

    def __init__(self, records: store.DesiredStore) -> None:
        self._db = records.database
        self._uids: dict[str, int] = dict(records.beside(_SCHEMA, "SELECT host, uid FROM uids"))
        self._ranges: dict[str, int] = dict(records.beside(_SCHEMA, "SELECT host, first FROM ranges"))

    def uid(self, host: str, instance: str) -> int:
        """The user id that this unprivileged host runs as: its own. Raises LimitExceeded."""
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
        """The node's ids from now on. Raises LimitExceeded."""
        free = self.range(host) or ranges.free(instance, self._ranges.values())
        if free is None:
            raise errors.LimitExceeded(f"host {host}: all ranges of ids of instance {instance} are taken")
        self._db.execute("INSERT OR IGNORE INTO once (what) VALUES (?)", (_RANGE_GIVEN,))
        self._db.execute("INSERT OR IGNORE INTO ranges (host, first) VALUES (?, ?)", (host, free.first))
        self._ranges[host] = free.first
        return free

    def forget(self, host: str) -> None:
        """The host is gone: its ids are free."""
        self._db.execute("DELETE FROM uids WHERE host = ?", (host,))
        self._db.execute("DELETE FROM ranges WHERE host = ?", (host,))
        self._uids.pop(host, None)
        self._ranges.pop(host, None)
