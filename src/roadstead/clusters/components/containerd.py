"""containerd on a node: configuration, network of pods, environment.

Source: containerd 2.3 docs/cri/config.md (configuration version 3). Everything it keeps is on the node's disk below
/var/lib/containerd, everything of one life of the node below /run.
"""

from __future__ import annotations

import json

from roadstead.clusters.components import facts, registries
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import program

SOCKET = "/run/containerd/containerd.sock"
HEALTH_PORT = 1338
"""Its figures, on loopback. Source: containerd 2.3, docs/ops.md."""
CNI_ENGINE = "cni-1.0"
"""The engine whose one component, `roadstead-cni`, the runtime calls for each pod."""

_FILES = layout.files(layout.CONTAINERD)

# Snapshotters that need kernels or devices that a node has not, and interfaces that nothing here uses: each costs
# time at the start, and NRI would let a pod with the host's /run change all other containers.
_WITHOUT = (
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.nri.v1.nri",
    "io.containerd.tracing.processor.v1.otlp",
)

# Source of these: containerd 2.3, pkg/oci/spec.go and mounts.go, `ctr oci spec`.
_CAPABILITIES = """CHOWN DAC_OVERRIDE FSETID FOWNER NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT
KILL AUDIT_WRITE"""
_MOUNTS = (
    ("/proc", "proc", "proc", "nosuid noexec nodev"),
    ("/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
    ("/dev/pts", "devpts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
    ("/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k"),
    ("/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev"),
    ("/sys", "sysfs", "sysfs", "nosuid noexec nodev ro"),
    ("/run", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
)
_MASKED = """/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list
/proc/timer_stats /proc/sched_debug /sys/firmware /sys/devices/virtual/powercap /proc/scsi"""
_READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"

# `restrict_oom_score_adj` always: where CAP_SYS_RESOURCE is missing no container starts without it, and where it is
# there, nodes share one kernel, so that a guaranteed pod's -997 would shield it at the cost of other nodes and of the
# machine itself. `use_internal_loopback` spares a second CNI program for each pod.
_CONFIG = """version = 3
root = "{state}"
state = "/run/containerd"
disabled_plugins = {without}
[grpc]
address = "{socket}"
[metrics]
address = "127.0.0.1:{health}"
[plugins."io.containerd.internal.v1.opt"]
path = "{state}/opt"
[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = {pause}
{mirrors}[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni}"]
conf_dir = "{files}"
max_conf_num = 1
use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = "{files}/container.json"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def unit(node: facts.Node, of: registries.Registries, digests: facts.Digests) -> desired.Unit:
    """The unit `containerd` of a node. A restart of it leaves all containers running."""
    return desired.Unit(
        engine=node.engines.containerd,
        component="containerd",
        flags={"config": f"{_FILES}/config.toml"},
        environment={
            "PATH": _path(node.engines),
            **registries.environment(of, _FILES, (node.vpc_cidr, node.service_cidr)),
        },
        environment_file=registries.PROXIES if registries.secrets(of) else None,
        files={
            "config.toml": desired.UnitFile(content=config(node, of)),
            "container.json": desired.UnitFile(content=container()),
            "10-roadstead.conflist": desired.UnitFile(content=network(), on_change="nothing"),
            **registries.files(of, digests),
        },
        # It listens there when all its plugins are loaded. To start `ctr` for each question costs a node 0.3 s.
        ready=desired.TcpProbe(port=HEALTH_PORT),
    )


def _path(engines: facts.Engines) -> str:
    """The shim is beside containerd; runc is the machine's where there is none of ours."""
    own = (engines.runc,) if engines.runc else ()
    return ":".join((*(layout.engine(name) for name in (*own, engines.containerd)), program.PATH))


def config(node: facts.Node, of: registries.Registries) -> str:
    """config.toml."""
    return _CONFIG.format(
        without=json.dumps(list(_WITHOUT)),
        socket=SOCKET,
        health=HEALTH_PORT,
        pause=json.dumps(node.pause_image),
        mirrors=registries.table(of),
        cni=layout.engine(CNI_ENGINE),
        state=layout.state(layout.CONTAINERD),
        files=_FILES,
    )


def container() -> str:
    """The specification that those of all containers are made from: containerd's own less CAP_MKNOD.

    Limits of resources are left out, as containerd itself does for pods. What a pod asks for, profiles of seccomp and
    AppArmor among it, is put in by containerd.
    """
    kept = [f"CAP_{name}" for name in _CAPABILITIES.split()]
    capabilities = dict.fromkeys(("bounding", "effective", "permitted"), kept)
    whole = {
        "ociVersion": "1.3.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "capabilities": capabilities,
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": at, "type": kind, "source": source, "options": options.split()}
            for at, kind, source, options in _MOUNTS
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "cgroupsPath": "/default",
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")],
            "maskedPaths": _MASKED.split(),
            "readonlyPaths": _READ_ONLY.split(),
        },
    }
    return json.dumps(whole, indent=1) + "\n"


def network() -> str:
    """The list of CNI programs: one, that relays to the agent. containerd sees a change of the file by itself."""
    plugin = {"type": "roadstead-cni", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "roadstead", "plugins": [plugin]}, indent=1) + "\n"
