"""Memory and disk as sums: what the machine has, what exists is promised, what is asked for. Pure.

Counted is what is needed, never what an instance type is called: a node of 16 GiB that runs nothing takes as little as
one of 2 GiB, and its disk is sparse.
"""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.contract.messages import machine as machines
from roadstead.core import errors

_GIB = 2**30
_MEMORY_OF_CONTROL_PLANE, _DISK_OF_CONTROL_PLANE = 1.2, 0.5
_MEMORY_OF_NODE, _DISK_OF_NODE = 0.15, 1.0
"""GiB, measured: three etcd, three API servers and their like; containerd, kubelet and kube-proxy."""


@dataclass(frozen=True)
class Load:
    """Control planes and nodes."""

    control_planes: int = 0
    nodes: int = 0

    @property
    def memory(self) -> int:
        """Bytes."""
        return int((self.control_planes * _MEMORY_OF_CONTROL_PLANE + self.nodes * _MEMORY_OF_NODE) * _GIB)

    @property
    def disk(self) -> int:
        """Bytes."""
        return int((self.control_planes * _DISK_OF_CONTROL_PLANE + self.nodes * _DISK_OF_NODE) * _GIB)

    def __add__(self, other: Load) -> Load:
        return Load(self.control_planes + other.control_planes, self.nodes + other.nodes)

    def __str__(self) -> str:
        counts = (_counted(self.control_planes, "control plane"), _counted(self.nodes, "node"))
        return " and ".join(count for count in counts if count) or "nothing"


@dataclass(frozen=True)
class Promised:
    """To all that exists; `coming`: what of it is not made yet, and so not taken from the machine yet."""

    all: Load = Load()
    coming: Load = Load()


def check(machine: machines.Machine, promised: Promised, asked: Load) -> None:
    """Whether the machine carries one more load. Raises LimitExceeded with the sum."""
    memory = min(machine.memory - machine.kept_memory - promised.all.memory, machine.available - promised.coming.memory)
    if asked.memory > memory:
        raise errors.LimitExceeded(
            f"Not enough memory: this machine has {_gib(machine.memory)} GiB{_kept(machine.kept_memory)}, "
            f"{_gib(machine.available)} GiB of it available now; what exists ({promised.all}) is promised "
            f"{_gib(promised.all.memory)} GiB, {_gib(promised.coming.memory)} GiB of it not taken yet; {asked} more "
            f"would need {_gib(asked.memory)} GiB. Delete something, or ask for fewer nodes.",
            asked=asked.memory,
            room=memory,
        )
    disk = machine.free - machine.kept_disk - promised.coming.disk
    if asked.disk > disk:
        raise errors.LimitExceeded(
            f"Not enough disk: {_gib(machine.free)} GiB of {_gib(machine.disk)} GiB are free where Roadstead keeps "
            f"its state{_kept(machine.kept_disk)}; what is being made ({promised.coming}) is promised "
            f"{_gib(promised.coming.disk)} GiB; {asked} more would need {_gib(asked.disk)} GiB. Make room, or ask for "
            "fewer nodes.",
            asked=asked.disk,
            room=disk,
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count else ""


def _kept(size: int) -> str:
    return f" ({_gib(size)} GiB are kept for the machine itself)" if size else ""


def _gib(size: int) -> str:
    """With two digits, so that sums can be followed."""
    return f"{size / _GIB:.2f}".rstrip("0").rstrip(".")
