"""Reads the text of the kernel's and the programs' files: text in, facts out, no I/O."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.machine.doctor import distributions, facts

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTROLLERS = frozenset(
    {
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "devices",
        "freezer",
        "blkio",
        "pids",
        "hugetlb",
        "net_cls",
        "net_prio",
    }
)
"""Controllers of cgroup v1, as they stand among the options of a mount (cgroups(7))."""

_CAPABILITIES = {
    0: "CAP_CHOWN",
    1: "CAP_DAC_OVERRIDE",
    3: "CAP_FOWNER",
    5: "CAP_KILL",
    6: "CAP_SETGID",
    7: "CAP_SETUID",
    12: "CAP_NET_ADMIN",
    18: "CAP_SYS_CHROOT",
    19: "CAP_SYS_PTRACE",
    21: "CAP_SYS_ADMIN",
    24: "CAP_SYS_RESOURCE",
    27: "CAP_MKNOD",
}
"""Those that Roadstead needs, by number (linux/capability.h)."""


@dataclass(frozen=True)
class MountEntry:
    """A mount, its folder unescaped."""

    folder: str
    filesystem: str
    options: frozenset[str]


@dataclass(frozen=True)
class NftChain:
    """A chain as `nft -j list chains` gives it; `hook` and `policy` are empty for one that is no base chain."""

    family: str
    table: str
    name: str
    hook: str
    policy: str


def assignments(text: str) -> dict[str, str]:
    """Lines of NAME=VALUE as a shell reads them (os-release(5), /etc/default), comments left out."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            try:
                words = shlex.split(value, comments=True)
            except ValueError:
                continue
            found[name] = words[0] if words else ""
    return found


def distribution(text: str) -> facts.DistributionFacts:
    """From os-release(5)."""
    release = assignments(text)
    return facts.DistributionFacts(
        name=release.get("PRETTY_NAME") or release.get("NAME") or "an unknown Linux",
        family=distributions.family(release.get("ID", ""), release.get("ID_LIKE", "")),
    )


def mounts(text: str) -> tuple[MountEntry, ...]:
    """From /proc/mounts, in the order in which they were made."""
    found = []
    for line in text.splitlines():
        # By single blanks: a mount without a source has an empty first word.
        _, folder, filesystem, options, *_ = line.split(" ")
        # The kernel writes blanks in names as octal numbers (proc(5), fstab(5)).
        folder = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), folder)
        found.append(MountEntry(folder, filesystem, frozenset(options.split(","))))
    return tuple(found)


def mount_of(path: str, mounts: Iterable[MountEntry]) -> MountEntry | None:
    """The mount that holds a path: the one with the longest name, and of several on one folder the last."""
    best: MountEntry | None = None
    for mount in mounts:
        top = mount.folder.rstrip("/")
        holds = path == top or path.startswith(f"{top}/")
        if holds and (best is None or len(mount.folder) >= len(best.folder)):
            best = mount
    return best


def memory(meminfo: str, limit: int | None) -> facts.Memory:
    """From /proc/meminfo. A limit above what there is, as v1 writes for none, is no limit."""
    sizes = {name: int(size) * 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.MULTILINE)}
    total = sizes.get("MemTotal", 0)
    return facts.Memory(total, sizes.get("MemAvailable", total), limit if limit and limit < total else None)


def capabilities(status: str, which: str) -> frozenset[str]:
    """From /proc/PID/status; `which` is CapEff or CapBnd."""
    mask = re.search(rf"^{which}:\s*([0-9a-f]+)$", status, re.MULTILINE)
    bits = int(mask[1], 16) if mask else 0
    return frozenset(name for bit, name in _CAPABILITIES.items() if bits >> bit & 1)


def in_user_namespace(uid_map: str) -> bool:
    """Whether ids are mapped: the first user namespace maps all 2^32 - 1 onto themselves (user_namespaces(7))."""
    return uid_map.split() not in (["0", "0", "4294967295"], [])


def chains(listing: str) -> tuple[NftChain, ...] | None:
    """From `nft -j list chains`; None where that is not JSON (an nft built without it)."""
    try:
        items = json.loads(listing)["nftables"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(
        NftChain(chain["family"], chain["table"], chain["name"], chain.get("hook", ""), chain.get("policy", ""))
        for item in items
        if (chain := item.get("chain"))
    )


def forward_drops(chains: Iterable[NftChain]) -> tuple[facts.Chain, ...]:
    """Base chains that drop what they do not name of forwarded IPv4 packets, but Roadstead's own."""
    return tuple(
        facts.Chain(chain.family, chain.table, chain.name)
        for chain in chains
        if chain.hook == "forward"
        and chain.policy == "drop"
        and chain.family in ("ip", "inet")
        and not chain.table.startswith("roadstead-")
    )


def legacy_drops(listing: str) -> tuple[facts.Chain, ...]:
    """From `iptables-legacy -S FORWARD`."""
    drops = "-P FORWARD DROP" in listing
    return (facts.Chain("iptables-legacy", "filter", "FORWARD"),) if drops else ()


def has_chain(chains: Iterable[NftChain], name: str) -> bool:
    """In whichever table."""
    return any(chain.name == name for chain in chains)


def has_table(chains: Iterable[NftChain], table: str) -> bool:
    """That has a chain."""
    return any(chain.table == table for chain in chains)


def ufw_drops(conf: str, defaults: str) -> bool:
    """From /etc/ufw/ufw.conf and /etc/default/ufw (ufw(8)): enabled, and forwarded packets not accepted."""
    enabled = assignments(conf).get("ENABLED", "no").lower() == "yes"
    return enabled and assignments(defaults).get("DEFAULT_FORWARD_POLICY", "DROP").upper() != "ACCEPT"
