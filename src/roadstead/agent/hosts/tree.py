"""A host's own root tree: what is in it, and making it.

`/usr` and the engines are bound into it, `/var` is its disk. Control and edge hosts see it read-only. A node's is on
its disk, as a computer's is: workloads make folders and files there, they stay, and meet the limits of the disk. What
the node is (its names, addresses and id) is written at each start; what else a distribution comes with is given to it
where it is missing, and is the node's own then. `/opt`, `/mnt` ... are links into `/var`, as in image-based
distributions; so are `/usr/local` and `/usr/libexec`, by mounts.

A node may have made anything of what is on its disk, so every step of making is by descriptor and follows no link.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roadstead.agent.hosts import folders, mounts, see
from roadstead.agent.idmaps import views
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.agent.hosts.wanted import Shape, WantedHost
    from roadstead.agent.idmaps import ranges

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
    "etc/mtab": "../proc/self/mounts",
}
_DISK_FOLDERS = ("lib", "cache", "tmp", "log")
_NODE_DISK_FOLDERS = ("opt", "opt/cni", "opt/cni/bin", "mnt", "srv", "home", "roothome", "lib/cni", "log/journal")
_NODE_DISK_USR = tuple(f"usr{name}" for name in see.OWN_USR)
_NODE_DISK_LINKS = {"run": "../run", "lock": "../run/lock"}
_NODE_MOUNT_POINTS = ("stores", "boot")
_GIVEN_FOLDERS = ("media", "etc/kubernetes", "etc/cni", "etc/cni/net.d", "etc/sysctl.d", "etc/modules-load.d")
_GIVEN_ON_DISK = (
    *("usrlocal/bin", "usrlocal/sbin", "usrlocal/lib", "usrlocal/share"),
    *("usrlibexec/kubernetes", "usrlibexec/kubernetes/kubelet-plugins", "usrlibexec/kubernetes/kubelet-plugins/volume"),
)
_GIVEN_LINKS_ON_DISK = {
    # Where drivers of FlexVolumes are put, and where our kubelets look for them.
    "usrlibexec/kubernetes/kubelet-plugins/volume/exec": "../../../../../var/lib/kubelet/plugins/volume",
}
_CERTIFICATES = "ssl/certs/ca-certificates.crt"
_UTC = "TZif2" + "\0" * 15 + "".join(f"\0\0\0{chr(n)}" for n in (0, 0, 0, 0, 1, 4)) + "\0" * 6 + "UTC\0"
"""The time zone UTC, in which instances of EC2 are: header, one type, its name. Source: tzfile(5), RFC 9636."""
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
    given: Tree | None = None
    """What is made only where nothing has its name."""


def plan(wanted: WantedHost, facts: MachineFacts) -> Tree:
    """The root tree of a host."""
    own = {
        "etc/hosts": hosts_file(wanted),
        "etc/hostname": f"{wanted.host.hostname}\n",
        "etc/resolv.conf": resolvers_file(wanted),
        "etc/machine-id": f"{machine_id(wanted.instance, wanted.id)}\n",
    }
    common = {
        "etc/passwd": passwd(wanted),
        "etc/group": group(wanted),
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    shared = tuple(f"etc/{name}" for name in facts.etc if name == "alternatives")
    points = (*_MOUNT_POINTS, *facts.folders, *shared)
    if not wanted.node:
        return Tree(points, own | common, dict(facts.links))
    own |= {"init": init_script(facts.svscan), "etc/fstab": fstab()}
    if facts.os_release:
        own["etc/os-release"] = facts.os_release
    return Tree(
        (*points, *_NODE_MOUNT_POINTS),
        own,
        dict(facts.links) | _NODE_LINKS,
        _given(common, facts),
    )


def _given(common: dict[str, str], facts: MachineFacts) -> Tree:
    """What a distribution comes with, besides what is a node's own."""
    # By the name that EKS's nodes have them by.
    links = {"etc/ssl/certs/ca-bundle.crt": "ca-certificates.crt"} if _CERTIFICATES in facts.etc else {}
    return Tree(
        _GIVEN_FOLDERS, common | {"etc/localtime": _UTC + _UTC + "\nUTC0\n", "etc/timezone": "Etc/UTC\n"}, links
    )


def passwd(wanted: WantedHost) -> str:
    """Without an entry of its user kubelet does not start."""
    own = f"host:x:{wanted.uid}:{wanted.uid}:host:/var:/bin/sh\n" if wanted.uid else ""
    return f"root:x:0:0:root:/root:/bin/sh\n{own}nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"


def group(wanted: WantedHost) -> str:
    """The host's `/etc/group`, with `host` where it has a user of its own."""
    own = f"host:x:{wanted.uid}:\n" if wanted.uid else ""
    return f"root:x:0:\ntty:x:5:\n{own}nogroup:x:65534:\n"


def hosts_file(wanted: WantedHost) -> str:
    """/etc/hosts: itself by the address of its first leg, then the names it was given, sorted."""
    own = {wanted.host.legs[0].address: (wanted.host.hostname,)} if wanted.host.legs else {}
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{address} {' '.join(names)}" for address, names in own.items()]
    lines += [f"{address} {' '.join(names)}" for address, names in sorted(wanted.host.names.items())]
    return "\n".join(lines) + "\n"


def resolvers_file(wanted: WantedHost) -> str:
    """/etc/resolv.conf: who is asked for other names."""
    return "".join(f"nameserver {address}\n" for address in wanted.host.resolvers)


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
mkdir -p /run/sysctl /run/lock /run/udev
chmod 1777 /run/lock
(umask 077 && : >/run/xtables.lock)
{values}mount -a
mount -t bpf -o mode=700 bpf /sys/fs/bpf || echo "no file system of BPF objects here"
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
        _fill(top, tree)
        if tree.given is not None:
            _give(top, tree.given)


def _fill(top: int, tree: Tree) -> None:
    for path, target in tree.links.items():
        with _above(top, path) as (parent, name):
            folders.link(parent, name, target)
    for path, content in tree.files.items():
        with _above(top, path) as (parent, name):
            folders.write(parent, name, content, 0o755 if path == "init" else 0o644)


def _give(top: int, tree: Tree) -> None:
    """Makes what is missing. Where a part of a path is no folder, that is the node's own doing and stays."""
    for _, parent, name in _missing(top, tree.folders):
        folders.make(parent, name)
    for path, parent, name in _missing(top, tree.files):
        folders.write(parent, name, tree.files[path])
    for path, parent, name in _missing(top, tree.links):
        folders.link(parent, name, tree.links[path])


def _missing(top: int, paths: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """Each path that nothing has, with the open folder that it would be in, and its last part."""
    for path in paths:
        with contextlib.suppress(NotADirectoryError, FileNotFoundError), _above(top, path) as (parent, name):
            if not folders.there(parent, name):
                yield path, parent, name


@contextlib.contextmanager
def _above(top: int, path: str) -> Iterator[tuple[int, str]]:
    """The open folder that a path is in, and its last part."""
    *above, name = path.split("/")
    with folders.below(top, *above) as parent:
        yield parent, name


def rename(wanted: WantedHost) -> None:
    """Writes a running host's /etc/hosts and /etc/resolv.conf anew; the host sees them at once."""
    # A node that an earlier release made has that release's root for as long as it runs.
    root = wanted.places.root if wanted.places.root.exists() else wanted.root
    try:
        with folders.opened(root) as top, folders.below(top, "etc") as etc:
            folders.write(etc, "hosts", hosts_file(wanted))
            folders.write(etc, "resolv.conf", resolvers_file(wanted))
    except OSError as error:
        raise errors.Failed(f"host {wanted.id}: its names cannot be written: {error.strerror}") from error


def furnish(wanted: WantedHost) -> None:
    """The folders that a host expects on its disk; all of them are its user's."""
    names = (*_DISK_FOLDERS, *((*_NODE_DISK_FOLDERS, *_NODE_DISK_USR) if wanted.node else ()))
    with folders.opened(wanted.places.disk) as disk:
        for name in names:
            folders.make(disk, *name.split("/"), uid=wanted.uid, mode=0o1777 if name == "tmp" else 0o755)
        folders.make(disk, "log", "units", uid=wanted.uid)
        if wanted.node:
            for name, target in _NODE_DISK_LINKS.items():
                folders.link(disk, name, target)
            _give(disk, Tree(_GIVEN_ON_DISK, {}, _GIVEN_LINKS_ON_DISK))


def show(wanted: WantedHost, ids: ranges.Range) -> None:
    """The folders of its views, where root of the node may go, and nobody else of the machine."""
    shown = wanted.places.shown
    mounts.unmount_under(shown)
    folders.make_at(shown.parent, mode=0o711)
    folders.make_at(shown, mode=0o710)
    os.chown(shown, 0, ids.first)
    for place, view in wanted.views.items():
        folders.make_at(shown / view.name)
        views.show(place, shown / view.name, wanted.places.users, read_only=view.read_only)


def hide(wanted: WantedHost) -> None:
    """The end of `show`: the host has its own by now. The folders stay: runc begins each command in one of them, and
    what lacks in /usr is below the node's.
    """
    mounts.unmount_under(wanted.places.shown)


def make_shape(made: Shape) -> None:
    """The files of a shape, whole or not at all; hosts of equal shape share them."""
    if made.folder.is_dir():
        return
    new = made.folder.with_name(f"{made.folder.name}.{os.urandom(8).hex()}")
    for name, text in made.files.items():
        above, _, last = name.rpartition("/")
        folders.make_at(new)
        with folders.opened(new) as top:
            folders.make(top, *(above.split("/") if above else ()))
            with folders.below(top, *(above.split("/") if above else ())) as within:
                folders.write(within, last, text)
    for name, target in made.links.items():
        (new / name).symlink_to(target)
    try:
        new.rename(made.folder)
    except OSError:
        folders.remove(new)
        if not made.folder.is_dir():
            raise
