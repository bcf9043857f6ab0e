"""Instance types: what a computer of that name says of itself. Data.

Source: EC2's public table of instance types. Interfaces and addresses limit the pods of a node with one address each.
"""

from __future__ import annotations

from dataclasses import dataclass

from roadstead.core import errors


@dataclass(frozen=True)
class Size:
    """`memory` in MiB; `interfaces` and the IPv4 addresses of each."""

    name: str
    vcpus: int
    memory: int
    interfaces: int
    addresses: int
    architecture: str = "x86_64"
    threads: int = 2
    """Of each core."""

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def burstable(self) -> bool:
        return self.name.startswith("t")

    @property
    def pods(self) -> int:
        """The most pods of a node, as Amazon's VPC CNI has it without prefixes."""
        return self.interfaces * (self.addresses - 1) + 2


def _family(
    name: str, memory_per_vcpu: int, architecture: str = "x86_64", threads: int = 2, *, smallest: int = 2
) -> tuple[Size, ...]:
    steps = (
        ("medium", 1, 2, 4),
        ("large", 2, 3, 10),
        ("xlarge", 4, 4, 15),
        ("2xlarge", 8, 4, 15),
        ("4xlarge", 16, 8, 30),
    )
    return tuple(
        Size(f"{name}.{step}", vcpus, vcpus * memory_per_vcpu * 1024, interfaces, each, architecture, threads)
        for step, vcpus, interfaces, each in steps
        if vcpus >= smallest
    )


def _burstable(name: str, architecture: str = "x86_64", threads: int = 2) -> tuple[Size, ...]:
    steps = (("small", 2, 2, 3, 4), ("medium", 2, 4, 3, 6), ("large", 2, 8, 3, 12), ("xlarge", 4, 16, 4, 15))
    return tuple(
        Size(f"{name}.{step}", vcpus, gib * 1024, interfaces, each, architecture, threads)
        for step, vcpus, gib, interfaces, each in steps
    )


ALL = (
    *_burstable("t3"),
    *_burstable("t3a"),
    *_burstable("t4g", "arm64", 1),
    *_family("m5", 4),
    *_family("m6i", 4),
    *_family("m7i", 4),
    *_family("m6g", 4, "arm64", 1, smallest=1),
    *_family("m7g", 4, "arm64", 1, smallest=1),
    *_family("c6i", 2),
    *_family("c7g", 2, "arm64", 1, smallest=1),
    *_family("r6i", 8),
    *_family("r7g", 8, "arm64", 1, smallest=1),
)


def find(name: str) -> Size:
    """Raises NotFound for a type that is not offered."""
    for size in ALL:
        if size.name == name:
            return size
    families = sorted({size.family for size in ALL})
    raise errors.NotFound(f"the instance type {name} is not offered here; families: {', '.join(families)}", type=name)
