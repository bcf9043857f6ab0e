"""The programs that Roadstead runs and the sysctls it wants, as data: what for, since which version, how much."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roadstead.machine.doctor import facts


@dataclass(frozen=True)
class Program:
    """A program. `blocks`: without it nothing can be started."""

    name: str
    purpose: str
    ask: tuple[str, ...] | None
    """Arguments that make it print its version; None for a program that is only looked for."""
    minimum: facts.Version | None = None
    blocks: bool = True
    since: str = ""
    """Why that version."""


PROGRAMS: tuple[Program, ...] = (
    Program(
        "nft",
        "writes the rules of networks and Services",
        ("--version",),
        (1, 0, 1),
        since="kube-proxy's nftables mode refuses older ones",
    ),
    Program("libnftables", "the same library, used by the agent in its own process", None),
    Program("s6-svscan", "is PID 1 of each host and supervises Roadstead itself", ("-Z",), (2, 10)),
    Program("s6-log", "writes and rotates logs", None),
    Program("s6-ipcserver", "starts what gets engines when it is asked for", None),
    Program("s6-svc", "tells supervised processes to stop and start", None),
    Program("runc", "makes hosts, and containers in nodes", ("--version",), (1, 1, 0)),
    Program("haproxy", "is the endpoint in front of the API servers", ("-v",), (2, 4)),
    Program(
        "unshare", "makes the namespaces in which this look tries what the kernel can", ("--version",), blocks=False
    ),
    Program("ip", "shows links, and removes those of an instance that is purged", ("-V",)),
    Program(
        "conntrack",
        "shows tracked connections, and ends them",
        ("--version",),
        blocks=False,
    ),
    Program("mkfs.ext4", "makes the disks of nodes", ("-V",), blocks=False),
    Program("losetup", "attaches the disks of nodes", ("--version",), blocks=False),
    Program("setpriv", "ends what the agent starts for itself when the agent ends", ("--version",), blocks=False),
)

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
)
