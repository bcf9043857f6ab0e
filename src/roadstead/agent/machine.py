"""What the machine has: read when it is asked for, from /proc and from the machine's network namespace.

Texts of the kernel are parsed by pure functions; `see` alone reads. It blocks for some milliseconds.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Collection
from pathlib import Path

from roadstead.agent.links import kernel, namespaces
from roadstead.contract.messages import machine
from roadstead.core import errors, instance

_UP = 0x1
_REJECT = 0x200
"""Of a route: RTF_UP, RTF_REJECT of linux/route.h."""


def see(places: instance.Instance, spawn: float = 0.0, late: float = 0.0) -> machine.Machine:
    """The machine as it is now. Raises Failed for texts that no kernel is known to write."""
    memory = parse_memory(Path("/proc/meminfo").read_text())
    room = os.statvfs(places.state)
    return machine.Machine(
        memory=memory["MemTotal"],
        available=memory["MemAvailable"],
        cores=len(os.sched_getaffinity(0)),
        disk=room.f_blocks * room.f_frsize,
        free=room.f_bavail * room.f_frsize,
        routes=_routes(places),
        kernel=os.uname().release,
        spawn=spawn,
        late=late,
    )


def parse_memory(text: str) -> dict[str, int]:
    """Of /proc/meminfo what is counted in kB, in bytes. Raises Failed without the two that are needed."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[0].isdecimal() and words[1] == "kB":
            found[name] = int(words[0]) * 1024
    missing = {"MemTotal", "MemAvailable"} - found.keys()
    if missing:
        raise errors.Failed(f"/proc/meminfo does not say {', '.join(sorted(missing))}")
    return found


def parse_routes(text: str, own: Collection[str]) -> tuple[machine.Route, ...]:
    """Of /proc/net/route (columns: net/ipv4/fib_trie.c) what leads out by a device that is not `own`."""
    found = set()
    for line in text.splitlines()[1:]:
        device, to, via, flags, _, _, _, mask, *_ = line.split()
        usable = int(flags, 16) & _UP and not int(flags, 16) & _REJECT
        if usable and device not in own:
            network = ipaddress.IPv4Network(f"{_address(to)}/{_address(mask)}")
            found.add((network, device, None if int(via, 16) == 0 else _address(via)))
    ordered = sorted(found, key=lambda each: (each[0], each[1], each[2] or ""))
    return tuple(machine.Route(to=str(network), device=device, via=via) for network, device, via in ordered)


def _address(word: str) -> str:
    """Addresses are printed as numbers of the machine's own byte order."""
    return socket.inet_ntoa(int(word, 16).to_bytes(4, sys.byteorder))


def _routes(places: instance.Instance) -> tuple[machine.Route, ...]:
    path = places.machine_netns or namespaces.OWN
    with kernel.Kernel(path) as inside:
        links = inside.links()
    mine = places.alias("")
    own = {link.name for link in links.values() if link.alias.startswith(mine)}
    with namespaces.opened(path) as namespace, namespaces.entered(namespace):
        text = Path("/proc/thread-self/net/route").read_text()
    return parse_routes(text, own)
