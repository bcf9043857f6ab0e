"""The programs that Roadstead runs and the sysctls it wants, as data: what for, since which version, how much."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roadstead.machine.doctor import facts


@dataclass(frozen=True)
class WantedProgram:
    """A program. `blocks`: without it nothing can be started."""

    name: str
    purpose: str
    ask: tuple[str, ...] | None
    """Arguments that make it print its version; None for a program that is only looked for."""
    minimum: facts.Version | None = None
    blocks: bool = True
    since: str = ""
    """Why that version."""


PROGRAMS: tuple[WantedProgram, ...] = (
    WantedProgram(
        "nft",
        "writes the rules of networks and Services",
        ("--version",),
        (1, 0, 1),
        since="kube-proxy's nftables mode refuses older ones",
    ),
    WantedProgram(
        "libnftables",
        "the same in the agent's own process: without it nft is started for each change of rules",
        None,
        blocks=False,
    ),
    WantedProgram("s6-svscan", "is PID 1 of each host and supervises Roadstead itself", ("-Z",), (2, 10)),
    WantedProgram("s6-log", "writes and rotates logs", None),
    WantedProgram("s6-ipcserver", "starts what gets engines when it is asked for", None),
    WantedProgram("s6-svc", "tells supervised processes to stop and start", None),
    WantedProgram("runc", "makes hosts, and containers in nodes", ("--version",), (1, 1, 0)),
    WantedProgram("haproxy", "is the endpoint in front of the API servers", ("-v",), (2, 4)),
    WantedProgram(
        "unshare", "makes the namespaces in which this look tries what the kernel can", ("--version",), blocks=False
    ),
    WantedProgram("ip", "shows links, and removes those of an instance that is purged", ("-V",)),
    WantedProgram(
        "conntrack",
        "shows tracked connections, and ends them",
        ("--version",),
        blocks=False,
    ),
    WantedProgram("mkfs.ext4", "makes the disks of nodes", ("-V",), blocks=False),
    WantedProgram("losetup", "attaches the disks of nodes", ("--version",), blocks=False),
    WantedProgram("setpriv", "ends what the agent starts for itself when the agent ends", ("--version",), blocks=False),
)


@dataclass(frozen=True)
class Hole:
    """What was mended in a program: since these releases, of each line that still got it; later lines have it."""

    names: str
    meaning: str
    since: tuple[facts.Version, ...]


HOLES_OF_RUNC: tuple[Hole, ...] = (
    Hole("CVE-2024-21626", "a container reaches the machine's files by a descriptor that was left open", ((1, 1, 12),)),
    Hole(
        "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881",
        "a container writes to files of the kernel's through paths that are masked for it",
        ((1, 2, 8), (1, 3, 3), (1, 4, 0)),
    ),
)
"""Source: the security advisories of github.com/opencontainers/runc."""
RUNC_LEAST = HOLES_OF_RUNC[0].since[0]
"""What makers of it have released before is not started, unless a distribution has packed it."""


def holes(tool: facts.Tool) -> tuple[Hole, ...]:
    """Those that the version of a runc has, where nobody has mended them in it."""
    version = tool.version or (0,)
    # A candidate counts as older than its release.
    early = "-rc" in tool.says.partition("\n")[0]

    def mended(hole: Hole) -> bool:
        if version[:2] > hole.since[-1][:2]:
            return True
        return any(version[:2] == line[:2] and (version, not early) >= (line, True) for line in hole.since)

    return tuple(hole for hole in HOLES_OF_RUNC if not mended(hole))


def packed(runc_says: str) -> str | None:
    """The release of a distribution's package, where `runc --version` names it; None where it does not.

    Debian's says `commit: 1.1.5+ds1-1+deb12u1`, Ubuntu's `runc version 1.1.7-0ubuntu1~22.04.2`.
    """
    found = re.search(r"^(?:runc version|commit:) (\d+(?:\.\d+)+(?:[+~]|-\d)\S*)", runc_says, re.MULTILINE)
    named = re.search(r"^commit: (\d+(?:\.\d+)+[+~-]\S+)", runc_says, re.MULTILINE)
    return (named or found or {1: None})[1]


_NUMBERS = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)+)")


def version_in(name: str, output: str) -> facts.Version | None:
    """The version in what a program printed when asked, None where there is none.

    s6 never tells its version; 2.10 dropped the options -S and -s of s6-svscan, so a usage line that has them is
    of 2.9 or older (https://skarnet.org/software/s6/upgrade.html), and one without is taken as 2.10.
    """
    if name == "s6-svscan":
        if "usage:" not in output:
            return None
        return (2, 9) if "-S" in output else (2, 10)
    match = _NUMBERS.search(output)
    return tuple(int(part) for part in match.group(1).split(".")) if match else None


@dataclass(frozen=True)
class Sysctl:
    """A setting of the kernel. Below `minimum` it is found wanting and set to `target`."""

    name: str
    minimum: int
    target: int
    meaning: str


SYSCTLS: tuple[Sysctl, ...] = (
    Sysctl(
        "fs.inotify.max_user_instances",
        1024,
        8192,
        "kubelet, containerd and many pods hold inotify instances, and all nodes of the machine share one limit: "
        "when it is reached, kubelets and pods fail with 'too many open files'",
    ),
    Sysctl(
        "fs.inotify.max_user_watches",
        131072,
        524288,
        "all nodes of the machine share one limit of watched files: when it is reached, changed ConfigMaps, "
        "Secrets and logs go unseen",
    ),
    Sysctl(
        "net.ipv4.ip_forward",
        1,
        1,
        "the machine passes no packets on: nodes and pods reach each other, but not the world (images, the internet)",
    ),
    Sysctl(
        "net.netfilter.nf_conntrack_max",
        131072,
        262144,
        "connections of all nodes are tracked, and past this number new ones are dropped; the limit can only be "
        "raised on the machine, never in a node",
    ),
    Sysctl(
        "kernel.keys.root_maxkeys",
        200000,
        1000000,
        "each container takes a session keyring of root's; when there are no more, containers fail to start with "
        "'disk quota exceeded'",
    ),
    Sysctl(
        "kernel.keys.root_maxbytes",
        5000000,
        25000000,
        "each container takes a session keyring of root's; when their room is used up, containers fail to start "
        "with 'disk quota exceeded'",
    ),
    Sysctl(
        "kernel.keys.maxkeys",
        2000,
        20000,
        "each container of a node with users of its own takes a session keyring of that node's root; when there are no "
        "more, containers fail to start with 'disk quota exceeded'",
    ),
    Sysctl(
        "kernel.keys.maxbytes",
        200000,
        2000000,
        "each container of a node with users of its own takes a session keyring of that node's root; when their room "
        "is used up, containers fail to start with 'disk quota exceeded'",
    ),
)
