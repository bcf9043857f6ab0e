"""A node by hand: containerd and kubelet started by a shell script, and a network of pods of a dozen lines.

It joins the bare floor, in the floor's namespace of the network, with mounts, processes and cgroups of its own. What
kubelet writes to the whole machine's settings is caught by files in their place.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testkit import kube, waiting
from tests.live import conftest

from bench import cost, floor
from roadstead import engine
from roadstead.agent.hosts import see
from roadstead.agent.links import namespaces
from roadstead.core import instance
from roadstead.engine import images

NODE = "by-hand"
_ADDRESS = "10.88.0.1"
PAUSE = "roadstead.dev/pause:1.0"
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}

_OUTER = """
set -eu
for c in $CGROUPS; do
  mkdir -p "$c/$NAME"
  for f in cpuset.cpus cpuset.mems; do [ ! -e "$c/$f" ] || cat "$c/$f" > "$c/$NAME/$f"; done
  echo $$ > "$c/$NAME/cgroup.procs"
done
exec unshare --mount --pid --ipc --uts --cgroup --fork --kill-child sh "$D/inner.sh"
"""

_INNER = """
set -eu
mount --make-rprivate /
mount -t proc proc /proc
hostname by-hand
cd "$D"
for s in $SYSCTLS; do mount --bind "$D/sys/$s" "/proc/sys/$s"; done
if [ "$VERSION" = 1 ]; then
  mount -t tmpfs tmpfs /sys/fs/cgroup
  for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
    mkdir "/sys/fs/cgroup/$c"; mount -t cgroup -o "$c" cgroup "/sys/fs/cgroup/$c"
  done
  mkdir /sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
else
  umount -l /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
mount -t tmpfs tmpfs /run
mkdir -p /var/lib/kubelet /var/log/pods /var/log/containers "$D/lib/kubelet" "$D/lib/pods" "$D/lib/containers"
mount --bind "$D/lib/kubelet" /var/lib/kubelet; mount --make-rshared /var/lib/kubelet
mount --bind "$D/lib/pods" /var/log/pods; mount --bind "$D/lib/containers" /var/log/containers
"$CONTAINERD/containerd" --config "$D/config.toml" > "$D/containerd.log" 2>&1 &
until "$CONTAINERD/ctr" -a /run/containerd/containerd.sock version > /dev/null 2>&1; do sleep 0.05; done
"$CONTAINERD/ctr" -a /run/containerd/containerd.sock -n k8s.io images import --local "$D/pause.tar" > /dev/null
exec "$KUBELET" --config "$D/kubelet.yaml" --kubeconfig "$D/kubeconfig" --hostname-override by-hand \
  --node-ip "$ADDRESS" --root-dir /var/lib/kubelet > "$D/kubelet.log" 2>&1
"""

# An address is the next number; what the interface is called follows from the container.
_CNI = """#!/bin/sh
set -eu
cat > /dev/null
N="h$(printf %s "$CNI_CONTAINERID" | cut -c1-12)"
case "$CNI_COMMAND" in
ADD)
  I=$(flock @D@/number sh -c 'n=$(cat @D@/number); echo $((n + 1)) > @D@/number; echo $n')
  A="10.88.$((I / 250 + 1)).$((I % 250 + 2))"
  P=$(basename "$CNI_NETNS")
  mkdir -p /run/netns
  [ -e "/run/netns/$P" ] || ln -s "$CNI_NETNS" "/run/netns/$P"
  ip link add "$N" type veth peer name eth0 netns "$P"
  ip link set "$N" up
  ip route add "$A/32" dev "$N" src @ADDRESS@
  ip -n "$P" link set eth0 up
  ip -n "$P" address add "$A/32" dev eth0
  ip -n "$P" route add 169.254.1.1 dev eth0
  ip -n "$P" route add default via 169.254.1.1
  echo '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"'"$CNI_NETNS"'"}],' \
    '"ips":[{"address":"'"$A"'/32","interface":0}]}' ;;
DEL) ip link delete "$N" 2> /dev/null || true ;;
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}' ;;
esac
"""

_CONTAINERD = """version = 3
root = "@D@/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.internal.v1.opt"]
path = "@D@/lib/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "@PAUSE@"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["@D@/cni"]
conf_dir = "@D@/net.d"
use_internal_loopback = true
"""


@dataclass
class Node:
    """A node that is Ready."""

    cgroups: tuple[Path, ...]

    def cpu(self) -> float:
        """Seconds used by all of it, its pods too."""
        return cost.cgroup_cpu(self.cgroups)


@contextlib.contextmanager
def network_namespace(name: str) -> Iterator[Path]:
    path = conftest.machine_namespace(name)
    namespaces.create(path)
    try:
        yield path
    finally:
        namespaces.delete(path)


@contextlib.contextmanager
def node(plane: floor.Floor) -> Iterator[Node]:
    """Joined to the floor, whose namespace the calling thread is in; it ends with the block."""
    facts = see.machine_facts(instance.Instance())
    name = f"bench-{secrets.token_hex(3)}"
    own = tuple(root / facts.cgroup_parent.lstrip("/") / name for root in facts.cgroup_roots)
    with tempfile.TemporaryDirectory(prefix="roadstead-by-hand-") as folder:
        environment = _files(plane, Path(folder)) | {
            "NAME": name,
            "CGROUPS": " ".join(str(one.parent) for one in own),
            "VERSION": str(facts.cgroup_version),
        }
        subprocess.run(["ip", "address", "add", f"{_ADDRESS}/32", "dev", "lo"], check=True)
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", _OUTER], env=environment, stdin=subprocess.DEVNULL
        )
        try:
            path = f"/api/v1/nodes/{NODE}"
            api = plane.api()
            waiting.until(f"the node by hand (see {folder})", lambda: _ready(api.get(path)), 180)
            yield Node(own)
        finally:
            process.kill()
            process.wait(10)
            for one in own:
                _remove(one)
            subprocess.run(["ip", "address", "del", f"{_ADDRESS}/32", "dev", "lo"], check=False)


def _ready(found: kube.Json) -> bool:
    conditions = found.get("status", {}).get("conditions", [])
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def _remove(group: Path) -> None:
    """A cgroup, depth first, when the last of its processes is gone."""
    deadline = time.monotonic() + 10
    for below in (*sorted((p for p in group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)), group):
        while below.exists():
            try:
                below.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _files(plane: floor.Floor, at: Path) -> dict[str, str]:
    """Everything that the scripts read; the environment for them."""
    pause = engine.get("pause")
    images.write(images.pause(pause.components["pause"], pause.version, pause.arch), at / "pause.tar")
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"x509": {"clientCAFile": f"{plane.folder}/ca.pem"}},
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
        "maxPods": 110,
        "registerWithTaints": [],
    }
    words = {"@D@": str(at), "@ADDRESS@": _ADDRESS, "@PAUSE@": PAUSE}

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    for folder in ("cni", "net.d", "lib", "sys/vm", "sys/kernel/keys"):
        (at / folder).mkdir(parents=True)
    network = {"cniVersion": "1.0.0", "name": "by-hand", "plugins": [{"type": "by-hand"}]}
    files = {
        "inner.sh": _INNER,
        "kubelet.yaml": json.dumps(kubelet),
        "config.toml": filled(_CONTAINERD),
        "cni/by-hand": filled(_CNI),
        "net.d/10-by-hand.conflist": json.dumps(network),
        "number": "1",
        **{f"sys/{name}": value for name, value in _SYSCTLS.items()},
    }
    for name, content in files.items():
        (at / name).write_text(content)
    (at / "cni" / "by-hand").chmod(0o755)
    (at / "kubeconfig").write_bytes(floor.kubeconfig(plane.authority, f"system:node:{NODE}", "system:nodes"))
    containerd = str(engine.get("containerd").components["containerd"].parent)
    return {
        "PATH": f"{containerd}:{os.environ['PATH']}",
        "D": str(at),
        "CONTAINERD": containerd,
        "KUBELET": str(engine.get("1.37").components["kubelet"]),
        "ADDRESS": _ADDRESS,
        "SYSCTLS": " ".join(_SYSCTLS),
    }
