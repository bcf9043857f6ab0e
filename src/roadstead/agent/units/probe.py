"""One question to a unit: does it answer? Asked in the network namespace of its host."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, assert_never

from roadstead.agent.units import service
from roadstead.contract.messages import desired
from roadstead.core import errors

TIMEOUT = 3.0
"""Seconds for a connection and its answer."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.2
"""Seconds between questions while a unit starts: doubling from the first to the longest."""
SECOND_LOOK = 0.5
"""Seconds until a unit that was ready and did not answer is asked once more."""

OpenSocket = Callable[[Path | None, int, int], socket.socket]
"""(network namespace, address family, type) to a socket in that namespace."""


class Run(Protocol):
    """Runs a command inside a host as a user; returns its exit code and its output (both streams)."""

    def __call__(self, host_id: str, uid: int, argv: list[str], timeout: float) -> Awaitable[tuple[int, str]]: ...


@dataclass(frozen=True)
class Place:
    """Where a unit is asked."""

    host_id: str
    netns: Path | None
    files: Path
    """The unit's files, as the machine sees them."""
    uid: int


@dataclass
class Prober:
    """Asks units. Keeps the TLS context of each probe for as long as its files are the same."""

    open_socket: OpenSocket
    run: Run
    _contexts: dict[tuple[Path, desired.HttpsProbe], tuple[tuple[tuple[int, int], ...], ssl.SSLContext]] = field(
        default_factory=dict
    )

    async def ask(self, place: Place, probe: desired.TcpProbe | desired.HttpsProbe | desired.CommandProbe) -> str:
        """An empty answer when it is well, else why not, for a human."""
        try:
            match probe:
                case desired.TcpProbe():
                    async with asyncio.timeout(TIMEOUT):
                        await self._tcp(place, probe)
                    return ""
                case desired.HttpsProbe():
                    async with asyncio.timeout(TIMEOUT):
                        return await self._https(place, probe)
                case desired.CommandProbe():
                    return await self._command(place, probe)
        except TimeoutError:
            return f"{_what(probe)} did not answer within {TIMEOUT:g} s"
        except ssl.SSLError as error:
            return f"{_what(probe)}: {getattr(error, 'verify_message', None) or error.reason or error}"
        except OSError as error:
            return f"{_what(probe)}: {os.strerror(error.errno) if error.errno else error}"
        except errors.Failed as error:
            return f"{_what(probe)}: {error}"
        assert_never(probe)

    def forget(self, folder: Path) -> None:
        """Without what was kept for the unit whose files are in that folder."""
        self._contexts = {key: kept for key, kept in self._contexts.items() if key[0] != folder}

    async def _tcp(self, place: Place, probe: desired.TcpProbe) -> None:
        with await self._connect(place, probe.address, probe.port):
            pass

    async def _connect(self, place: Place, address: str, port: int) -> socket.socket:
        sock = self.open_socket(place.netns, socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def _https(self, place: Place, probe: desired.HttpsProbe) -> str:
        context = self._context(place, probe)
        with await self._connect(place, probe.address, probe.port) as sock:
            name = probe.server_name or probe.address
            # TLS second: a connection with TLS that is given up in its first moment is kept by asyncio until its
            # handshake times out, and the next socket with its descriptor is refused all the while.
            reader, writer = await asyncio.open_connection(sock=sock)
            plain = writer.transport
            try:
                await writer.start_tls(context, server_hostname=name)
                writer.write(f"GET {probe.path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
                answer = (await reader.readline()).decode(errors="replace").strip()
            finally:
                plain.abort()
        if answer.split(" ")[1:2] == ["200"]:
            return ""
        return f"{_what(probe)} answered {answer[:100]!r}"

    def _context(self, place: Place, probe: desired.HttpsProbe) -> ssl.SSLContext:
        names = [name for name in (probe.ca, probe.certificate, probe.key) if name is not None]
        facts = [(place.files / name).lstat() for name in names]
        stamps = tuple((one.st_ino, one.st_mtime_ns) for one in facts)
        kept = self._contexts.get((place.files, probe))
        if kept is not None and kept[0] == stamps:
            return kept[1]
        context = ssl.create_default_context(cafile=str(place.files / probe.ca))
        if probe.certificate is not None:
            key = None if probe.key is None else place.files / probe.key
            # Without a password the library would ask the terminal for that of an encrypted key, and wait.
            context.load_cert_chain(place.files / probe.certificate, key, password="")
        self._contexts[place.files, probe] = (stamps, context)
        return context

    async def _command(self, place: Place, probe: desired.CommandProbe) -> str:
        argv = [*service.program(probe.engine, probe.component), *probe.arguments]
        code, output = await self.run(place.host_id, place.uid, argv, probe.timeout)
        if code == 0:
            return ""
        last = output.strip().splitlines()[-1:] or ["it said nothing"]
        return f"{_what(probe)} exited with code {code}: {last[0][:200]}"


def pause(tries: int) -> float:
    """Seconds until a starting unit is asked again, after that many questions."""
    return min(FIRST_PAUSE * float(2 ** min(tries, 10)), LONGEST_PAUSE)


def _what(probe: desired.TcpProbe | desired.HttpsProbe | desired.CommandProbe) -> str:
    match probe:
        case desired.TcpProbe():
            return f"tcp {probe.address}:{probe.port}"
        case desired.HttpsProbe():
            return f"https {probe.address}:{probe.port}{probe.path}"
        case desired.CommandProbe():
            return f"command {probe.component}"
    assert_never(probe)
