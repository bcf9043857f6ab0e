"""What the agent says of its machine, and what a VPC does that has the addresses of the machine's own network.

world 203.0.113.2, gateway 192.168.1.1 --- machine 192.168.1.10 --- VPC 192.168.0.0/16, control plane 198.19.9.0/26

Costs some seconds: two hosts and three small servers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.live import conftest, network_lab

from roadstead.agent.links import namespaces
from roadstead.clusters.capacity import neighbours
from roadstead.contract.messages import desired, machine

pytestmark = pytest.mark.live

GATEWAY, MACHINE, WORLD = "192.168.1.1", "192.168.1.10", "203.0.113.2"
NODE, EDGE, EDGE_CONTROL = "192.168.0.9", "192.168.0.8", "198.19.9.52"
LAN = (
    machine.Route(to="0.0.0.0/0", device="lan", via=GATEWAY),
    machine.Route(to="192.168.1.0/24", device="lan"),
)


@dataclass
class Home:
    """A machine in a network as many homes have it; `gateway`: where that network and the world are."""

    agent: conftest.RunningAgent
    gateway: Path

    @property
    def machine(self) -> Path:
        assert self.agent.places.machine_netns is not None
        return self.agent.places.machine_netns

    def host(self, id: str) -> Path:
        return self.agent.places.host(id).netns


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with conftest.running_agent(tmp_path_factory.mktemp("agent")) as agent:
        gateway = conftest.machine_namespace(agent.places.id).with_name(
            conftest.machine_namespace(agent.places.id).name + "-gateway"
        )
        made = Home(agent, gateway)
        namespaces.create(gateway)
        try:
            _connect(made)
            yield made
        finally:
            namespaces.delete(gateway)


def _connect(home: Home) -> None:
    inside, run = network_lab.inside, network_lab.run
    peer = ("peer", "name", "lan0", "netns", str(home.gateway))
    run(*inside(home.machine, "ip", "link", "add", "lan", "type", "veth", *peer))
    words = (("lo", WORLD + "/32"), ("lan0", GATEWAY + "/24"))
    for netns, device, address in (*((home.gateway, *each) for each in words), (home.machine, "lan", MACHINE + "/24")):
        run(*inside(netns, "ip", "address", "add", address, "dev", device))
        run(*inside(netns, "ip", "link", "set", device, "up"))
    run(*inside(home.machine, "ip", "route", "add", "default", "via", GATEWAY))


@pytest.fixture(scope="module")
def vpc(home: Home) -> Iterator[Home]:
    """The VPC that eksctl makes, with a host; and an edge that is published at the machine's address."""
    subnets = (desired.Subnet(id="s-a", cidr="192.168.0.0/19", zone="a"),)
    control = (desired.Subnet(id="shared", cidr="198.19.9.48/28", zone="region"),)
    put: dict[str, dict[str, tuple[int, desired.Message]]] = {
        "networks": {
            "vpc-home": (1, desired.Network(cidrs=("192.168.0.0/16",), subnets=subnets)),
            "c-1.cp": (
                1,
                desired.Network(cidrs=("198.19.9.0/26",), subnets=control, egress=False, machine_users=(64001,)),
            ),
        },
        "hosts": {
            "c-1.node": (1, _host("api", "a", desired.Leg(network="vpc-home", address=NODE))),
            "c-1.edge": (
                1,
                _host(
                    *("edge", "region"),
                    desired.Leg(network="vpc-home", address=EDGE),
                    desired.Leg(network="c-1.cp", address=EDGE_CONTROL),
                ),
            ),
        },
        "publishes": {
            "c-1.endpoint": (
                1,
                desired.Publish(address=MACHINE, port=7001, network="c-1.cp", target=EDGE_CONTROL, target_port=80),
            )
        },
    }
    home.agent.client.accept(put)
    home.agent.client.wait_ready(30)
    servers = [_serving(netns) for netns in (home.gateway, home.host("c-1.edge"))]
    try:
        yield home
    finally:
        for server in servers:
            server.kill()
            server.communicate()


def _host(role: desired.Role, zone: str, *legs: desired.Leg) -> desired.Host:
    privilege: desired.Privilege = "privileged" if role == "node" else "unprivileged"
    return desired.Host(role=role, privilege=privilege, zone=zone, legs=legs, hostname="h")


def _serving(netns: Path) -> subprocess.Popen[str]:
    command = network_lab.inside(netns, sys.executable, "-c", network_lab.SERVER, "80")
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "listening\n"
    return server


def seen_by(netns: Path, address: str, port: int) -> str:
    """The client's address as the server sees it."""
    return network_lab.client(netns, address, port)[0]


def test_the_agent_says_what_its_machine_has(home: Home) -> None:
    said = home.agent.client.machine()
    words = Path("/proc/meminfo").read_text().split()
    assert said.memory == int(words[words.index("MemTotal:") + 1]) * 1024
    assert 0 < said.available < said.memory
    assert 0 < said.free < said.disk
    assert said.cores == os.cpu_count()
    assert said.kernel == os.uname().release
    assert said.routes == LAN


def test_routes_over_the_instances_own_links_are_not_the_machines(vpc: Home) -> None:
    shown = network_lab.run(*network_lab.inside(vpc.machine, "ip", "route"))
    assert "198.19.9.0/26" in shown
    assert vpc.agent.client.machine().routes == LAN


def test_a_vpc_with_the_addresses_of_the_machines_network_loses_that_network_alone(vpc: Home) -> None:
    node = vpc.host("c-1.node")
    # The world, by the gateway in the very network that is hidden.
    assert seen_by(node, WORLD, 80) == MACHINE
    # Names: porter asks for them in the machine's namespace.
    assert seen_by(vpc.machine, GATEWAY, 80) == MACHINE
    # Users in that network, at the published endpoint.
    assert seen_by(vpc.gateway, MACHINE, 7001) == GATEWAY
    # Within the VPC, at addresses that are in the machine's network or not.
    assert seen_by(node, EDGE, 80) == NODE
    # What is lost, and said.
    assert network_lab.client(node, GATEWAY, 80, patience=1)[0] == ""
    told = neighbours.hidden(vpc.agent.client.machine().routes, VPC="192.168.0.0/16")
    assert [sentence.partition(" whose")[0] for sentence in told] == [
        "nodes and pods cannot reach hosts of the machine's network 192.168.1.0/24 (lan)"
    ]
