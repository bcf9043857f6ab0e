"""What a real containerd tells and is told: ports of a node that lead to pods.

Cost: about 25 s; one etcd, API server and controller-manager, one node.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import conftest, network_lab, node_lab

from roadstead import engine
from roadstead.engine import images

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


@pytest.fixture(scope="module")
def lab(agent: conftest.RunningAgent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[node_lab.Lab]:
    with node_lab.running(agent, tmp_path_factory.mktemp("runtime")) as made:
        pause = engine.get("pause")
        made.import_image(images.pause(pause.components["pause"], pause.version, pause.arch), "pause")
        yield made


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
