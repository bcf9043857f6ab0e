"""From what the machine has and what root keeps for it to the ceiling of every host. Pure.

Two ceilings stand above a process of a pod: that of its node, and that of all hosts together, which leaves a share to
the machine. (Kubernetes' own, podPidsLimit and what a node can allocate, are below them, and are usually met first.)

    memory     of all hosts: what the machine has but for a tenth, 512 MiB at least
               of a node: what its type says, and never more than three quarters of that; of others: half of it
    processes  of all hosts: what the kernel can number but for an eighth; threads count as processes
               of a node: a quarter of that, 16384 at most; of others: an eighth, 4096 at most
               of all pods of a node: what it has but for an eighth, so that it can end them
    disk       a twentieth stays free, 2 GiB at least and 10 GiB at most: nothing new is begun below that

On a small machine no share of the machine's is more than a quarter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from roadstead.contract.messages import desired

_MIB, _GIB = 1 << 20, 1 << 30
_NODES_PROCESSES, _OTHERS_PROCESSES = 16384, 4096


@dataclass(frozen=True)
class Room:
    """What the machine has: memory and disk in bytes, processes as many as can be at once."""

    memory: int
    processes: int
    disk: int


@dataclass(frozen=True)
class Kept:
    """What root keeps for the machine, in the same units. None: the usual share."""

    memory: int | None = None
    processes: int | None = None
    disk: int | None = None


KEPT = {"memory": "bytes of memory", "processes": "processes and threads", "disk": "bytes of disk"}
"""The fields of Kept, and what they count."""


@dataclass(frozen=True)
class Ceilings:
    """`memory` in bytes and `processes` of all hosts together; `kept`: what is left to the machine."""

    memory: int
    processes: int
    kept: Room

    def of(self, host: desired.Host) -> desired.Limits:
        """What a host may have. What is asked for it expressly is less or more, as it says."""
        node = host.role == "node"
        memory = self.memory // 2
        if host.shape is not None:
            memory = min(host.shape.memory, self.memory * 3 // 4)
        most, share = (_NODES_PROCESSES, 4) if node else (_OTHERS_PROCESSES, 8)
        limits = host.limits
        return msgspec.structs.replace(
            limits,
            memory=memory if limits.memory is None else limits.memory,
            pids=min(most, self.processes // share) if limits.pids is None else limits.pids,
        )


def of_pods(processes: int) -> int:
    """How many all pods of a node may have of as many as the node may have."""
    return processes - processes // 8


def ceilings(room: Room, kept: Kept) -> Ceilings:
    """What root keeps is kept, be it all that there is but a hundredth: hosts that run must be able to go on."""
    usual = Room(
        memory=max(512 * _MIB, room.memory // 10),
        processes=max(2048, room.processes // 8),
        disk=min(max(2 * _GIB, room.disk // 20), 10 * _GIB),
    )
    left = Room(
        memory=_kept(kept.memory, usual.memory, room.memory),
        processes=_kept(kept.processes, usual.processes, room.processes),
        disk=_kept(kept.disk, usual.disk, room.disk),
    )
    return Ceilings(room.memory - left.memory, room.processes - left.processes, left)


def _kept(asked: int | None, usual: int, all_: int) -> int:
    return min(usual, all_ // 4) if asked is None else min(asked, all_ - all_ // 100)
