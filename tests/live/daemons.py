"""What agents of nodes mount of their node, as public charts and manifests ask for it, in DaemonSets of our own image.

`AGENTS` are facts: each agent's host paths with the `type` that its chart gives them, if any, and what the agent does
there. A container for each of them looks at all of its paths, writes where the agent writes, says what is not so, and
stays. `daemon_sets` are those containers in one DaemonSet for each kind of agent; pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.live import shared

Does = Literal["folder", "file", "socket", "device", "lock", "write"]
"""Finds a folder, reads a file, finds a socket or a device, opens a file for writing, writes a file in a folder."""
Type = Literal["", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"]

_TESTS = {"folder": "-d", "file": "-f", "socket": "-S", "device": "-c", "lock": "-f", "write": "-d"}


@dataclass(frozen=True)
class HostPath:
    path: str
    does: Does = "folder"
    type: Type = ""
    propagation: Literal["", "HostToContainer", "Bidirectional"] = ""
    inside: str = ""
    """What is looked for in it, where that is not the path itself."""


@dataclass(frozen=True)
class Agent:
    kind: Literal["logs", "metrics", "storage", "network", "security"]
    paths: tuple[HostPath, ...]
    privileged: bool = False


def _or_create(path: str, does: Does = "write", propagation: Literal["", "Bidirectional"] = "") -> HostPath:
    return HostPath(path, does, "DirectoryOrCreate", propagation)


_CONTAINERD = HostPath("/run/containerd/containerd.sock", "socket", "Socket")
_XTABLES = HostPath("/run/xtables.lock", "lock", "FileOrCreate")
_ROOT = HostPath("/", propagation="HostToContainer")

DEFAULT = "default"

AGENTS = {
    "fluent-bit": Agent(
        "logs",
        (
            HostPath("/var/log", "write"),
            HostPath("/var/lib/docker/containers"),
            HostPath("/etc/machine-id", "file", "File"),
        ),
    ),
    "fluentd": Agent("logs", (HostPath("/var/log", "write"), HostPath("/var/lib/docker/containers"))),
    "promtail": Agent(
        "logs",
        (HostPath("/run/promtail", "write"), HostPath("/var/lib/docker/containers"), HostPath("/var/log/pods")),
    ),
    "journal-reader": Agent(
        "logs",
        (
            HostPath("/var/log/journal", type="Directory"),
            HostPath("/run/log/journal"),
            HostPath("/etc/timezone", "file", "File"),
        ),
    ),
    "node-exporter": Agent("metrics", (HostPath("/proc"), HostPath("/sys"), _ROOT)),
    "datadog": Agent(
        "metrics",
        (
            *(HostPath("/proc"), HostPath("/sys/fs/cgroup"), HostPath("/sys/fs/bpf"), _ROOT),
            *(HostPath(f"/etc/{name}", "file") for name in ("os-release", "passwd", "group")),
            *(HostPath(path) for path in ("/lib/modules", "/usr/src", "/etc/apt", "/etc/pki", "/etc/yum.repos.d")),
            HostPath("/var/run/containerd", "socket", inside="containerd.sock"),
            *(HostPath("/var/log/pods"), HostPath("/var/log/containers"), HostPath("/var/lib/docker/containers")),
            _or_create("/var/run/datadog"),
            _or_create("/var/tmp/datadog-agent/system-probe/build"),
            HostPath("/var/lib/datadog-agent/logs", "write"),
        ),
    ),
    "cloudwatch-agent": Agent("metrics", (_ROOT, _CONTAINERD, HostPath("/sys"), HostPath("/dev/disk"))),
    "node-problem-detector": Agent(
        "metrics",
        (HostPath("/var/log/"), HostPath("/dev/kmsg", "device"), HostPath("/etc/localtime", "file")),
        privileged=True,
    ),
    "ebs-csi": Agent(
        "storage",
        (
            HostPath("/var/lib/kubelet", "folder", "Directory", "Bidirectional"),
            _or_create("/var/lib/kubelet/plugins/ebs.csi.aws.com/"),
            HostPath("/var/lib/kubelet/plugins_registry/", "write", "Directory"),
            HostPath("/dev", "device", "Directory", inside="fuse"),
        ),
        privileged=True,
    ),
    "efs-csi": Agent(
        "storage",
        (
            HostPath("/var/lib/kubelet", "folder", "Directory", "Bidirectional"),
            *map(_or_create, ("/var/run/efs", "/var/amazon/efs", "/etc/amazon/efs")),
        ),
        privileged=True,
    ),
    "secrets-store-csi": Agent("storage", (_or_create("/etc/kubernetes/secrets-store-csi-providers"),)),
    "local-path": Agent("storage", (_or_create("/opt/local-path-provisioner"),)),
    "longhorn": Agent(
        "storage",
        (
            *(HostPath("/dev/"), HostPath("/proc/"), HostPath("/var/run/")),
            HostPath("/var/lib/longhorn/", "write", propagation="Bidirectional"),
            HostPath("/run/udev"),
        ),
        privileged=True,
    ),
    "of-ones-own": Agent(
        "storage",
        (
            *map(_or_create, ("/data", "/storage", "/local/disks", "/mnt/disks", "/srv/files", "/media/files")),
            HostPath("/home", "write", "Directory"),
            HostPath("/root", "write", "Directory"),
        ),
    ),
    "cilium": Agent(
        "network",
        (
            *map(_or_create, ("/var/run/cilium", "/opt/cni/bin", "/etc/cni/net.d")),
            _or_create("/sys/fs/bpf", "folder", "Bidirectional"),
            HostPath("/run/cilium/cgroupv2", "folder", "DirectoryOrCreate", "HostToContainer"),
            *(HostPath(path, type="Directory") for path in ("/proc", "/proc/sys/net", "/proc/sys/kernel")),
            *(HostPath("/lib/modules"), _XTABLES),
            HostPath("/etc/sysctl.d", "write", "Directory"),
        ),
        privileged=True,
    ),
    "calico": Agent(
        "network",
        (
            *(HostPath("/lib/modules"), _XTABLES, HostPath("/proc"), HostPath("/sys/fs/bpf", type="Directory")),
            _or_create("/var/run/calico", propagation="Bidirectional"),
            _or_create("/sys/fs/", "folder", "Bidirectional"),
            *map(_or_create, ("/var/lib/calico", "/opt/cni/bin", "/var/run/nodeagent")),
            *(HostPath(path, "write") for path in ("/etc/cni/net.d", "/var/log/calico/cni", "/var/lib/cni/networks")),
            _or_create("/usr/libexec/kubernetes/kubelet-plugins/volume/exec/nodeagent~uds"),
        ),
        privileged=True,
    ),
    "aws-node": Agent(
        "network",
        (
            *(HostPath("/opt/cni/bin", "write"), HostPath("/etc/cni/net.d", "write")),
            *map(_or_create, ("/var/log/aws-routed-eni", "/var/run/aws-node")),
            HostPath("/run/xtables.lock", "lock"),
        ),
    ),
    "node-local-dns": Agent("network", (_XTABLES,)),
    "falco": Agent(
        "security",
        (
            *(HostPath(path) for path in ("/boot", "/lib/modules", "/usr", "/etc", "/dev", "/sys/module", "/proc")),
            HostPath("/run/containerd/containerd.sock", "socket"),
        ),
        privileged=True,
    ),
    "tetragon": Agent(
        "security",
        (
            *map(_or_create, ("/var/run/cilium", "/var/run/tetragon", "/var/run/cilium/tetragon")),
            *(_or_create("/sys/fs/bpf", "folder"), HostPath("/proc", type="Directory"), _CONTAINERD),
        ),
        privileged=True,
    ),
    "kured": Agent("security", (HostPath("/var/run"),)),
    "kube-bench": Agent(
        "security",
        tuple(
            HostPath(path)
            for path in (
                *("/var/lib/cni", "/var/lib/kubelet", "/etc/systemd", "/lib/systemd", "/srv/kubernetes"),
                *("/etc/kubernetes", "/usr/bin", "/etc/cni/net.d/", "/opt/cni/bin/"),
            )
        ),
    ),
    "nvidia-device-plugin": Agent(
        "security",
        (
            HostPath("/var/lib/kubelet/device-plugins", "write", "Directory"),
            *(_or_create("/run/nvidia/mps"), HostPath("/run/nvidia/mps/shm"), _or_create("/var/run/cdi")),
        ),
        privileged=True,
    ),
    "installer": Agent("security", (HostPath("/usr/local/bin", "write", "Directory"), _or_create("/usr/local/nvidia"))),
    "autoscaler": Agent("security", (HostPath("/etc/ssl/certs/ca-bundle.crt", "file"),)),
}

KINDS = tuple(dict.fromkeys(agent.kind for agent in AGENTS.values()))


def daemon_sets(
    node: str = "", only: Collection[str] = tuple(AGENTS), namespace: str = DEFAULT
) -> tuple[dict[str, Any], ...]:
    """One for each kind of these agents, on all nodes or on the one of that name."""
    chosen = {name: agent for name, agent in AGENTS.items() if name in only}
    kinds = dict.fromkeys(agent.kind for agent in chosen.values())
    return tuple(
        _daemon_set(kind, {name: agent for name, agent in chosen.items() if agent.kind == kind}, node, namespace)
        for kind in kinds
    )


def written() -> tuple[str, ...]:
    """The files, as the node sees them, to which a line is added whenever an agent is started."""
    files = {_file(name, one) for name, agent in AGENTS.items() for one in agent.paths if one.does == "write"}
    return tuple(sorted(files))


def lasts(file: str) -> bool:
    """Whether it is still there after its node was started anew: what is in /run is not."""
    return not file.startswith(("/run/", "/var/run/"))


def _file(agent: str, of: HostPath) -> str:
    return f"{of.path.rstrip('/')}/.{agent}"


def _daemon_set(kind: str, agents: Mapping[str, Agent], node: str, namespace: str) -> dict[str, Any]:
    labels = {"app": f"agents-{kind}"}
    spec = {
        # As those that look at a node's network and processes do.
        "hostNetwork": kind in ("metrics", "network"),
        "hostPID": kind in ("metrics", "security"),
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/hostname": node} if node else {"kubernetes.io/os": "linux"},
        "containers": [_container(name, agent, namespace) for name, agent in agents.items()],
        "volumes": [
            {"name": f"{name}-{number}", "hostPath": {"path": one.path, "type": one.type}}
            for name, agent in agents.items()
            for number, one in enumerate(agent.paths)
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": labels["app"], "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _container(name: str, agent: Agent, namespace: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": shared.IMAGE,
        "command": ["sh", "-c", script(name, agent, namespace)],
        "securityContext": {"privileged": agent.privileged},
        # Asked until it is so for the first time, and never again.
        "startupProbe": {"exec": {"command": ["cat", "/up"]}, "periodSeconds": 1, "failureThreshold": 60},
        "volumeMounts": [
            {
                "name": f"{name}-{number}",
                "mountPath": f"/host/{number}",
                **({"mountPropagation": one.propagation} if one.propagation else {}),
            }
            for number, one in enumerate(agent.paths)
        ],
    }


def script(name: str, agent: Agent, namespace: str) -> str:
    """What its container runs: it ends with words on what is not as its agent needs it."""
    # Those of another namespace are not counted.
    mark = f".{name}" if namespace == DEFAULT else f".{name}-{namespace}"
    lines = ["set -u", 'no() { echo "$*"; exit 1; }']
    for number, one in enumerate(agent.paths):
        at = f"/host/{number}" + (f"/{one.inside}" if one.inside else "")
        said = re.sub(r"[^\w/.~-]", "", one.path)
        lines.append(f"test {_TESTS[one.does]} {at} || no {said} is no {one.does}")
        if one.does == "file":
            lines.append(f"cat {at} >/dev/null || no {said} cannot be read")
        elif one.does == "lock":
            lines.append(f": >>{at} || no {said} cannot be opened")
        elif one.does == "write":
            lines.append(f"echo started >>{at}/{mark} || no {said} cannot be written to")
    return "\n".join((*lines, ": >/up", "exec sleep 1000000"))
