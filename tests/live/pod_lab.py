"""Two nodes of one network with prefixes for pods, a third host, a world behind the machine; pods without Kubernetes.

world 203.0.113.2 --- machine --- router of vpc --- n0 (zone a), n1 (zone b), c0 (zone c, no node) --- pods
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.live import conftest, fleet, network_lab

from roadstead import engine
from roadstead.agent.links import namespaces
from roadstead.contract.messages import desired
from roadstead.machine import shell

N0, N1, C0 = "10.30.0.4", "10.30.1.4", "10.30.2.4"
PREFIX0, PREFIX1 = "10.30.0.16/28", "10.30.1.16/28"
RELAY = "/engine/cni-1.0/roadstead-cni"
PORT = 8080


@dataclass
class Lab:
    agent: conftest.RunningAgent
    world: Path
    relay: Path
    """The CNI program on the machine."""
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def inside(self, node: str, script: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """A script in the node, with what it reads."""
        return subprocess.run(
            shell.inside(self.agent.client.shell(node), ("/bin/sh", "-c", script), terminal=False),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def namespace(self, node: str, name: str) -> str:
        """A namespace for a pod, as a container runtime makes one; its path in the node."""
        path = f"/run/netns/{name}"
        made = self.inside(node, f"mkdir -p /run/netns && touch {path} && unshare --net={path} true")
        assert made.returncode == 0, made
        return path

    def gone(self, node: str, name: str) -> None:
        self.inside(node, f"umount /run/netns/{name}; rm -f /run/netns/{name}")

    def netns(self, node: str, name: str) -> Path:
        """The pod's namespace as the machine finds it."""
        return Path(f"/proc/{self.pid(node)}/root/run/netns/{name}")

    def pid(self, node: str) -> int:
        """The node's first process."""
        seen = next(o for o in self.agent.client.observations().observations if (o.kind, o.id) == ("hosts", node))
        assert seen.pid is not None
        return seen.pid

    def ask(self, node: str, command: str, name: str, netns: str = "", **config: Any) -> tuple[int, Any]:
        """The CNI program run in the node as containerd would; its exit code and what it printed."""
        conf = {"cniVersion": "1.1.0", "name": "roadstead", "type": "roadstead-cni", **config}
        variables = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": name,
            "CNI_IFNAME": "eth0",
            "CNI_NETNS": netns,
            "CNI_ARGS": "K8S_POD_NAME=x",
            "CNI_PATH": "/engine/cni-1.0",
        }
        words = " ".join(f"{key}='{value}'" for key, value in variables.items())
        done = self.inside(node, f"{words} {RELAY}", json.dumps(conf))
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None

    def pod(self, node: str, name: str, **config: Any) -> str:
        """A pod with a server at PORT; its address."""
        code, result = self.ask(node, "ADD", name, self.namespace(node, name), **config)
        assert code == 0, result
        self.serve(self.netns(node, name))
        return str(result["ips"][0]["address"]).removesuffix("/32")

    def serve(self, netns: Path, port: int = PORT) -> None:
        command = network_lab.inside(netns, sys.executable, "-c", network_lab.SERVER, str(port))
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"

    def seen_by(self, netns: Path, address: str, port: int = PORT) -> str:
        """The client's address as the server at `address` sees it."""
        return network_lab.client(netns, address, port)[0]

    def host(self, id: str) -> Path:
        return self.agent.places.host(id).netns

    def links(self, node: str) -> list[str]:
        """Names of pods' links in the node."""
        listed = json.loads(network_lab.run(*network_lab.inside(self.host(node), "ip", "-j", "link")))
        return [link["ifname"] for link in listed if link["ifname"].startswith("rp")]

    def end_servers(self) -> None:
        for server in self.servers:
            server.kill()
            server.communicate()
        self.servers.clear()


def wanted() -> fleet.Put:
    vpc = desired.Network(
        cidrs=("10.30.0.0/16",), subnets=network_lab.subnets("10.30.0.0/24", "10.30.1.0/24", "10.30.2.0/24")
    )
    legs = {
        "n0": desired.Leg(network="vpc", address=N0, prefixes=(PREFIX0,)),
        "n1": desired.Leg(network="vpc", address=N1, prefixes=(PREFIX1,)),
        "c0": desired.Leg(network="vpc", address=C0),
    }
    zones = {"n0": "a", "n1": "b", "c0": "c"}
    roles: dict[str, desired.Role] = {"n0": "node", "n1": "node", "c0": "api"}
    hosts = {id: network_lab.host(zones[id], leg, role=roles[id]) for id, leg in legs.items()}
    return fleet.put(1, networks={"vpc": vpc}, hosts=hosts)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Lab]:
    """All of it, made and serving; afterwards nothing of it is left."""
    relay = engine.get("cni").components["roadstead-cni"]
    with conftest.running_agent(folder) as agent:
        machine = agent.places.machine_netns
        assert machine is not None
        world = machine.with_name(f"{machine.name}-world")
        lab = Lab(agent, world, relay)
        try:
            namespaces.create(world)
            connect(machine, world)
            batch = wanted()
            batch |= fleet.put(1, engines={"cni-1.0": agent.client.engine({"roadstead-cni": relay})})
            agent.client.accept(batch)
            agent.client.wait_ready(30)
            for netns in (lab.host("n0"), lab.host("n1"), lab.host("c0"), world):
                lab.serve(netns)
            yield lab
            log = agent.log.read_text()
            assert "Traceback" not in log, log[-6000:]
        finally:
            lab.end_servers()
            namespaces.delete(world)


def connect(machine: Path, world: Path) -> None:
    """The way from the machine to the world."""
    network_lab.run(*network_lab.inside(world, "ip", "link", "set", "lo", "up"))
    peer = ("peer", "name", "wan0", "netns", str(world))
    network_lab.run(*network_lab.inside(machine, "ip", "link", "add", "wan", "type", "veth", *peer))
    ends = ((machine, "wan", network_lab.MACHINE), (world, "wan0", network_lab.WORLD))
    for netns, device, address in ends:
        network_lab.run(*network_lab.inside(netns, "ip", "address", "add", f"{address}/24", "dev", device))
        network_lab.run(*network_lab.inside(netns, "ip", "link", "set", device, "up"))
