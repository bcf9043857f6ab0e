"""The edge's two real proxies in front of three small servers, which answer as an API server's health endpoint does.

The proxies have the texts that clusters have, and certificates of a cluster's trust. A server's etcd stalls when a test
says so; a server is frozen by SIGSTOP. The connections of its clients are as idle as a watch that sees nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import secrets
import select
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from testkit import waiting
from tests.live import conftest, fleet

from roadstead.agent.links import namespaces
from roadstead.clusters import trust
from roadstead.clusters.components import edge, facts
from roadstead.contract import layout

LETTERS = "abc"
Stall: TypeAlias = Literal["frozen", "slow"]


def plane() -> facts.ControlPlane:
    """All addresses are on loopback, of a namespace that has nothing else."""
    return facts.ControlPlane(
        id="c-1a2b3c4d",
        name="cluster-1",
        account="123456789012",
        region="eu-central-1",
        release="1.37.2",
        engines=facts.Engines(kubernetes="none", etcd="none", containerd="none"),
        members=tuple(
            facts.Member(letter=letter, zone=letter, etcd=f"127.0.1.{n}", api=f"127.0.2.{n}", api_vpc=f"127.0.3.{n}")
            for n, letter in enumerate(LETTERS, 1)
        ),
        endpoint=facts.Endpoint(control="127.0.4.1", private="127.0.4.2", public="127.0.4.3", port=16443),
        vpc_cidr="192.168.0.0/16",
        service_cidr="10.100.0.0/16",
        webhook="127.0.5.1",
    )


@dataclass(frozen=True)
class Connection:
    """One client's, by TLS through a proxy, to the server of this letter."""

    socket: ssl.SSLSocket
    letter: str

    def is_open(self) -> bool:
        """Whether neither proxy nor server has ended it."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        return not readable or bool(_received(self.socket))

    def answers(self) -> bool:
        """Whether the server answers one more request by it."""
        with contextlib.suppress(OSError):
            return _asked(self.socket) == self.letter
        return False


@dataclass
class Edge:
    """Servers and proxies that run."""

    netns: Path
    folder: Path
    client: ssl.SSLContext
    servers: Mapping[str, subprocess.Popen[bytes]]
    connections: list[Connection] = field(default_factory=list)

    def etcd_stalls(self, letters: str, how: Stall = "frozen") -> None:
        for letter in letters:
            (self.folder / f"{letter}.{how}").touch()

    def etcd_goes_on(self, letters: str) -> None:
        for letter in letters:
            for how in get_args(Stall):
                (self.folder / f"{letter}.{how}").unlink(missing_ok=True)

    @contextlib.contextmanager
    def frozen(self, letter: str) -> Iterator[None]:
        self.servers[letter].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.servers[letter].send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def called(self, address: str, count: int, *sources: str) -> Iterator[None]:
        """By so many connections from each source that say nothing; when all of them were begun."""
        program = (sys.executable, str(Path(__file__).with_name("edge_callers.py")))
        with subprocess.Popen(
            ["nsenter", f"--net={self.netns}", *program, address, str(facts.API_PORT), str(count), *sources],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as callers:
            assert callers.stdout is not None
            try:
                assert callers.stdout.readline() == b"calling\n"
                yield
            finally:
                callers.kill()

    def held(self, address: str, source: str) -> int:
        """How many connections from there the proxies have: those that they refused are closed."""
        asked = ("ss", "-Htn", "state", "established", f"src {address} and dst {source}")
        return len(fleet.inside(self.netns, *asked).stdout.splitlines())

    def connect(self, address: str = "", source: str = "") -> Connection:
        """A new one, to whichever server the proxy chooses; from outside unless another address is named."""
        plain = namespaces.open_socket(self.netns, socket.AF_INET, socket.SOCK_STREAM)
        with contextlib.ExitStack() as unless_made:
            unless_made.callback(plain.close)
            plain.settimeout(5)
            if source:
                plain.bind((source, 0))
            plain.connect((address or plane().endpoint.control, facts.API_PORT))
            wrapped = self.client.wrap_socket(plain, server_hostname="kubernetes")
            made = Connection(wrapped, _asked(wrapped))
            unless_made.pop_all()
        self.connections.append(made)
        return made

    def reached(self, count: int) -> set[str]:
        """The servers to which so many new connections lead, one after another; they are closed again."""
        found = set()
        for _ in range(count):
            made = self.connect()
            found.add(made.letter)
            made.socket.close()
        return found

    def some_to_each(self) -> dict[str, list[Connection]]:
        """Two to each, by both proxies: which of them takes a connection is the kernel's choice."""
        found: dict[str, list[Connection]] = {letter: [] for letter in LETTERS}

        def enough() -> bool:
            made = self.connect()
            found[made.letter].append(made)
            return all(len(each) >= 2 for each in found.values())

        waiting.until("connections to each server", enough, 20, every=0.01)
        return found

    def ready(self) -> set[str]:
        """The servers that one proxy or the other takes for ready, by the last word in their logs."""
        return {letter for number in (1, 2) for letter in LETTERS if self._last(number, letter) == "UP"}

    def until_all_are_ready(self) -> None:
        def ready() -> bool:
            return all(self._last(number, letter) == "UP" for number in (1, 2) for letter in LETTERS)

        waiting.until("both proxies take all servers for ready", ready, 20)

    def _last(self, number: int, letter: str) -> str:
        told = re.findall(rf"^Server api-servers/api-{letter} is (\w+)", self.log(number), re.MULTILINE)
        return str(told[-1]) if told else "UP"

    def log(self, number: int) -> str:
        return (self.folder / f"{edge.name(number)}.log").read_text()

    def forget(self) -> None:
        """All connections are closed, all servers are well."""
        self.etcd_goes_on(LETTERS)
        for each in self.connections:
            each.socket.close()
        self.connections.clear()
        self.until_all_are_ready()


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Edge]:
    """Until the end; nothing of it is left."""
    netns = conftest.machine_namespace(f"edge-{secrets.token_hex(4)}")
    netns.parent.mkdir(exist_ok=True)
    namespaces.create(netns)
    with contextlib.ExitStack() as ends:
        ends.callback(_leave, netns)
        fleet.inside(netns, "ip", "link", "set", "lo", "up").check_returncode()
        roots = _write_files(folder)
        program = (sys.executable, str(Path(__file__).with_name("edge_server.py")))
        servers = {}
        for each in plane().members:
            started = (*program, each.letter, each.api, str(facts.API_PORT), each.etcd, str(facts.ETCD_PORT))
            servers[each.letter] = ends.enter_context(_process(netns, folder, f"server-{each.letter}", *started))
        client = ssl.create_default_context(cadata=roots.cluster.certificate.decode())
        made = Edge(netns, folder, client, servers)
        for number in (1, 2):
            command = ("haproxy", "-f", str(folder / edge.name(number) / "haproxy.cfg"))
            ends.enter_context(_process(netns, folder, edge.name(number), *command))
        waiting.until("each server is reached", lambda: _reaches_all(made), 20)
        made.forget()
        yield made
        made.forget()


def _reaches_all(made: Edge) -> bool:
    try:
        return made.reached(12) == set(LETTERS)
    except OSError:
        # A proxy or a server does not listen yet.
        return False


def _write_files(folder: Path) -> trust.Trust:
    now = dt.datetime.now(dt.UTC)
    of = plane()
    roots = trust.created(of.id, now)
    made = trust.files(of, roots, now)
    for letter in LETTERS:
        own = made[f"api-{letter}/kube-apiserver"]
        (folder / f"{letter}.pem").write_bytes(own["serving.pem"] + own["serving.key"])
    for number in (1, 2):
        unit = edge.unit(of, number, {})
        place = folder / edge.name(number)
        place.mkdir()
        (place / "ca.pem").write_bytes(roots.cluster.certificate)
        for name, file in unit.files.items():
            assert file.content is not None
            (place / name).write_text(file.content.replace(f"{layout.FILES}/{edge.name(number)}", str(place)))
    return roots


@contextlib.contextmanager
def _process(netns: Path, folder: Path, name: str, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as out:
        process = subprocess.Popen(
            ["nsenter", f"--net={netns}", *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=folder,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _leave(netns: Path) -> None:
    namespaces.delete(netns)
    if not any(netns.parent.iterdir()):
        namespaces.unshare_folder(netns.parent)


def _asked(connection: ssl.SSLSocket) -> str:
    connection.sendall(b"GET /who HTTP/1.1\r\nHost: kubernetes\r\n\r\n")
    return _received(connection)[-1:].decode()


def _received(connection: ssl.SSLSocket) -> bytes:
    try:
        return connection.recv(4096)
    except OSError:
        # Reset is an end, too.
        return b""
