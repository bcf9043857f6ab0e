"""One table in one namespace, and what was put there last: what differs is changed, and whether others did is noticed.

Everything here blocks and belongs in one thread. What a change costs does not grow with the table: the kernel's count
of changes tells that nobody else was there, and only where somebody was is the table listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadstead.agent.rules import nft, tables
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable


class AppliedTable:
    """The table of that name in the calling thread's namespace. Close it."""

    def __init__(self, name: str, opened: Callable[[], nft.Nft] = nft.opened) -> None:
        """Raises Failed."""
        self._name = name
        self._nft = opened()
        self._generation = nft.Generation()
        self._table: tables.Table | None = None
        """What was put last."""
        self._rest = ""
        """How nft lists it without the elements of its sets, as it was when its rules were put."""
        self._seen: int | None = None
        """The kernel's count when the table was as it was put; None: not known."""

    def close(self) -> None:
        self._nft.close()
        self._generation.close()

    def put(self, table: tables.Table) -> None:
        """Make it so, whoever changed it. Does nothing when it is."""
        if self._table is None or not self._untouched(self._table):
            self._replace(table)
        else:
            self._change(self._table, table)

    def put_unseen(self, table: tables.Table) -> None:
        """Make it so, where nobody else changes it but for whom the next `put` is: nothing is listed.

        For what is done often in a namespace whose other tables change all the time.
        """
        if self._table is None:
            self._replace(table)
            return
        try:
            self._change(self._table, table)
        except errors.Failed:
            # Somebody did; if it is not that, this fails as well.
            self._replace(table)

    def exists(self) -> bool:
        """Whether anybody has put the table, in this agent's life or before."""
        return self._list() is not None

    def differs(self, table: tables.Table) -> str | None:
        """What differs from this table, for a human; None when it is in force."""
        if self._table is None:
            return "its rules have not been put by this agent yet"
        if not self._untouched(self._table):
            return (
                f"table {self._name} is gone" if self._list() is None else f"table {self._name} was changed by someone"
            )
        return None if self._table == table else f"table {self._name} is an older one"

    def remove(self) -> None:
        """The table, whoever put it; none is as good."""
        self._apply(tables.removal(self._name), whole=True)
        self._table = None

    def _untouched(self, table: tables.Table) -> bool:
        now = self._generation.get()
        if now == self._seen:
            return True
        text = self._list()
        if text is None or tables.listing(text, table) != tables.wanted(table, self._rest):
            return False
        # As it was counted before: a change since then is still to be looked at.
        self._seen = now
        return True

    def _replace(self, table: tables.Table) -> None:
        self._apply(table.text(), whole=True)
        self._table = table
        self._rest = tables.listing(self._list() or "", table).rest

    def _change(self, before: tables.Table, table: tables.Table) -> None:
        text = tables.change(before, table)
        if text is None:
            self._replace(table)
        elif text:
            self._apply(text)
            self._table = table

    def _apply(self, text: str, *, whole: bool = False) -> None:
        """One transaction. Raises Failed with nft's message; then nothing has changed."""
        before = self._generation.get()
        known = before == self._seen
        code, _, complaint = self._nft.run(text)
        if code != 0:
            raise errors.Failed(f"nft refused: {complaint.strip()}", output=complaint, text=text)
        now = self._generation.get()
        # By another count somebody else was there, too.
        self._seen = now if now == before + 1 and (known or whole) else None

    def _list(self) -> str | None:
        """The table without counters' values, in nft's words; None when there is none."""
        code, output, complaint = self._nft.run(f"list table inet {self._name}")
        if code == 0:
            return output
        if "No such file or directory" in complaint:
            return None
        raise errors.Failed(f"nft could not list table {self._name}: {complaint.strip()}", output=complaint)
