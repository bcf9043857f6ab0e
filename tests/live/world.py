"""The world for live tests: its names, and a stranger out there who has every address and answers at each.

Names are served on loopback of a namespace that stands for a machine. Source of the format: RFC 1035, section 4.1.
Whatever else is asked does not exist.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roadstead.agent.links import namespaces

PORT = 5353
NAMES = {"ship.example": "203.0.113.9"}
_A, _IN = 1, 1

MACHINE, WORLD = "203.0.113.1", "203.0.113.2"
"""The machine's address towards the world, and one that is in it."""
STRANGER = "a stranger answers"
"""What is said to whoever connects to any address at any port; those of 203.0.113.0/24 are left to others."""
_PORT = 9
_IPV4 = 0x0800


@dataclass
class Witness:
    """Sees every packet of IPv4 that leaves the machine: destinations, each with the number of a protocol."""

    seen: set[tuple[str, int]] = field(default_factory=set)

    def within(self, cidrs: Iterable[str]) -> list[tuple[str, int]]:
        """What has left for one of these networks."""
        networks = [ipaddress.IPv4Network(cidr) for cidr in cidrs]
        return sorted(one for one in self.seen if any(ipaddress.IPv4Address(one[0]) in each for each in networks))


@contextlib.contextmanager
def beyond(machine: Path) -> Iterator[Path]:
    """A namespace for the world, beside the machine's."""
    world = machine.with_name(f"{machine.name}-world")
    try:
        namespaces.create(world)
        joined(machine, world)
        yield world
    finally:
        namespaces.delete(world)


def joined(machine: Path, world: Path) -> None:
    """A veth between the two, with an address of each."""
    # ip(8) takes a path where a name of a namespace is asked for.
    peer = ("peer", "name", "wan0", "netns", str(world))
    _run(machine, "ip", "link", "add", "wan", "type", "veth", *peer)
    for netns, device, address in ((machine, "wan", MACHINE), (world, "wan0", WORLD)):
        _run(netns, "ip", "address", "add", f"{address}/24", "dev", device)
        _run(netns, "ip", "link", "set", device, "up")
    _run(world, "ip", "link", "set", "lo", "up")


@contextlib.contextmanager
def witness(machine: Path, world: Path) -> Iterator[Witness]:
    """Someone with every address of the world, who writes down what comes, and answers who connects.

    What the machine has no other route for leads there.
    """
    _run(machine, "ip", "route", "add", "default", "via", WORLD)
    for address in NAMES.values():
        # Left to others, who answer under it: that takes more than a route.
        _run(world, "ip", "address", "add", f"{address}/32", "dev", "wan0")
    _run(world, "ip", "rule", "add", "iif", "wan0", "lookup", "100")
    _run(world, "ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "100")
    rules = f"""
    table ip stranger {{
      chain answered {{
        type nat hook prerouting priority dstnat;
        ip daddr != 203.0.113.0/24 meta l4proto tcp redirect to :{_PORT}
      }}
    }}"""
    _run(world, "nft", rules)
    answering = namespaces.open_socket(world, socket.AF_INET, socket.SOCK_STREAM)
    watching = namespaces.open_socket(world, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_IPV4))
    answering.bind(("0.0.0.0", _PORT))
    answering.listen(64)
    made, ended = Witness(), threading.Event()

    def answer_all() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                caller, _ = answering.accept()
                with caller:
                    caller.sendall(f"{STRANGER}\n".encode())

    def watch() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                packet = watching.recv(64)
                made.seen.add((socket.inet_ntoa(packet[16:20]), packet[9]))

    threads = [threading.Thread(target=work, name=f"the stranger: {work.__name__}") for work in (answer_all, watch)]
    for each in (answering, watching):
        each.settimeout(0.2)
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        ended.set()
        for thread in threads:
            thread.join()
        for each in (answering, watching):
            each.close()


def _run(netns: Path, *words: str) -> None:
    command = ["nsenter", f"--net={netns}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"


@contextlib.contextmanager
def names(netns: Path, known: Mapping[str, str]) -> Iterator[None]:
    """Answered at 127.0.0.1:PORT of the namespace, until the end."""
    server = namespaces.open_socket(netns, socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", PORT))
    server.settimeout(0.2)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                packet, caller = server.recvfrom(4096)
                server.sendto(answer(packet, known), caller)

    thread = threading.Thread(target=serve, name="names of the world")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        server.close()


def answer(packet: bytes, known: Mapping[str, str]) -> bytes:
    """To a message with one question: the address of a name of type A, nothing for other types, else NXDOMAIN."""
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    question = packet[12 : at + 5]
    name, kind = ".".join(labels).lower(), int.from_bytes(packet[at + 1 : at + 3])
    found = known.get(name) if kind == _A else None
    record = b""
    if found is not None:
        numbers = (0xC00C, _A, _IN)
        record = b"".join(number.to_bytes(2) for number in numbers)
        record += (60).to_bytes(4) + (4).to_bytes(2) + ipaddress.IPv4Address(found).packed
    flags = 0x8180 | (0 if name in known else 3)
    counts = (1, 1 if found else 0, 0, 0)
    return packet[:2] + flags.to_bytes(2) + b"".join(count.to_bytes(2) for count in counts) + question + record
