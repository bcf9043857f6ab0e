"""A real node joins a real API server: what it says of itself, and what its pods live through.

Cost: about 60 s; one etcd, API server and controller-manager, one node with containerd, kubelet and kube-proxy.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.live import conftest, fleet, neighbours, node_lab

from roadstead import engine
from roadstead.agent.hosts import see
from roadstead.agent.idmaps import ability, ranges
from roadstead.contract.messages import desired
from roadstead.engine import images

pytestmark = pytest.mark.live

TAINT = ("dedicated", "tests", "NO_SCHEDULE")
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "talker"},
    "spec": {
        "nodeName": "",
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "main",
                "image": "roadstead.dev/small:1.0",
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sh", "-c", "echo I am up; exec /bin/sleep 1000000"],
            }
        ],
    },
}


@pytest.fixture(scope="module")
def lab(agent: conftest.RunningAgent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[node_lab.Lab]:
    archive = images.write_system(images.system_images("1.37"), tmp_path_factory.mktemp("images"))
    more = {"taints": (TAINT,), "images": (agent.client.keep_blob(archive),)}
    began = time.monotonic()
    with node_lab.running(agent, tmp_path_factory.mktemp("node"), more) as made:
        print(f"\ncontrol plane and node Ready after {time.monotonic() - began:.1f} s")
        yield made


@pytest.fixture(scope="module")
def pod(lab: node_lab.Lab) -> str:
    """A pod in the node's network with a server on its loopback; its name. Its image comes by the agent's job."""
    lab.import_image(small_image(engine.get("pause").arch), "small")
    POD["spec"]["nodeName"] = lab.node.name  # type: ignore[index]  # a literal
    # The API server makes the default service account by its controllers, a moment after its start.
    lab.until("the pod is accepted", lambda: lab.kubectl("apply", "-f", "-", text=json.dumps(POD)).returncode == 0, 20)
    took = lab.until("the pod runs", lambda: lab.pod_running("talker") is not None, 40)
    print(f"\npod running after {took:.1f} s")
    return "talker"


def small_image(arch: str) -> images.Image:
    """The machine's own shell and some more programs with the libraries that they name."""
    tree: dict[str, images.Node] = {}
    for program in ("sh", "sleep", "hostname", "chroot", "cat"):
        found = Path(shutil.which(program) or "").resolve()
        tree[f"bin/{program}"] = images.ImageFile(found, 0o755)
        named = subprocess.run(["ldd", str(found)], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", named, re.MULTILINE):
            tree[library.lstrip("/")] = images.ImageFile(Path(library).resolve(), 0o755)
    return images.Image(name="roadstead.dev/small:1.0", arch=arch, tree=tree, command=("/bin/sh",))


def test_the_node_says_what_eks_nodes_say(lab: node_lab.Lab) -> None:
    node = lab.get("node", lab.node.name)
    labels = node["metadata"]["labels"]
    expected = {
        "kubernetes.io/hostname": lab.node.name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "t3.medium",
        "topology.kubernetes.io/zone": "b",
        "topology.kubernetes.io/region": "eu-central-1",
        "eks.amazonaws.com/nodegroup": "ng-1",
        "eks.amazonaws.com/nodegroup-image": "ami-0123456789abcdef0",
        "eks.amazonaws.com/capacityType": "ON_DEMAND",
        "alpha.eksctl.io/cluster-name": "cluster-1",
        "alpha.eksctl.io/nodegroup-name": "ng-1",
    }
    assert {name: labels.get(name) for name in expected} == expected
    assert node["spec"]["providerID"] == f"aws:///b/{lab.node.id}"
    assert {"key": "dedicated", "value": "tests", "effect": "NoSchedule"} in node["spec"]["taints"]
    addresses = {one["type"]: one["address"] for one in node["status"]["addresses"]}
    assert addresses == {"InternalIP": lab.node.address, "Hostname": lab.node.name}


def test_the_node_offers_what_its_type_has(lab: node_lab.Lab) -> None:
    status = lab.get("node", lab.node.name)["status"]
    assert status["capacity"]["cpu"] == "2"
    assert status["capacity"]["memory"] == "4Gi"
    assert status["capacity"]["pods"] == "17"
    disk = int(status["capacity"]["ephemeral-storage"])
    assert 18 * 2**30 < disk <= 20 * 2**30
    assert status["allocatable"]["cpu"] == "1930m"
    assert status["allocatable"]["memory"] == f"{4 * 1024 - (11 * 17 + 255) - 100}Mi"
    assert not [one for one in status["conditions"] if one["type"].endswith("Pressure") and one["status"] != "False"]


def test_kubelet_knows_the_images_that_the_nodes_disk_began_with(lab: node_lab.Lab) -> None:
    """A store, and no import, which would have had its archive lent to the node."""
    assert len(list((lab.agent.places.state / "stores").iterdir())) == 1
    assert lab.inside(f"ls /lent/{lab.node.images[0].removeprefix('sha256:')}").returncode != 0

    def known() -> set[str]:
        return {name for image in lab.get("node", lab.node.name)["status"].get("images", []) for name in image["names"]}

    lab.until(
        "kubelet tells of them", lambda: known() >= {each.image.name for each in images.system_images("1.37")}, 20
    )


def test_images_that_are_declared_later_come_to_the_node_as_it_runs(lab: node_lab.Lab, tmp_path: Path) -> None:
    """As those of a newer release do. Nothing is restarted for them."""
    archive = tmp_path / "later.tar"
    images.write(replace(small_image(engine.get("pause").arch), name="roadstead.dev/later:1.0"), archive)
    client, before = lab.agent.client, {unit: lab.pid(unit) for unit in ("kubelet", "containerd")}
    kept = client.wanted()["units"][f"{node_lab.NODE}/kubelet"]
    unit = msgspec.convert(kept["spec"], desired.Unit)
    later = msgspec.structs.replace(unit, images=(*unit.images, client.keep_blob(archive)))
    client.accept(fleet.put(int(str(kept["generation"])) + 1, units={f"{node_lab.NODE}/kubelet": later}))

    def is_there() -> bool:
        return "roadstead.dev/later:1.0" in lab.inside("ctr images list -q").stdout

    took = lab.until("the node has the image", is_there, 30)
    print(f"\nan image that was declared later was there after {took:.1f} s")
    assert {unit: lab.pid(unit) for unit in before} == before


def test_services_have_rules_in_the_kernel(lab: node_lab.Lab) -> None:
    lab.until(
        "rules of the kubernetes service",
        lambda: "10.100.0.1 . tcp . 443" in lab.inside("nft list table ip kube-proxy").stdout,
        15,
    )


def test_the_api_server_reaches_kubelet_by_its_serving_certificate(lab: node_lab.Lab, pod: str) -> None:
    lab.until("the log", lambda: lab.kubectl("logs", pod).stdout == "I am up\n", 30)
    assert lab.asked("exec", pod, "--", "/bin/hostname") == f"{lab.node.name}\n"
    # The pod is in the node's network: kube-proxy's own port on the loopback answers.
    with forwarded(lab, pod, 18080) as fetched:
        assert fetched == "nftables"


@pytest.fixture(scope="module")
def first(lab: node_lab.Lab) -> int:
    """The id that root of the node is on the machine."""
    seen = next(o for o in lab.agent.client.observations().observations if (o.kind, o.id) == ("hosts", node_lab.NODE))
    inside, outside, number = Path(f"/proc/{seen.pid}/uid_map").read_text().split()
    if engine.find("runc") is None:
        pytest.skip("no runc of ours could be had here")
    if ability.release(os.uname().release) < (6, 3):
        pytest.skip(f"Linux {os.uname().release} may not show a tmpfs with other owners")
    assert (inside, number) == ("0", str(ranges.SIZE)), lab.agent.log.read_text()
    assert int(outside) >= ranges.FIRST
    return int(outside)


@pytest.mark.usefixtures("pod", "first")
@pytest.mark.parametrize("privileged", [False, True])
def test_a_pod_that_is_root_with_its_nodes_whole_root_gets_nothing_of_the_machine(
    lab: node_lab.Lab, privileged: bool
) -> None:
    name = "privileged" if privileged else "plain"
    wanted = neighbours.pod(name, lab.node.name, "roadstead.dev/small:1.0", privileged=privileged)
    lab.asked("apply", "-f", "-", text=json.dumps(wanted))
    lab.until("the pod runs", lambda: lab.pod_running(name) is not None, 40)
    # The descriptor of a shell's own pipe is not to be seen in the node.
    said = lab.asked("exec", name, "--", "/bin/chroot", "/node", "/bin/sh", "-c", neighbours.script()).splitlines()
    assert said == [*(f"got {name}" for name in neighbours.OWN), "that is all"]
    assert not list(lab.agent.places.engines.glob("taken"))
    assert not list(lab.agent.places.stores.glob("taken"))


@pytest.mark.usefixtures("pod")
def test_a_pod_is_nobody_on_the_machine(lab: node_lab.Lab, first: int) -> None:
    """What user 1000 of the machine may read of the processes of user 1000 in a pod: nothing."""
    wanted = neighbours.pod("someone", lab.node.name, "roadstead.dev/small:1.0", privileged=False)
    container = wanted["spec"]["containers"][0]
    container["command"] = ["/bin/sh", "-c", "exec /bin/sleep 1234567"]
    container["securityContext"] = {"runAsUser": 1000, "runAsGroup": 1000}
    lab.asked("apply", "-f", "-", text=json.dumps(wanted))
    lab.until("the pod runs", lambda: lab.pod_running("someone") is not None, 40)
    said = subprocess.run(["pgrep", "-xf", "/bin/sleep 1234567"], capture_output=True, text=True, check=True).stdout
    (pid,) = said.split()
    assert f"Uid:\t{first + 1000}\t" in Path(f"/proc/{pid}/status").read_text()
    token = f"/proc/{pid}/root/var/run/secrets/kubernetes.io/serviceaccount/token"
    assert Path(token).read_text()
    alike = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "cat", token]
    read = subprocess.run(alike, capture_output=True, text=True, check=False)
    assert read.returncode != 0
    assert "Permission denied" in read.stderr


def test_a_pod_that_asks_for_nothing_has_little(lab: node_lab.Lab, pod: str) -> None:
    """The runtime's profile of seccomp, and containerd's own capabilities without those to make devices."""
    status = dict(
        line.split(":", 1) for line in lab.asked("exec", pod, "--", "/bin/cat", "/proc/1/status").splitlines()
    )
    assert status["Seccomp"].strip() == "2"
    had = {name for number, name in enumerate(see.CAPABILITIES.split()) if int(status["CapBnd"], 16) >> number & 1}
    assert "MKNOD" not in had
    assert "NET_RAW" in had
    own = json.loads(lab.inside("ctr oci spec").stdout)
    assert had == {name.removeprefix("CAP_") for name in own["process"]["capabilities"]["bounding"]} - {"MKNOD"}


@contextlib.contextmanager
def forwarded(lab: node_lab.Lab, pod: str, port: int) -> Iterator[str]:
    """What kube-proxy says of its mode, by kubectl port-forward in the control plane's network."""
    netns = lab.agent.places.host(node_lab.CONTROL).netns
    enter = ["nsenter", f"--net={netns}"]
    words = [
        str(lab.kubectl_program),
        f"--kubeconfig={lab.folder / 'admin'}",
        "port-forward",
        f"pod/{pod}",
        f"{port}:10249",
    ]
    home = {"HOME": str(lab.folder), "PATH": "/usr/bin:/bin"}
    forward = subprocess.Popen([*enter, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=home)
    try:
        assert forward.stdout is not None
        assert "Forwarding from" in forward.stdout.readline()
        command = [*enter, "curl", "-sS", f"http://127.0.0.1:{port}/proxyMode"]
        yield subprocess.run(command, capture_output=True, text=True, check=True, timeout=15).stdout
    finally:
        forward.kill()
        forward.communicate()


@pytest.mark.parametrize("unit", ["kubelet", "containerd", "kube-proxy"])
def test_a_killed_unit_is_back_and_the_pod_has_not_noticed(lab: node_lab.Lab, pod: str, unit: str) -> None:
    before = lab.pod_running(pod)
    assert before is not None
    pid = lab.pid(unit)
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    lab.until(f"{unit} killed", lambda: lab.pid(unit) not in (None, pid), 30)
    lab.agent.client.wait_ready(30)
    lab.until("exec works", lambda: lab.kubectl("exec", pod, "--", "/bin/sh", "-c", ":").returncode == 0, 30)
    print(f"\n{unit} killed: exec works after {time.monotonic() - began:.1f} s")
    after = lab.pod_running(pod)
    assert after is not None
    assert after["status"]["containerStatuses"][0]["containerID"] == containers(before)
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    lab.until("Ready", lab.ready, 30)


def containers(pod: dict[str, dict[str, list[dict[str, str]]]]) -> str:
    return pod["status"]["containerStatuses"][0]["containerID"]


def test_a_node_whose_first_process_dies_comes_back_from_its_disk(lab: node_lab.Lab, pod: str) -> None:
    node = lab.get("node", lab.node.name)
    before = lab.pod_running(pod)
    assert before is not None
    requests = len(lab.get("csr")["items"])
    seen = next(o for o in lab.agent.client.observations().observations if (o.kind, o.id) == ("hosts", node_lab.NODE))
    assert seen.pid is not None
    began = time.monotonic()
    os.kill(seen.pid, signal.SIGKILL)

    def again() -> bool:
        after = lab.pod_running(pod)
        return after is not None and containers(after) != containers(before)

    lab.until("the pod runs again", again, 60)
    print(f"\nnode's PID 1 killed: the pod runs again after {time.monotonic() - began:.1f} s")
    lab.until("exec works", lambda: lab.kubectl("exec", pod, "--", "/bin/sh", "-c", ":").returncode == 0, 30)
    lab.until("Ready", lab.ready, 30)
    after = lab.get("node", lab.node.name)
    assert after["metadata"]["uid"] == node["metadata"]["uid"], "the same node, not a new one of its name"
    assert after["status"]["nodeInfo"]["machineID"] == node["status"]["nodeInfo"]["machineID"]
    assert lab.get("pod", pod)["metadata"]["uid"] == before["metadata"]["uid"]
    assert len(lab.get("csr")["items"]) == requests, "its certificates were on its disk"
