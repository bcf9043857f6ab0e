"""A host as an OCI bundle: `config.json` as a pure function of facts.

Source: the OCI runtime specification 1.0.2 (config.md, config-linux.md), kept to what runc 1.1 understands. What a host
may do is its privilege: unprivileged ones have one user, no capability and no way to new ones; those that run
containers of their own are privileged: in a user namespace of their own where the machine can, where all but a few
devices are kept from them; else on the machine, where devices must be allowed: nested containers ask for `a *:* rwm`.
What it is for is its role: a node has its root folder on its disk, and finds there what workloads look for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from roadstead.agent.hosts import cgroups, shape, wanted
from roadstead.contract import layout

if TYPE_CHECKING:
    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.agent.hosts.wanted import WantedHost
    from roadstead.contract.messages import desired

Json = dict[str, object]

MADE_FROM = "roadstead.made-from"
"""The annotation that carries the digest of what a host was made from. runc keeps it in its record."""

STORES = "/stores"
"""Where a node sees the stores of images, which its disk leads to."""

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SOFT_FILES = 65536
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SYSCTLS = {
    # A dead peer is given up after seconds, not after a quarter of an hour.
    "net.ipv4.tcp_retries2": "5",
    "net.ipv4.tcp_syn_retries": "2",
}


_UNCOVERED: list[Json] = [
    {"destination": f"/run/kernel/{kind}", "type": kind, "source": kind, "options": ["nosuid", "nodev", "noexec"]}
    for kind in ("proc", "sysfs")
]
"""In a user namespace the kernel mounts neither for a pod unless one is there that nothing covers."""


def config(made: WantedHost, facts: MachineFacts) -> Json:
    """The `config.json` of a host."""
    return {
        "ociVersion": "1.0.2",
        "annotations": {MADE_FROM: wanted.digest(made.host, made.uid)},
        "hostname": made.host.hostname,
        "root": {"path": str(made.seen(made.root)), "readonly": not made.node},
        "process": _process(made, facts),
        "mounts": _mounts(made, facts),
        "linux": _linux(made, facts),
    }


def _process(made: WantedHost, facts: MachineFacts) -> Json:
    kept = list(facts.capabilities) if made.privileged else []
    return {
        "terminal": False,
        "user": {"uid": made.uid, "gid": made.uid},
        "args": ["/init"] if made.node else [facts.svscan, layout.SERVICES],
        "env": [_PATH, "HOME=/var" if made.uid else "HOME=/root"],
        "cwd": "/",
        "capabilities": {"bounding": kept, "effective": kept, "permitted": kept, "inheritable": [], "ambient": []},
        "noNewPrivileges": not made.privileged,
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": facts.open_files, "soft": min(facts.open_files, _SOFT_FILES)}],
    }


def _linux(made: WantedHost, facts: MachineFacts) -> Json:
    spaces: list[Json] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "cgroup")]
    common: Json = {
        "namespaces": [*spaces, {"type": "network", "path": str(made.places.netns)}, *_users(made)],
        "cgroupsPath": made.cgroup,
        "resources": _resources(made, facts),
        "rootfsPropagation": "rslave",
    }
    # Its root folder is on its disk; what is done to it is done by way of the root.
    own = [f"/var/{made.root.name}"] if made.node else []
    sysctls = _SYSCTLS | ({"net.ipv4.ip_forward": "1"} if made.node else {})
    if made.privileged:
        return common | {
            "sysctl": sysctls,
            "devices": [
                {"path": d.path, "type": "c", "major": d.major, "minor": d.minor, "fileMode": 0o600}
                for d in facts.devices
            ],
            "maskedPaths": own,
            "readonlyPaths": [*facts.sysctls, "/proc/sysrq-trigger"],
        }
    return common | {
        # Without capabilities an edge's proxy could not listen on 443.
        "sysctl": sysctls | {"net.ipv4.ip_unprivileged_port_start": "0"},
        "maskedPaths": [*_MASKED, *own],
        "readonlyPaths": list(_READ_ONLY),
    }


def _resources(made: WantedHost, facts: MachineFacts) -> Json:
    limits: desired.Limits = made.host.limits
    resources: Json = {"devices": _devices(made, facts)}
    if limits.memory is not None:
        resources["memory"] = {"limit": limits.memory}
    cpu: Json = {}
    if limits.cpus is not None:
        cpu |= {"period": cgroups.PERIOD, "quota": max(int(limits.cpus * cgroups.PERIOD), 1000)}
    if facts.cgroup_version == 1:
        cpu["shares"] = cgroups.shares(limits.cpu_weight)
    else:
        resources["unified"] = {"cpu.weight": str(limits.cpu_weight)}
    if cpu:
        resources["cpu"] = cpu
    return resources


def _users(made: WantedHost) -> list[Json]:
    return [] if made.ids is None else [{"type": "user", "path": str(made.places.users)}]


def _devices(made: WantedHost, facts: MachineFacts) -> list[Json]:
    """Which a host may use. runc adds those that every container has."""
    if made.privileged and made.ids is None:
        # Its containers may ask for all, and may make any: but a disk is another node's, or the machine's.
        return [{"allow": True, "access": "rwm"}, {"allow": False, "type": "b", "access": "rw"}]
    own = facts.devices if made.privileged else ()
    none: Json = {"allow": False, "access": "rwm"}
    return [none, *({"allow": True, "type": "c", "major": d.major, "minor": d.minor, "access": "rw"} for d in own)]


def _mounts(made: WantedHost, facts: MachineFacts) -> list[Json]:
    writing = "rw" if made.privileged else "ro"
    # What is in /sys is the machine's; root of a node that has users of its own may write to none of it.
    of_machine = "ro" if made.ids is None else "rw"
    owner = [f"uid={made.uid}", f"gid={made.uid}"]
    small = "size=512m" if made.node else "size=64m"
    safe = ["nosuid", "nodev"]
    own = _own(made)
    terminals = ["newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    return [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", *terminals),
        _mount("/dev/shm", "tmpfs", "shm", *safe, "noexec", "mode=1777", small),
        _mount("/dev/mqueue", "mqueue", "mqueue", *safe, "noexec"),
        _mount("/sys", "sysfs", "sysfs", *safe, "noexec", of_machine),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", *safe, "noexec", "relatime", writing),
        _mount("/run", "tmpfs", "tmpfs", *safe, "mode=755", small, *owner),
        _mount("/tmp", "tmpfs", "tmpfs", *safe, "mode=1777", small),
        *_programs(made, facts),
        *(_bind(f"/etc/{name}", f"/etc/{name}", "ro", *safe) for name in facts.etc),
        _bind(layout.ENGINES, made.engines, "ro", *safe),
        _bind("/var", made.places.disk, "rw", *own, *(() if made.node else safe)),
        _bind("/var/log/units", made.places.log, "rw", *own, *safe, "noexec"),
        _bind(layout.FILES, made.seen(made.places.files), "ro", *safe, "noexec"),
        _bind("/lent", made.seen(made.lent), "ro", *safe, "noexec"),
        _bind(layout.SERVICES, made.places.service, "rw", *own, *safe),
        *((_bind(layout.PODS, made.seen(made.pods), "ro", *safe, "noexec"),) if made.node else ()),
        # What is in it is mounted for pods, which may have programs that change their user.
        *((_bind(STORES, made.seen(made.stores), "ro", "nodev"),) if made.node else ()),
        *(
            _bind(at, made.shape.folder / name, "ro")
            for name, at in shape.BINDS.items()
            if made.shape and at in facts.shaped
        ),
        *(() if made.ids is None else _UNCOVERED),
    ]


def _own(made: WantedHost) -> list[str]:
    """Options of what is the host's own: the node's users are its owners. What is of the machine belongs to nobody."""
    return [] if made.ids is None else ["idmap"]


def _programs(made: WantedHost, facts: MachineFacts) -> list[Json]:
    """The machine's programs. A node has folders of its own among them, and finds those that workloads look for."""
    plain = [_bind(f"/{name}", f"/{name}", "ro") for name in facts.folders]
    if not made.node:
        return [_bind("/usr", "/usr", "ro"), *plain]
    # Only where something lacks: what is changed below a mount of this kind is not seen for certain.
    lower = _mount("/usr", "overlay", "overlay", "ro", f"lowerdir={made.usr}:/usr")
    return [
        lower if facts.usr_lacks else _bind("/usr", "/usr", "ro"),
        *plain,
        *(_bind(f"/usr/{name}", made.places.disk / f"usr{name}", "rw", *_own(made)) for name in facts.own_usr),
        *(_bind(f"/boot/{name}", f"/boot/{name}", "ro", "nosuid", "nodev", "noexec") for name in facts.boot),
    ]


def _mount(destination: str, kind: str, source: str, *options: str) -> Json:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _bind(destination: str, source: object, *options: str) -> Json:
    return _mount(destination, "bind", str(source), "bind", *options)
