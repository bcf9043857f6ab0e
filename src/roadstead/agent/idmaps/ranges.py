"""Ranges of user and group ids that nodes get on the machine. Pure.

65536 ids each, as Kubernetes gives to a pod with users of its own (KEP-127). All are above what distributions and
systemd give to users and containers (below 2^31), and end below 2^32 - 2 (the kernel's ids that are none).
Source: systemd, docs/UIDS-GIDS.md. Each instance of a machine has a block of them, by its name: two may have the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass

SIZE = 65_536
FIRST = 1 << 31
_OF_INSTANCE = 512
_INSTANCES = 63


@dataclass(frozen=True)
class Range:
    """The ids 0 to `size` - 1 of a node are `first` and those that follow on the machine, for users and for groups."""

    first: int
    size: int = SIZE

    @property
    def line(self) -> str:
        """As /proc/PID/uid_map and gid_map take it. Source: user_namespaces(7)."""
        return f"0 {self.first} {self.size}\n"


def free(instance: str, taken: Collection[int]) -> Range | None:
    """A range of the instance's block whose first id is not in `taken`; None when it is full."""
    block = FIRST + zlib.crc32(instance.encode()) % _INSTANCES * _OF_INSTANCE * SIZE
    firsts = range(block, block + _OF_INSTANCE * SIZE, SIZE)
    return next((Range(first) for first in firsts if first not in taken), None)
