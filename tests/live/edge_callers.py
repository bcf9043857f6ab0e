"""Callers who say nothing, a program of its own: see edge_lab.

    edge_callers.py ADDRESS PORT COUNT SOURCE...

So many connections from each source, held until standard input ends. Says `calling` when all were begun.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys


def main(address: str, port: int, count: int, sources: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    for source in sources:
        for _ in range(count):
            one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            one.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are chosen by the connection
            one.bind((source, 0))
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect((address, port))
            held.append(one)
    print("calling", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
