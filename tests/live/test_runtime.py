"""What a real containerd tells and is told: ports of a node, and archives of images as people's programs save them.

Cost: about 20 s on the node that others share.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import saved_images
from tests.live import conftest, network_lab, node_lab

from roadstead import engine
from roadstead.machine.supervision import tree

pytestmark = pytest.mark.live

UDP_SERVER = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(sys.argv[1])))
print("listening", flush=True)
while True:
    _, client = server.recvfrom(64)
    server.sendto(client[0].encode(), client)
"""
UDP_CLIENT = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(1)
for _ in range(20):
    client.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
    try:
        print(client.recvfrom(64)[0].decode())
        break
    except TimeoutError:
        pass
"""
TCP, UDP = 8080, 8053


@pytest.fixture
def lab(shared_node: node_lab.Lab) -> node_lab.Lab:
    return shared_node


def start(lab: node_lab.Lab, name: str, containers: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The pod when all its containers run."""
    spec = {"nodeName": lab.node.name, "terminationGracePeriodSeconds": 0, "containers": containers, **more}
    annotations = {"kubernetes.io/ingress-bandwidth": "100M", "kubernetes.io/egress-bandwidth": "100M"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec}
    # The API server makes the default service account by its controllers, a moment after its start.
    lab.until("pod accepted", lambda: lab.kubectl("apply", "-f", "-", text=json.dumps(pod)).returncode == 0, 20)
    found: dict[str, Any] | None = None

    def runs() -> bool:
        nonlocal found
        found = lab.pod_running(name)
        return found is not None

    lab.until(f"{name} runs", runs, 60)
    assert found is not None
    return found


def gone(lab: node_lab.Lab, name: str) -> None:
    lab.asked("delete", "pod", name, "--wait=true", "--timeout=30s")


def processes(lab: node_lab.Lab, pod: dict[str, Any]) -> dict[str, Path]:
    """The first process of each container, as the machine finds it in /proc; by the container's name."""
    listed = lab.inside("ctr tasks list").stdout.splitlines()
    pids = {words[0]: words[1] for words in map(str.split, listed) if len(words) == 3}
    (of_node,) = (
        one.pid
        for one in lab.agent.client.observations().observations
        if (one.kind, one.id) == ("hosts", node_lab.NODE)
    )
    return {
        one["name"]: Path(f"/proc/{of_node}/root/proc/{pids[one['containerID'].removeprefix('containerd://')]}")
        for one in pod["status"]["containerStatuses"]
    }


def port(of: int, on: int, protocol: str = "TCP", address: str = "") -> dict[str, Any]:
    return {"containerPort": of, "hostPort": on, "protocol": protocol, **({"hostIP": address} if address else {})}


def pausing(name: str, image: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "imagePullPolicy": "Never", **more}


def udp(netns: Path, address: str, on: int) -> str:
    """The client's address as the server sees it."""
    return network_lab.run(*network_lab.inside(netns, sys.executable, "-c", UDP_CLIENT, address, str(on))).strip()


def test_a_pods_host_ports_lead_to_it_from_everywhere(lab: node_lab.Lab) -> None:
    node, other = (lab.agent.places.host(id).netns for id in (node_lab.NODE, node_lab.CONTROL))
    address = node_lab.NODE_ADDRESS
    ports = [
        port(TCP, 9090),
        port(UDP, 9053, "UDP"),
        # The same number for both protocols, and one address of the node alone.
        port(UDP, 9090, "UDP"),
        port(TCP, 9091, address=address),
        port(TCP, 9092, address="127.0.0.1"),
    ]
    dns = {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.100.0.10"], "searches": ["example"]}}
    web = start(lab, "web", [pausing("main", node_lab.PAUSE, ports=ports)], **dns)
    client = start(lab, "client", [pausing("main", node_lab.PAUSE)])
    (inside, beside) = (processes(lab, pod)["main"] / "ns" / "net" for pod in (web, client))
    beside_address = client["status"]["podIP"]
    servers = [serve(inside, network_lab.SERVER, TCP), serve(inside, UDP_SERVER, UDP)]
    try:
        expected = {other: node_lab.CONTROL_ADDRESS, node: address, inside: address, beside: beside_address}
        for netns, seen in expected.items():
            assert network_lab.client(netns, address, 9090) == (seen, "")
            assert network_lab.client(netns, address, 9091) == (seen, "")
            assert udp(netns, address, 9053) == seen
            assert udp(netns, address, 9090) == seen
        for netns in (other, node, beside):
            assert network_lab.client(netns, web["status"]["podIP"], TCP)[0] == expected[netns]
        for on in (9090, 9092):
            assert network_lab.client(node, "127.0.0.1", on) == (address, "")
        assert network_lab.client(other, address, 9092, patience=1)[0] == ""
        send_loopback_away(beside)
        assert network_lab.client(beside, "127.0.0.1", 9092, patience=1)[0] == ""
        assert network_lab.client(beside, address, 9090) == (beside_address, "")
    finally:
        for server in servers:
            server.kill()
            server.communicate()
    gone(lab, "web")
    assert network_lab.client(other, address, 9090, patience=1)[0] == ""
    again = start(lab, "again", [pausing("main", node_lab.PAUSE, ports=[port(TCP, 9090)])])
    server = serve(processes(lab, again)["main"] / "ns" / "net", network_lab.SERVER, TCP)
    try:
        assert network_lab.client(other, address, 9090) == (node_lab.CONTROL_ADDRESS, "")
    finally:
        server.kill()
        server.communicate()
    for name in ("again", "client"):
        gone(lab, name)

    def links() -> list[str]:
        listed = json.loads(network_lab.run(*network_lab.inside(node, "ip", "-j", "link")))
        return [link["ifname"] for link in listed if link["ifname"].startswith("rp")]

    # A pod's object goes when its containers have ended, a moment before containerd says DEL.
    lab.until("no pod has left a link", lambda: not links(), 20)


def send_loopback_away(netns: Path) -> None:
    """From now on a pod's packets to 127.0.0.1 leave it, for its node."""
    script = "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip address flush dev lo"
    network_lab.run(*network_lab.inside(netns, "sh", "-c", script))
    assert "dev eth0" in network_lab.run(*network_lab.inside(netns, "ip", "route", "get", "127.0.0.1"))


def serve(netns: Path, program: str, on: int) -> subprocess.Popen[str]:
    command = network_lab.inside(netns, sys.executable, "-c", program, str(on))
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "listening\n"
    return server


def test_pods_run_from_whatever_programs_save(lab: node_lab.Lab, tmp_path: Path) -> None:
    saved = every_kind(engine.get("pause").components["pause"].read_bytes(), tmp_path)
    foreign = saved_images.oci_platforms([image(b"", "s390x"), image(b"", "ppc64le")], "example.com/foreign:1")
    saved_images.write(foreign, tmp_path / "foreign.tar")
    # Where serve writes it, which does not run here.
    names = tree.serve_state(lab.agent.places) / "names.json"
    names.parent.mkdir(exist_ok=True)
    names.write_text(json.dumps({"eu-central-1/cluster-1": node_lab.NODE.partition(".")[0]}))
    named = [file for file, (name, _) in saved.items() if not name]
    code, said = load(lab, *named, tmp_path / "foreign.tar")
    assert code == 1, "one of them has no image for this node"
    states = {Path(one["archive"]).name: (one["state"], one["images"]) for one in said}
    assert states.pop("foreign.tar") == ("failed", ["example.com/foreign:1"])
    for file in saved:
        if file not in named:
            assert load(lab, file) == (1, []), "no pod could use it"
            code, (one,) = load(lab, file, f"--name={saved[file][0]}")
            assert code == 0
            states[file.name] = (one["state"], one["images"])
    assert {name: state for name, (state, _) in states.items()} == {file.name: "done" for file in saved}
    wanted = {file.name: pods for file, (_, pods) in saved.items()}
    assert {name: len(images) for name, (_, images) in states.items()} == {
        name: len(pods) for name, pods in wanted.items()
    }
    every = [short for pods in wanted.values() for short in pods]
    containers = [pausing(f"c{number}", short) for number, short in enumerate(every)]
    pod = start(lab, "saved", containers, hostNetwork=True)
    for name, process in processes(lab, pod).items():
        root = process / "root"
        assert [path.name for path in (root / "folder").iterdir()] == ["new"], name
        assert not (root / "gone").exists(), name
    gone(lab, "saved")


def load(lab: node_lab.Lab, *words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """The command itself: its exit code, and what it says of each archive on each node."""
    command = [sys.executable, "-m", "roadstead.machine.main", "load", "image", "--cluster=cluster-1", "--output=json"]
    environment = {**os.environ, "PYTHONPATH": str(conftest.ROOT / "src")}
    done = subprocess.run(
        [*command, f"--instance={lab.agent.places.id}", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said: list[dict[str, Any]] = json.loads(done.stdout) if done.stdout else []
    assert bool(done.stderr) == bool(done.returncode), done.stderr
    return done.returncode, said


def image(program: bytes, arch: str = "") -> saved_images.Image:
    """Two layers: the upper one brings the program, and takes away a file and all that a folder had."""
    lower = saved_images.layer({"pause": b"not yet", "gone": b"x", "folder/old": b"x"})
    upper = saved_images.layer({"pause": program, ".wh.gone": b"", "folder/.wh..wh..opq": b"", "folder/new": b"x"})
    return saved_images.Image((lower, upper), arch or engine.get("pause").arch)


def every_kind(program: bytes, folder: Path) -> dict[Path, tuple[str, list[str]]]:
    """By archive: the name it is loaded under, where it has none, and names by which pods shall find its images."""
    one, arm = image(program), image(b"", "arm64")
    packed: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": saved_images.zstd}
    kinds = {
        "docker-20.tar": (
            saved_images.docker_20({one: ["docker-20:1", "me/docker-20:2"]}),
            "",
            ["docker-20:1", "me/docker-20:2"],
        ),
        "docker-20.tar.gz": (saved_images.docker_20({one: ["packed:1"]}), "", ["packed:1"]),
        "docker-20-by-id.tar": (saved_images.docker_20({one: []}), "by-id:20", ["by-id:20"]),
        "docker-28.tar": (
            saved_images.docker_28({one: ["docker-28:1", "me/docker-28:2"]}),
            "",
            ["docker-28:1", "me/docker-28:2"],
        ),
        "docker-28.tar.zst": (saved_images.docker_28({one: ["packed:2"]}), "", ["packed:2"]),
        "docker-28-by-id.tar": (saved_images.docker_28({one: []}), "by-id:28", ["by-id:28"]),
        "podman.tar": (saved_images.docker_archive({one: ["localhost/podman:1"]}), "", ["localhost/podman:1"]),
        "podman-oci.tar": (saved_images.oci_archive({one: "localhost/podman-oci:1"}), "", ["localhost/podman-oci:1"]),
        "skopeo.tar": (saved_images.oci_archive({one: "library/skopeo:1"}), "", ["skopeo:1"]),
        "skopeo-zstd.tar": (saved_images.oci_archive({one: "skopeo-zstd:1"}, saved_images.zstd), "", ["skopeo-zstd:1"]),
        "skopeo-nameless.tar": (saved_images.oci_archive({one: ""}), "nameless", ["nameless:latest"]),
        "buildah.tar": (saved_images.oci_archive({one: "1.0"}), "example.com/buildah", ["example.com/buildah:1.0"]),
        "platforms.tar": (saved_images.oci_platforms([arm, one], "platforms:1"), "", ["platforms:1"]),
        "ctr.tar": (
            saved_images.ctr({one: ["docker.io/library/ctr:1", "docker.io/me/ctr:2"]}),
            "",
            ["ctr:1", "me/ctr:2"],
        ),
        "ko.tar": (saved_images.ko(one, "example.com/team/ko:1"), "", ["example.com/team/ko:1"]),
    }
    return {
        saved_images.write(archive, folder / file, packed.get(Path(file).suffix, bytes)): (name, pods)
        for file, (archive, name, pods) in kinds.items()
    }
