"""Which units were ever ready: what is done once, before their first start, was done. Kept as long as the unit."""

from __future__ import annotations

from roadstead.agent.records import desired as store

_SCHEMA = "CREATE TABLE IF NOT EXISTS begun (unit TEXT PRIMARY KEY) WITHOUT ROWID;"


class BegunUnits:
    """A table of the desired states' database."""

    def __init__(self, records: store.DesiredStore) -> None:
        self._db = records.database
        self._begun: set[str] = {unit for (unit,) in records.beside(_SCHEMA, "SELECT unit FROM begun")}

    def has(self, unit: str) -> bool:
        """Whether it was ready once. `unit`: HOST/UNIT."""
        return unit in self._begun

    def begin(self, unit: str) -> None:
        """A unit is ready."""
        if unit not in self._begun:
            self._db.execute("INSERT OR IGNORE INTO begun (unit) VALUES (?)", (unit,))
            self._begun.add(unit)

    def forget(self, unit: str) -> None:
        """The unit is gone."""
        if unit in self._begun:
            self._db.execute("DELETE FROM begun WHERE unit = ?", (unit,))
            self._begun.discard(unit)
