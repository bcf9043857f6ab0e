"""Pure checks of the kernel, the rights of root and the control groups: facts to findings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadstead.machine.doctor import findings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from roadstead.machine.doctor import facts

OLDEST = (5, 13)
"""kube-proxy's nftables mode asks for Linux 5.13 (KEP-3866)."""

USERS = (6, 3)
"""A tmpfs, which /run is, can be shown with other owners (mount_setattr(2))."""

PRIVILEGED = (
    "Run Roadstead as root on the machine itself, or in a virtual machine. In a container it needs all rights: "
    "`docker run --privileged --cgroupns=host ...`, or `security.privileged` and `security.nesting` in LXC."
)


@dataclass(frozen=True)
class Needed:
    """Something that the kernel must be able to do. `modules` carry it where it is not built in."""

    title: str
    purpose: str
    option: str
    modules: str = ""


def _namespace(kind: str, purpose: str, option: str) -> Needed:
    return Needed(f"{kind} namespaces", purpose, option)


FEATURES: Mapping[str, Needed] = {
    "namespace-mount": _namespace("mount", "each host has a root tree of its own", "CONFIG_NAMESPACES"),
    "namespace-uts": _namespace("UTS", "each host has a name of its own", "CONFIG_UTS_NS"),
    "namespace-ipc": _namespace("IPC", "hosts share no memory", "CONFIG_IPC_NS"),
    "namespace-pid": _namespace("PID", "each host has processes of its own", "CONFIG_PID_NS"),
    "namespace-network": _namespace("network", "each host and network has links of its own", "CONFIG_NET_NS"),
    "namespace-cgroup": _namespace("cgroup", "each host sees its own control groups", "CONFIG_CGROUPS"),
    "overlay": Needed("overlay file system", "containers share images by it", "CONFIG_OVERLAY_FS", "overlay"),
    "veth": Needed("veth links", "hosts are wired by them", "CONFIG_VETH", "veth"),
    "nft": Needed(
        "nftables, family inet",
        "all rules of networks are written in it",
        "CONFIG_NF_TABLES_INET",
        "nf_tables",
    ),
    "nft-fib": Needed("nftables: fib", "Services ask where a packet goes", "CONFIG_NFT_FIB_INET", "nft_fib_inet"),
    "nft-nat": Needed(
        "nftables: NAT", "Services and ways to the world rewrite addresses", "CONFIG_NFT_NAT", "nft_chain_nat"
    ),
    "nft-masquerade": Needed("nftables: masquerade", "nodes reach the world by it", "CONFIG_NFT_MASQ", "nft_masq"),
    "nft-ct": Needed("nftables: ct", "rules know connections by it", "CONFIG_NFT_CT", "nft_ct"),
    "nft-reject": Needed(
        "nftables: reject", "what may not connect is told so", "CONFIG_NFT_REJECT_INET", "nft_reject_inet"
    ),
    "nft-numgen": Needed("nftables: numgen", "Services pick an endpoint by it", "CONFIG_NFT_NUMGEN", "nft_numgen"),
}

CAPABILITIES: Mapping[str, str] = {
    "CAP_SYS_ADMIN": "no namespaces and no mounts, so no hosts",
    "CAP_NET_ADMIN": "no links, addresses and rules, so no networks",
    "CAP_SYS_CHROOT": "hosts cannot be given a root tree of their own",
    "CAP_SYS_PTRACE": "the namespaces of hosts that run without root cannot be entered",
    "CAP_MKNOD": "hosts cannot be given devices",
    "CAP_SETUID": "control hosts cannot be run without root",
    "CAP_SETGID": "control hosts cannot be run without root",
    "CAP_CHOWN": "hosts cannot be given files of their own",
    "CAP_DAC_OVERRIDE": "files of hosts cannot be looked after",
    "CAP_FOWNER": "files of hosts cannot be looked after",
    "CAP_KILL": "processes of hosts cannot be stopped",
}
"""Without these nothing starts."""

CONTROLLERS_V1 = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids")
CONTROLLERS_V2 = ("cpu", "cpuset", "memory", "pids")
"""What runc and kubelet refuse to run without."""


def version(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    """`kernel/version`: whether it is new enough."""
    title = f"Linux {seen.kernel.release}"
    numbers = re.match(r"(\d+)\.(\d+)", seen.kernel.release)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
        yield findings.Finding(
            "kernel/version",
            "blocks",
            title,
            "Services of Kubernetes are made by kube-proxy's nftables mode, which needs Linux 5.13 or newer.",
            "Install a newer kernel of your distribution, or a newer release of it, and reboot.",
        )
        return
    yield findings.Finding("kernel/version", "ok", title)


def users(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    """Whether root of a node is root of the machine. The agent tries it; here the version alone decides."""
    numbers = re.match(r"(\d+)\.(\d+)", seen.kernel.release)
    name = "kernel/users-of-nodes"
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= USERS:
        yield findings.Finding(name, "ok", "nodes can have users of their own")
        return
    yield findings.Finding(
        name,
        "warning",
        "nodes have no users of their own",
        "Root of a node is root of the machine: who makes a privileged pod can take the machine, and user n of a pod "
        f"is user n of the machine. Linux {USERS[0]}.{USERS[1]} or newer shows files with other owners, as is needed.",
        "Boot a newer kernel of your distribution, where it has one; nodes that are made then have users of their own.",
    )


def _feature_remedy(seen: facts.DoctorFacts, needed: Needed) -> str:
    if not needed.modules:
        return (
            f"{PRIVILEGED} On the machine itself: a kernel with {needed.option} that `sysctl user` does not forbid it."
        )
    if seen.kernel.modules is None:
        return f"This kernel loads no modules: boot one that is built with {needed.option}."
    return f"Run `sudo modprobe {needed.modules}`; where that fails, boot a kernel with {needed.option}."


def features(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    """`kernel/NAME` for each of FEATURES, by trying it; a warning where that was not possible."""
    for feature in seen.kernel.features:
        needed = FEATURES[feature.name]
        name = f"kernel/{feature.name}"
        if feature.works:
            yield findings.Finding(name, "ok", needed.title)
        elif feature.works is None:
            yield findings.Finding(
                name,
                "warning",
                f"{needed.title}: not tried",
                f"It is needed ({needed.purpose}), but could not be tried: {feature.detail}.",
                "Look again as root, with all programs installed: `sudo roadstead doctor`.",
            )
        else:
            yield findings.Finding(
                name,
                "blocks",
                f"no {needed.title}",
                f"It is needed ({needed.purpose}). What was tried failed: {feature.detail or 'without a word'}.",
                _feature_remedy(seen, needed),
            )
    if not seen.kernel.seccomp:
        yield findings.Finding(
            "kernel/seccomp",
            "blocks",
            "no seccomp",
            "Pods have a profile of it, and start with none else.",
            "Boot a kernel with CONFIG_SECCOMP_FILTER.",
        )
    if not seen.kernel.kmsg:
        yield findings.Finding(
            "kernel/kmsg",
            "warning",
            "no /dev/kmsg",
            "Kubelets read the kernel's messages there and do not start without it: control planes run, nodes do not.",
            "In a container give it the device (`docker run --device /dev/kmsg ...`).",
        )


def capabilities(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    """`rights/...`: what root lacks here, as in a container."""
    missing = [name for name in CAPABILITIES if name not in seen.capabilities]
    for name in missing:
        yield findings.Finding(
            f"rights/{name}", "blocks", f"no {name}", f"Without it: {CAPABILITIES[name]}.", PRIVILEGED
        )
    if seen.user_namespace:
        yield findings.Finding(
            "rights/user-namespace",
            "blocks",
            "root here is not root of the machine",
            "User ids are mapped (a rootless or unprivileged container): devices, limits and most mounts of nodes "
            "are refused.",
            PRIVILEGED,
        )
    if "CAP_SYS_RESOURCE" not in seen.capabilities:
        yield findings.Finding(
            "rights/CAP_SYS_RESOURCE",
            "warning",
            "no CAP_SYS_RESOURCE",
            "Limits cannot be raised and no process can be kept from the kernel's out-of-memory killer: containers "
            "run, but system processes are chosen like any other when memory runs out.",
            PRIVILEGED,
        )
    elif not missing:
        yield findings.Finding("rights/capabilities", "ok", "all capabilities that are needed")


def cgroups(seen: facts.DoctorFacts) -> Iterator[findings.Finding]:
    """Version, controllers, delegation."""
    groups = seen.cgroups
    match groups.version:
        case "none":
            yield findings.Finding(
                "cgroups/version",
                "blocks",
                "no control groups are mounted",
                "Hosts and containers are limited and found by them.",
                "Mount them: `sudo mount -t cgroup2 none /sys/fs/cgroup`. " + PRIVILEGED,
            )
            return
        case "v2":
            yield findings.Finding("cgroups/version", "ok", "cgroup v2")
        case "v1" | "hybrid":
            beside = ", with a v2 tree beside it" if groups.version == "hybrid" else ""
            yield findings.Finding(
                "cgroups/version",
                "warning",
                f"cgroup v1{beside}",
                "It works, but Kubernetes is giving it up, and some features (memory QoS, swap) need v2.",
                "With systemd, boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line.",
            )
    needed = CONTROLLERS_V2 if groups.version == "v2" else CONTROLLERS_V1
    missing = [name for name in needed if name not in groups.controllers]
    for name in missing:
        yield findings.Finding(
            f"cgroups/{name}",
            "blocks",
            f"no controller {name}",
            "runc and kubelet do not run without it.",
            f"Boot with `cgroup_enable={name}` on the kernel's command line, or with a kernel that has it. "
            f"{PRIVILEGED}",
        )
    if not missing:
        yield findings.Finding("cgroups/controllers", "ok", "controllers " + ", ".join(needed))
    yield _delegation(groups, needed)


def _delegation(groups: facts.Cgroups, needed: tuple[str, ...]) -> findings.Finding:
    name = "cgroups/delegation"
    if groups.read_only:
        return findings.Finding(
            name,
            "blocks",
            "control groups are read-only",
            f"No group for hosts can be made in {', '.join(groups.read_only)}.",
            PRIVILEGED,
        )
    held_back = [controller for controller in needed if controller not in groups.enabled]
    if groups.version == "v2" and groups.crowded and held_back:
        return findings.Finding(
            name,
            "blocks",
            "controllers cannot be handed to new groups",
            f"The top group here holds processes itself, and so cannot hand on {', '.join(held_back)} (the kernel's "
            "rule of no processes in inner groups).",
            "Move them first: `mkdir -p /sys/fs/cgroup/init && for pid in $(cat /sys/fs/cgroup/cgroup.procs); do "
            "echo $pid > /sys/fs/cgroup/init/cgroup.procs; done`, or start the container with --cgroupns=host.",
        )
    return findings.Finding(name, "ok", "groups can be made and limited")
