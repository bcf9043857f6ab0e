"""One namespace that the fabric keeps open: its netlink socket and its table of rules.

Everything here blocks and belongs in the fabric's own thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadstead.agent.links import kernel, namespaces
from roadstead.agent.rules import applied

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from roadstead.agent.rules import tables


class Space:
    """An open namespace."""

    def __init__(self, path: Path, table: str) -> None:
        """Raises NotFound when there is no namespace at `path`."""
        self.path = path
        self._inode = path.stat().st_ino
        self.kernel = kernel.Kernel(path)
        with namespaces.opened(path) as namespace, namespaces.entered(namespace):
            self._rules = applied.AppliedTable(table)

    def close(self) -> None:
        self.kernel.close()
        self._rules.close()

    def is_current(self) -> bool:
        """Whether this is still the namespace at the path."""
        return namespaces.exists(self.path) and self.path.stat().st_ino == self._inode

    def write_settings(self, settings: Mapping[str, int]) -> None:
        """Of the namespace, by their paths below `/proc/sys`: `net/ipv4/ip_forward`. Only those that differ."""
        with namespaces.opened(self.path) as namespace, namespaces.entered(namespace):
            namespaces.write_settings(settings)

    def read_setting(self, name: str) -> str:
        """Of the namespace, by its path below `/proc/sys`."""
        with namespaces.opened(self.path) as namespace, namespaces.entered(namespace):
            return namespaces.read_setting(name)

    def put_rules(self, table: tables.Table) -> None:
        """Make the table so. Does nothing when it is."""
        self._rules.put(table)

    def has_rules(self) -> bool:
        """Whether anybody has put the table, in this agent's life or before."""
        return self._rules.exists()

    def rules_differ(self, table: tables.Table) -> str | None:
        """What differs from these rules, for a human; None when they are in force."""
        return self._rules.differs(table)

    def remove_rules(self) -> None:
        """The whole table of this instance; none is as good."""
        self._rules.remove()
