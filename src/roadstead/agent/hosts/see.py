"""What hosts need to know about the machine, read once."""

from __future__ import annotations

import os
import re
import resource
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from roadstead.agent.hosts import mounts, shape
from roadstead.core import errors, program
from roadstead.core.instance import HOSTS_SERVICE

if TYPE_CHECKING:
    from roadstead.core.instance import Instance

CAPABILITIES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
"""By number. Source: linux/capability.h."""

ROOT_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC_SHARED = ("alternatives", "ld.so.cache", "services", "protocols", "ssl/certs/ca-certificates.crt")
"""What hosts see of the machine's /etc: nothing in it is secret or names the machine."""
NODE_DEVICES = ("kmsg", "fuse", "net/tun", "kvm")
OWN_USR = ("local", "libexec")
"""Folders of /usr to which others than the distribution write: programs of one's own, plugins of kubelet."""
NODE_USR = (*OWN_USR, "src", "lib/modules")
"""What workloads look for in /usr, whether there is anything in it or not."""
_NODE_TOOLS = ("runc", "s6-svscan", "setpriv", "mount", "nft")
"""Programs of the machine that nodes run."""


@dataclass(frozen=True)
class Device:
    """A character device that node hosts get."""

    path: str
    major: int
    minor: int


@dataclass(frozen=True)
class MachineFacts:
    """Facts of one machine. Paths of tools are the machine's; hosts see the same under /usr."""

    cgroup_version: Literal[1, 2]
    cgroup_roots: tuple[Path, ...]
    """The mount points of the hierarchies: one per controller on v1, the one on v2."""
    cgroup_parent: str
    """The cgroup that instances are made in, as an absolute path in each hierarchy, without a '/' at the end."""
    shaped: tuple[str, ...]
    """Those of shape.BINDS' places that this kernel has: one without NUMA has no /sys/devices/system/node."""
    capabilities: tuple[str, ...]
    runc: str
    svscan: str
    mkfs: str
    links: tuple[tuple[str, str], ...]
    """Links of the root folder on a machine with merged /usr: `("bin", "usr/bin")`."""
    folders: tuple[str, ...]
    """Those of ROOT_FOLDERS that are folders of their own, on a machine without merged /usr."""
    etc: tuple[str, ...]
    own_usr: tuple[str, ...]
    """Those of OWN_USR of which each node may have its own: no program is in them that nodes need."""
    usr_lacks: tuple[str, ...]
    """Those of NODE_USR that the machine does not have."""
    boot: tuple[str, ...]
    """Files of /boot that nodes see: how the kernel was built, where the machine says so."""
    os_release: str
    """The machine's os-release, whose programs nodes have; empty where it has none."""
    devices: tuple[Device, ...]
    sysctls: tuple[str, ...]
    """The folders of /proc/sys other than net, which belongs to the network namespace."""
    open_files: int
    """The most that a process may have."""
    cpus: tuple[int, ...]
    """The numbers of the processors that hosts may run on, sorted."""
    processor: str
    """The first processor's paragraph of /proc/cpuinfo."""


def machine_facts(instance: Instance) -> MachineFacts:
    """Reads the facts. Raises Failed when the cgroups are not mounted, NotFound when a tool or a cgroup is missing."""
    version, roots = hierarchies(mounts.see())
    own = Path("/proc/self/cgroup").read_text()
    links, folders = _root_folders()
    return MachineFacts(
        cgroup_version=version,
        cgroup_roots=roots,
        cgroup_parent=cgroup_parent(roots[0], service(version, own), instance),
        shaped=tuple(place for place in shape.BINDS.values() if Path(place).exists()),
        capabilities=capability_names(Path("/proc/self/status").read_text()),
        runc=_tool("runc"),
        svscan=_tool("s6-svscan"),
        mkfs=_tool("mkfs.ext4"),
        links=links,
        folders=folders,
        etc=tuple(name for name in ETC_SHARED if (Path("/etc") / name).exists()),
        own_usr=own_usr(shutil.which(name, path=program.PATH) for name in _NODE_TOOLS),
        usr_lacks=_usr_lacks(links),
        boot=tuple(name for name in (f"config-{os.uname().release}",) if (Path("/boot") / name).is_file()),
        os_release=_os_release(),
        devices=tuple(device for name in NODE_DEVICES if (device := _device(Path("/dev") / name))),
        sysctls=tuple(sorted(str(path) for path in Path("/proc/sys").iterdir() if path.name != "net")),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        cpus=tuple(sorted(os.sched_getaffinity(0))),
        processor=Path("/proc/cpuinfo").read_text().partition("\n\n")[0],
    )


def hierarchies(seen: tuple[mounts.Mount, ...]) -> tuple[Literal[1, 2], tuple[Path, ...]]:
    """The version of the cgroups that hosts get, and where their hierarchies are. v1 wins on a hybrid machine."""
    top = Path("/sys/fs/cgroup")
    found = [mount for mount in seen if mount.point.is_relative_to(top)]
    if any(mount.kind == "cgroup2" and mount.point == top for mount in found):
        return 2, (top,)
    roots = tuple(dict.fromkeys(mount.point for mount in found if mount.kind in ("cgroup", "cgroup2")))
    if not roots:
        raise errors.Failed(
            "no cgroups are mounted below /sys/fs/cgroup: hosts need them; `roadstead doctor` says how to mount them"
        )
    return 1, roots


def service(version: int, own: str) -> str:
    """The cgroup of the systemd service that this process is of, from its /proc/self/cgroup; empty: it is of none.

    Under systemd on v2 all but a service's own subtree belongs to systemd, so hosts go below a service of ours.
    Anywhere else the root of the hierarchy is the place, as on v1. Source: systemd's CGROUP_DELEGATION.
    """
    if version == 2:
        for line in own.splitlines():
            if line.startswith("0::") and (found := re.match(r"0::(/(?:[^/]+/)*roadstead[^/]*\.service)(/|\Z)", line)):
                return found[1]
    return ""


def beside(of: str) -> str:
    """The cgroup of the service that is there for hosts."""
    return f"{of.rpartition('/')[0]}/{HOSTS_SERVICE}"


def cgroup_parent(root: Path, of: str, instance: Instance) -> str:
    """Where this instance's hosts are. Raises NotFound when systemd has not made the place for them.

    Hosts that an earlier release has made in the agent's own service stay there for as long as any of them runs. (Where
    systemd did not keep the agent out of their way, those cgroups are not "domain" ones, and no host works.)
    """
    if not of:
        return ""
    before = root / of.lstrip("/") / instance.cgroup
    if _says(before / "cgroup.events", "populated 1") and _says(before / "cgroup.type", "domain"):
        return of
    if not (root / beside(of).lstrip("/")).is_dir():
        raise errors.NotFound(
            f"hosts have no cgroup: {HOSTS_SERVICE} does not run; `systemctl start {HOSTS_SERVICE}`, and see why it "
            f"ended: `systemctl status {HOSTS_SERVICE}`"
        )
    return beside(of)


def _says(file: Path, line: str) -> bool:
    try:
        return line in file.read_text().splitlines()
    except FileNotFoundError:
        return False


def capability_names(status: str) -> tuple[str, ...]:
    """The effective capabilities in a /proc/PID/status, as `CAP_...`, by number."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    bits = int(found[1], 16) if found else 0
    return tuple(f"CAP_{name}" for number, name in enumerate(CAPABILITIES.split()) if bits >> number & 1)


def _root_folders() -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    links = []
    folders = []
    for name in ROOT_FOLDERS:
        path = Path("/") / name
        if path.is_symlink():
            links.append((name, str(path.readlink()).lstrip("/")))
        elif path.is_dir():
            folders.append(name)
    return tuple(links), tuple(folders)


def own_usr(tools: Iterable[str | None]) -> tuple[str, ...]:
    """Those of OWN_USR that are folders and have none of these programs in them; `tools` are their paths."""
    there = tuple(tool for tool in tools if tool is not None)
    return tuple(
        name
        for name in OWN_USR
        if not (Path("/usr") / name).is_symlink() and not any(tool.startswith(f"/usr/{name}/") for tool in there)
    )


def _usr_lacks(links: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    # Without merged /usr the modules are in the root's own /lib.
    looked = NODE_USR if ("lib", "usr/lib") in links else tuple(name for name in NODE_USR if name != "lib/modules")
    return tuple(name for name in looked if not (Path("/usr") / name).is_dir())


def _os_release() -> str:
    """Source: os-release(5), which of the two counts."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.is_file():
            return path.read_text(errors="replace")
    return ""


def _device(path: Path) -> Device | None:
    try:
        now = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISCHR(now.st_mode):
        return None
    return Device(str(path), os.major(now.st_rdev), os.minor(now.st_rdev))


def _tool(name: str) -> str:
    path = shutil.which(name, path=program.PATH)
    if path is None:
        raise errors.NotFound(
            f"{name} is not installed on this machine: hosts need it; `roadstead doctor --fix` installs it", tool=name
        )
    return path
