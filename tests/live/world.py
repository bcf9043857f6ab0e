"""The world's names for live tests: a server of a few, on loopback of a namespace that stands for a machine.

Source of the format: RFC 1035, section 4.1. Whatever else is asked does not exist.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from roadstead.agent.links import namespaces

PORT = 5353
NAMES = {"ship.example": "203.0.113.9"}
_A, _IN = 1, 1


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
