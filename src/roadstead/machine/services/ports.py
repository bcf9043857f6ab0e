"""Who listens on a TCP port of this machine, from /proc; asked before a service is to have the port."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from roadstead.core import errors

_LISTEN = "0A"
"""TCP_LISTEN of net/tcp_states.h."""


@dataclass(frozen=True)
class Holder:
    """A process that listens. `pid` is None where it cannot be seen (another user's, or another namespace's)."""

    pid: int | None
    command: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})" if self.pid is not None else "a process that cannot be seen here"


def check(address: str, port: int, netns: Path | None, own: int | None) -> None:
    """Raises Conflict when somebody else than the process `own` has the port. `netns`: the namespace to look in."""
    found = holder(inodes(_sockets(netns), address, port))
    if found is not None and (own is None or found.pid != own):
        raise errors.Conflict(
            f"port {port} of {address} is taken by {found}: end that, or give `roadstead start` another --port",
            port=port,
            pid=found.pid,
        )


def check_own(address: str, netns: Path | None) -> None:
    """Raises Invalid when it is no address of this machine, at which nothing would ever come in."""
    # Bound and let go: only what is the machine's own can be bound.
    words = (sys.executable, "-c", "import socket, sys; socket.socket().bind((sys.argv[1], 0))", address)
    enter = () if netns is None else ("nsenter", f"--net={netns}", "--")
    if subprocess.run((*enter, *words), capture_output=True, check=False, timeout=10).returncode != 0:
        raise errors.Invalid(f"{address} is no address of this machine: `ip address` shows those that it has")


def _sockets(netns: Path | None) -> str:
    files = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
    if netns is None:
        return "".join(Path(file).read_text() for file in files if Path(file).exists())
    command = ("nsenter", f"--net={netns}", "--", "cat", *files)
    # Without IPv6 there is no tcp6, which cat complains of; what it has read counts.
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout


def inodes(text: str, address: str, port: int) -> frozenset[int]:
    """Of the listening sockets in the form of /proc/net/tcp that would be in the way of this address. Pure."""
    wanted = ipaddress.ip_address(address)
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 10 or words[3] != _LISTEN:
            continue
        host, _, number = words[1].partition(":")
        if int(number, 16) == port and _meet(_address(host), wanted):
            found.add(int(words[9]))
    return frozenset(found)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel prints words of 32 bits in the machine's order (little on what engines exist for)."""
    raw = b"".join(bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    found = ipaddress.ip_address(raw)
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _meet(
    one: ipaddress.IPv4Address | ipaddress.IPv6Address, other: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> bool:
    """Whether two listeners on the same port exclude each other; `::` may take IPv4 too."""
    if one.version != other.version:
        return one.is_unspecified and one.version == 6
    return one == other or one.is_unspecified or other.is_unspecified


def holder(sockets: frozenset[int]) -> Holder | None:
    """The process that has one of these sockets; None when there are no sockets."""
    if not sockets:
        return None
    names = {f"socket:[{inode}]" for inode in sockets}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            if any(str(link.readlink()) in names for link in (folder / "fd").iterdir()):
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return Holder(int(folder.name), command)
        except OSError:
            # It ended meanwhile, or is not ours to look into.
            continue
    return Holder(None)
