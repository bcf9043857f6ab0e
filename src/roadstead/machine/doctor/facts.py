"""What the doctor read from a machine: frozen facts, no judgement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Family = Literal["debian", "fedora", "arch", "opensuse", "alpine"]
Version = tuple[int, ...]


@dataclass(frozen=True)
class DistributionFacts:
    """From os-release(5). `family` is None where no names of packages are known."""

    name: str
    family: Family | None


@dataclass(frozen=True)
class Feature:
    """Something that the kernel was asked to do. `works` is None where it could not be tried (see `detail`)."""

    name: str
    works: bool | None
    detail: str = ""


@dataclass(frozen=True)
class KernelFacts:
    """Of the kernel that runs. `release`: `uname -r`."""

    release: str
    features: tuple[Feature, ...]
    modules: tuple[str, ...] | None
    """Loaded modules; None for a kernel without modules."""
    kmsg: bool
    """`/dev/kmsg` is there."""
    seccomp: bool = True


@dataclass(frozen=True)
class Cgroups:
    """The control groups. `hybrid` is v1 for the controllers, with a v2 tree beside it."""

    version: Literal["v1", "v2", "hybrid", "none"]
    controllers: frozenset[str]
    """Controllers that can be used: mounted (v1) or listed at the top of the tree (v2)."""
    enabled: frozenset[str] = frozenset()
    """v2: controllers that the top of the tree hands to its children already."""
    read_only: tuple[str, ...] = ()
    """Folders in which no cgroup can be made or, on v2, no controller handed on."""
    crowded: bool = False
    """v2: what is mounted is not the real top and holds processes, so it cannot hand on another controller."""


@dataclass(frozen=True)
class Tool:
    """A program or library that was looked for. A BusyBox applet of that name does not count."""

    name: str
    path: str | None
    version: Version | None = None
    says: str = ""
    """What it printed when it was asked for its version."""


@dataclass(frozen=True)
class Chain:
    """A base chain at the forward hook, with policy drop."""

    family: str
    table: str
    name: str


@dataclass(frozen=True)
class Firewalls:
    """What may drop packets of clusters."""

    forward_drops: tuple[Chain, ...]
    """Of nftables and, as table `filter` of family `iptables-legacy`, of the older one."""
    docker: bool
    """Docker's chains or its bridge are there."""
    ufw_drops: bool
    """ufw is enabled and its policy for forwarded packets is not ACCEPT."""
    firewalld: bool
    """firewalld's table is loaded."""
    read: bool = True
    """False where the rules could not be listed."""


@dataclass(frozen=True)
class StateDisk:
    """The file system that holds the state folder. Sizes in bytes."""

    folder: str
    filesystem: str
    options: frozenset[str]
    free: int


@dataclass(frozen=True)
class Memory:
    """Bytes. `limit` is that of the control group which is the top here, None without one."""

    total: int
    available: int
    limit: int | None = None


@dataclass(frozen=True)
class Loops:
    """Loop devices. `free`, `used`: of those that there are."""

    control: bool
    """`/dev/loop-control` can be opened: more loop devices can be made."""
    free: int
    used: int


@dataclass(frozen=True)
class CachedEngine:
    """An engine in the cache, e.g. `kubernetes` `1.37.2`; `broken` is the reason why it cannot be used, else empty."""

    name: str
    version: str
    broken: str = ""


@dataclass(frozen=True)
class DoctorFacts:
    """All that one look at a machine gave."""

    root: bool
    user_namespace: bool
    """Ids are mapped: root here is not root of the machine."""
    architecture: str
    cores: int
    python: Version
    distribution: DistributionFacts
    systemd: bool
    kernel: KernelFacts
    capabilities: frozenset[str]
    """As root what this process has, else what root would have here (the bounding set)."""
    cgroups: Cgroups
    tools: tuple[Tool, ...]
    sysctls: Mapping[str, int | None]
    """None: the kernel does not have it (yet)."""
    firewalls: Firewalls
    disk: StateDisk
    memory: Memory
    loops: Loops
    descriptors: int
    """The hard limit of open files of a process."""
    engines: tuple[CachedEngine, ...] | None = None
    """None where the cache could not be read."""
