"""A host's own root tree: what is in it, and making it.

The host sees it read-only; `/usr` and the engines are bound into it, `/var` is its disk. Folders of a node that
people write to (`/opt`, `/mnt` ...) are links into `/var`, as in image-based distributions, so that all writing meets
the limits of the disk.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from roadstead.agent.hosts import folders

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.agent.hosts.wanted import Wanted

SYSCTLS = {
    "vm.overcommit_memory": "1",
    "vm.panic_on_oom": "0",
    "kernel.panic": "10",
    "kernel.panic_on_oops": "1",
    "kernel.keys.root_maxkeys": "1000000",
    "kernel.keys.root_maxbytes": "25000000",
}
"""What kubelet wants of the whole machine, and gets of a file of its own. Source: kubelet's container manager."""

_NODE_LINKS = {
    "opt": "var/opt",
    "mnt": "var/mnt",
    "srv": "var/srv",
    "home": "var/home",
    "root": "var/roothome",
    "etc/cni/net.d": "../../var/lib/cni/net.d",
}
_DISK_FOLDERS = ("lib", "cache", "tmp", "log")
_NODE_DISK_FOLDERS = ("opt", "mnt", "srv", "home", "roothome", "lib/cni", "lib/cni/net.d")
_NODE_MOUNT_POINTS = ("stores",)
_MOUNT_POINTS = (
    *("proc", "sys", "dev", "run", "tmp", "usr", "var", "engine", "lent"),
    *("etc", "etc/units", "etc/ssl", "etc/ssl/certs"),
)


@dataclass(frozen=True)
class Tree:
    """Folders in the order of making, files with their text (mode 0644, `init` 0755) and links, by relative path."""

    folders: tuple[str, ...]
    files: dict[str, str]
    links: dict[str, str] = field(default_factory=dict)


def plan(wanted: Wanted, facts: MachineFacts) -> Tree:
    """The root tree of a host."""
    links = dict(facts.links)
    files = {
        "etc/passwd": passwd(wanted),
        "etc/group": group(wanted),
        "etc/hosts": hosts_file(wanted),
        "etc/hostname": f"{wanted.host.hostname}\n",
        "etc/resolv.conf": "".join(f"nameserver {address}\n" for address in wanted.host.resolvers),
        "etc/machine-id": f"{machine_id(wanted.instance, wanted.id)}\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    shared = tuple(f"etc/{name}" for name in facts.etc if name == "alternatives")
    if wanted.node:
        files |= {"init": init_script(facts.svscan), "etc/fstab": fstab()}
        links |= _NODE_LINKS
        points = (*_MOUNT_POINTS, *_NODE_MOUNT_POINTS)
        return Tree((*points, *facts.folders, *shared, "etc/cni"), files, links)
    return Tree((*_MOUNT_POINTS, *facts.folders, *shared), files, links)


def passwd(wanted: Wanted) -> str:
    """Without an entry of its user kubelet does not start."""
    own = f"host:x:{wanted.uid}:{wanted.uid}:host:/var:/bin/sh\n" if wanted.uid else ""
    return f"root:x:0:0:root:/root:/bin/sh\n{own}nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"


def group(wanted: Wanted) -> str:
    own = f"host:x:{wanted.uid}:\n" if wanted.uid else ""
    return f"root:x:0:\ntty:x:5:\n{own}nogroup:x:65534:\n"


def hosts_file(wanted: Wanted) -> str:
    """/etc/hosts: itself by the address of its first leg, then the names it was given, sorted."""
    own = {wanted.host.legs[0].address: (wanted.host.hostname,)} if wanted.host.legs else {}
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {' '.join(names)}" for address, names in own.items()]
    lines += [f"{address} {' '.join(names)}" for address, names in sorted(wanted.host.names.items())]
    return "\n".join(lines) + "\n"


def machine_id(instance: str, host_id: str) -> str:
    """The same for a host each time it is made, another for each host. Source: machine-id(5)."""
    return hashlib.sha256(f"machine-id/{instance}/{host_id}".encode()).hexdigest()[:32]


def fstab() -> str:
    """The binds that keep the machine's sysctls from kubelet; one that this kernel lacks is passed over."""
    return "".join(f"/run/sysctl/{name} /proc/sys/{name.replace('.', '/')} none bind,nofail 0 0\n" for name in SYSCTLS)


def init_script(svscan: str) -> str:
    """What a node's PID 1 does before it becomes s6-svscan.

    runc refuses mounts below /proc/sys, so the binds over kubelet's sysctls are made here; the rest of /proc/sys but
    net is read-only by then. On cgroup v2 a cgroup with controllers for its children may not hold processes.
    """
    values = "".join(f"echo {value} >/run/sysctl/{name}\n" for name, value in SYSCTLS.items())
    return f"""#!/bin/sh
set -eu
mkdir /run/sysctl
{values}mount -a
mount --make-rshared /
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p /sys/fs/cgroup/init
    echo 0 >/sys/fs/cgroup/init/cgroup.procs
    for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
    done
fi
exec {svscan} /run/service
"""


def make(tree: Tree, root: Path) -> None:
    """Makes the tree at `root`; what is there already and right is left alone."""
    folders.make_at(root)
    with folders.opened(root) as top:
        for name in tree.folders:
            # runc gives a fresh tmpfs the mode of what it covers, whatever its options say.
            folders.make(top, *name.split("/"), mode=0o1777 if name == "tmp" else 0o755)
    for path, target in tree.links.items():
        with folders.opened((root / path).parent) as parent:
            folders.link(parent, PurePosixPath(path).name, target)
    for path, content in tree.files.items():
        with folders.opened((root / path).parent) as parent:
            folders.write(parent, PurePosixPath(path).name, content, 0o755 if path == "init" else 0o644)


def rename(wanted: Wanted) -> None:
    """Writes a running host's /etc/hosts anew; the host sees it at once."""
    with folders.opened(wanted.places.root / "etc") as etc:
        folders.write(etc, "hosts", hosts_file(wanted))


def furnish(wanted: Wanted) -> None:
    """The folders that a host expects on its disk; all of them are its user's."""
    names = (*_DISK_FOLDERS, *(_NODE_DISK_FOLDERS if wanted.node else ()))
    with folders.opened(wanted.places.disk) as disk:
        for name in names:
            folders.make(disk, *name.split("/"), uid=wanted.uid, mode=0o1777 if name == "tmp" else 0o755)
        folders.make(disk, "log", "units", uid=wanted.uid)
