"""A place to try networks: three hosts in three zones, a second network with the same addresses, a world.

world 203.0.113.2 --- machine 203.0.113.1, 127.0.0.1 --- routers of vpc, twin, closed, control --- hosts
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from tests.live import world as beyond

from roadstead.agent.fabric import fabric
from roadstead.agent.links import namespaces
from roadstead.agent.links import topology as topologies
from roadstead.contract.messages import desired
from roadstead.core import instance as instances

T = TypeVar("T")

WORLD, MACHINE = beyond.WORLD, beyond.MACHINE
SERVICES = "10.100.0.0/16"
"""Of clusters in the network `vpc`."""
USER, STRANGER = 64001, 64002
A, B, C, SECOND = "10.20.0.4", "10.20.1.4", "10.20.2.4", "198.19.250.4"

SERVER = """
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write((self.client_address[0] + "\\n").encode())
        for line in self.rfile:
            self.wfile.write(line)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
server = Server(("0.0.0.0", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""
CLIENT = """
import encodings.idna, os, socket, sys  # before another user can read no Python any more
address, port, user, source, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
if user:
    os.setuid(user)
source_address = (source, 0) if source else None
with socket.create_connection((address, port), timeout=patience, source_address=source_address) as made:
    print(made.makefile().readline().strip())
"""
TALK = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as made:
    lines = made.makefile("rw")
    print(lines.readline().strip(), flush=True)
    for word in sys.stdin:
        lines.write(word)
        lines.flush()
        print(lines.readline().strip(), flush=True)
"""
SPOOF = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT: any source
sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
sender.bind((sys.argv[1], 0))
for _ in range(5):
    sender.sendto(b"x", (sys.argv[2], 9999))
"""


def client(
    netns: Path, address: str, port: int, user: int = 0, source: str = "", patience: int = 20
) -> tuple[str, str]:
    """The client's address as the server sees it, "" when it is not reached; and why not, as Python says it."""
    arguments = (address, str(port), str(user), source, str(patience))
    command = inside(netns, sys.executable, "-c", CLIENT, *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip(), (done.stderr.splitlines() or [""])[-1]


def run(*command: str) -> str:
    """What the command prints; fails with its complaint."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


def inside(netns: Path, *command: str) -> list[str]:
    return ["nsenter", f"--net={netns}", *command]


@dataclass
class Lab:
    """An instance of its own, the namespaces around it, and what is asked for at the moment."""

    places: instances.Instance
    world: Path
    witness: beyond.Witness
    runner: asyncio.Runner
    fabric: fabric.Fabric
    wanted: topologies.Topology
    servers: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def machine(self) -> Path:
        assert self.places.machine_netns is not None
        return self.places.machine_netns

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        async def in_time() -> T:
            async with asyncio.timeout(20):
                return await work

        return self.runner.run(in_time())

    def want(self, **kinds: dict[str, Any]) -> None:
        """Put these objects beside the others of their kind."""
        given = {kind: {**getattr(self.wanted, kind), **objects} for kind, objects in kinds.items()}
        self.wanted = replace(self.wanted, **given)
        assert topologies.check(self.wanted) == []

    def netns(self, host: str) -> Path:
        return self.places.host(host).netns

    def serve(self, netns: Path, port: int) -> None:
        command = inside(netns, sys.executable, "-c", SERVER, str(port))
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.servers.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"

    def seen_by(self, netns: Path, address: str, port: int, user: int = 0, source: str = "") -> str:
        """The client's address as the server sees it."""
        return client(netns, address, port, user, source)[0]

    def unseen(self, netns: Path, address: str, port: int, user: int = 0) -> bool:
        """Whether it is not reached within a second."""
        return client(netns, address, port, user, patience=1)[0] == ""

    def counted(self, network: str, counter: str) -> int:
        table = self.places.nft_table
        router = self.places.router_netns(network)
        words = run(*inside(router, "nft", "list", "counter", "inet", table, counter)).split()
        return int(words[words.index("packets") + 1])

    def drift(self, *, deep: bool = True) -> dict[tuple[str, str], str]:
        return self.do(self.fabric.drift(self.wanted, deep=deep))

    def make_all(self) -> None:
        for network in self.wanted.networks:
            self.do(self.fabric.make_network(network, self.wanted))
        for host in self.wanted.hosts:
            self.do(self.fabric.make_host(host, self.wanted))


def subnets(*cidrs: str) -> tuple[desired.Subnet, ...]:
    return tuple(desired.Subnet(id=f"s-{zone}", cidr=cidr, zone=zone) for zone, cidr in zip("abc", cidrs, strict=False))


def host(zone: str, *legs: desired.Leg, role: desired.Role = "api") -> desired.Host:
    privilege: desired.Privilege = "privileged" if role == "node" else "unprivileged"
    return desired.Host(role=role, privilege=privilege, zone=zone, legs=legs, hostname="h")


def wanted() -> topologies.Topology:
    twin = desired.Network(cidrs=("10.20.0.0/16",), subnets=subnets("10.20.0.0/24", "10.20.1.0/24", "10.20.2.0/24"))
    vpc = msgspec.structs.replace(twin, services=(SERVICES,))
    closed = desired.Network(
        cidrs=("198.19.250.0/26",), subnets=subnets("198.19.250.0/28"), egress=False, machine_users=(USER,)
    )
    return topologies.Topology(
        networks={"vpc": vpc, "twin": twin, "closed": closed},
        hosts={
            "a": host(
                "a",
                desired.Leg(network="vpc", address=A),
                desired.Leg(network="closed", address=SECOND),
            ),
            "b": host("b", desired.Leg(network="vpc", address=B)),
            "c": host("c", desired.Leg(network="vpc", address=C, prefixes=("10.20.2.128/28",)), role="node"),
            "twin-a": host("a", desired.Leg(network="twin", address=A)),
            "twin-b": host("b", desired.Leg(network="twin", address="10.20.1.5")),
            "alone": host("a", desired.Leg(network="closed", address="198.19.250.5")),
        },
        zones={},
        publishes={
            "here": desired.Publish(address="127.0.0.1", port=7001, network="vpc", target=B, target_port=80),
            "there": desired.Publish(address=MACHINE, port=7002, network="vpc", target=B, target_port=80),
        },
    )


@contextlib.contextmanager
def outside(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A namespace for the machine and one for the world, with a veth between them."""
    machine, world = folder / "outside" / "machine", folder / "outside" / "world"
    try:
        for netns in (machine, world):
            namespaces.create(netns)
            run(*inside(netns, "ip", "link", "set", "lo", "up"))
        beyond.joined(machine, world)
        yield machine, world
    finally:
        namespaces.delete(machine)
        namespaces.delete(world)
        namespaces.unshare_folder(machine.parent)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Lab]:
    """Everything wanted is made and serves; afterwards nothing of it is left."""
    with outside(folder) as (machine, world), beyond.witness(machine, world) as witness, asyncio.Runner() as runner:
        id = f"t-net-{secrets.token_hex(3)}"
        places = instances.Instance(id, folder / "state", folder / "run", folder / "log", machine)

        async def enter() -> fabric.Fabric:
            return await fabric.Fabric(places).__aenter__()

        made = Lab(places, world, witness, runner, runner.run(enter()), wanted())
        try:
            made.make_all()
            for name in ("a", "b", "c", "twin-a", "alone"):
                made.serve(places.host(name).netns, 80)
            made.serve(world, 80)
            made.serve(machine, 81)
            yield made
        finally:
            for server in made.servers:
                server.kill()
                server.communicate()
            runner.run(made.fabric.__aexit__(None, None, None))
            fabric.purge(places)
            shutil.rmtree(folder, ignore_errors=True)


def picture(lab: Lab) -> list[str]:
    """Everything of every namespace; a made-again link would have another index."""
    spaces = [lab.machine, *map(lab.places.router_netns, lab.wanted.networks), *map(lab.netns, lab.wanted.hosts)]
    # IPv4 only: the kernel gives links their IPv6 addresses, and takes its time over it.
    words = ("-o link", "-4 address", "-4 route show table all", "rule", "neigh show nud permanent")
    asked = [each.split() for each in words]
    return [run(*inside(netns, "ip", *words)) for netns in spaces for words in asked] + [
        run(*inside(netns, "nft", "-a", "-s", "list", "ruleset")) for netns in spaces
    ]
