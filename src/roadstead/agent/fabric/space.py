"""One namespace that the fabric keeps open: its netlink socket, its nftables context, and what was put there last.

Everything here blocks and belongs in the fabric's own thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.agent.links import kernel, namespaces
from roadstead.agent.rules import nft, text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Rules:
    """A wanted table: its text with no black link in it, and the links that are to be black."""

    text: str
    black: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Applied:
    rules: Rules
    listing: str
    """How nft lists the table; another listing later on means that someone has changed it."""


class Space:
    """An open namespace."""

    def __init__(self, path: Path, table: str) -> None:
        """Raises NotFound when there is no namespace at `path`."""
        self.path = path
        self._table = table
        self._inode = path.stat().st_ino
        self.kernel = kernel.Kernel(path)
        with namespaces.opened(path) as namespace, namespaces.entered(namespace):
            self._nft = nft.Nft()
        self._applied: _Applied | None = None

    def close(self) -> None:
        self.kernel.close()
        self._nft.close()

    def is_current(self) -> bool:
        """Whether this is still the namespace at the path."""
        return namespaces.exists(self.path) and self.path.stat().st_ino == self._inode

    def write_settings(self, settings: Mapping[str, int]) -> None:
        with namespaces.opened(self.path) as namespace, namespaces.entered(namespace):
            namespaces.write_settings(settings)

    def read_setting(self, name: str) -> str:
        with namespaces.opened(self.path) as namespace, namespaces.entered(namespace):
            return namespaces.read_setting(name)

    def put_rules(self, rules: Rules) -> None:
        """Make the table so. Does nothing when it is; when only black links differ, only they are set."""
        applied = self._applied
        untouched = applied is not None and applied.listing == self._nft.list_table(self._table)
        if applied is None or not untouched or applied.rules.text != rules.text:
            black = text.black(self._table, rules.black) if rules.black else ""
            self._nft.apply(rules.text + black)
        elif applied.rules.black != rules.black:
            self._nft.apply(text.black(self._table, rules.black))
        else:
            return
        self._applied = _Applied(rules, self._nft.list_table(self._table) or "")

    def has_rules(self) -> bool:
        """Whether anybody has put the table, in this agent's life or before."""
        return self._nft.list_table(self._table) is not None

    def rules_differ(self, rules: Rules) -> str | None:
        """What differs from these rules, for a human; None when they are in force."""
        if self._applied is None:
            return "its rules have not been put by this agent yet"
        listing = self._nft.list_table(self._table)
        if listing is None:
            return f"table {self._table} is gone"
        if listing != self._applied.listing:
            return f"table {self._table} was changed by someone"
        return None if self._applied.rules == rules else f"table {self._table} is an older one"

    def remove_rules(self) -> None:
        self._nft.apply(text.remove(self._table))
        self._applied = None
