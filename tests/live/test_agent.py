"""The agent as a whole: sockets that are passed, ports that are published, logs, secrets, who may ask.

Cost: about 15 s.
"""

from __future__ import annotations

import contextlib
import functools
import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import conftest, fleet

from roadstead.contract.messages import desired

pytestmark = pytest.mark.live

USER = LISTENER = 64100
"""A user id that nobody has: the unprivileged process of these tests."""
CALLER = 64102
"""One that may call, as serve does."""

PYTHON = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or sys.executable
"""One that other users can read."""

FETCH = """
import json, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(json.dumps({"process": sys.argv[2]}).encode() + b"\\n")
data, descriptors, _, _ = socket.recv_fds(client, 65536, 8)
listed = json.loads(data) if data else []
print(json.dumps(listed), flush=True)
for descriptor in descriptors:
    server = socket.socket(fileno=descriptor)
    peer, address = server.accept()
    peer.sendall(f"hello {address[0]} from {__import__('os').getuid()}".encode())
    peer.close()
"""


@pytest.fixture(scope="module")
def pair(agent: conftest.RunningAgent) -> Iterator[conftest.RunningAgent]:
    """Two hosts in two zones of one network."""
    agent.client.accept(fleet.fleet(agent.client, 2))
    agent.client.wait_ready(30)
    yield agent
    fleet.delete_all(agent.client)


def unprivileged(
    agent: conftest.RunningAgent, process: str, user: int = USER
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """What fetches the sockets of `process`; afterwards it has ended."""
    return run_as(user, FETCH, str(agent.places.passing_socket), process)


@contextlib.contextmanager
def run_as(user: int, program: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A program in Python of a user that has one group; afterwards it has ended."""
    with subprocess.Popen(
        [PYTHON, "-c", program, *words],
        user=user,
        group=user,
        extra_groups=[],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def test_a_socket_in_a_hosts_namespace_is_passed_to_its_unprivileged_process(pair: conftest.RunningAgent) -> None:
    listener = desired.Listener(namespace="host", of="h0", address="0.0.0.0", port=80, process="porter", user=USER)
    pair.client.accept(fleet.put(1, listeners={"door": listener}))
    pair.client.wait(lambda seen: seen["listeners", "door"].phase == "ready", 10)
    where = fleet.address(0, fleet.network())[1]
    with unprivileged(pair, "porter") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())[0]["id"] == "door"
        read = "import socket,sys; print(socket.create_connection((sys.argv[1], 80), 5).recv(100).decode())"
        answer = fleet.inside(pair.places.host("h1").netns, sys.executable, "-c", read, where)
        from_ = fleet.address(1, fleet.network())[1]
        assert answer.stdout.strip() == f"hello {from_} from {USER}", answer.stderr
        assert process.wait(20) == 0
    # In earlier releases they were for who asked for them; such a one is kept, and for who gets them now.
    former = desired.Listener(namespace="host", of="h0", address="0.0.0.0", port=81, process="former", user=CALLER)
    pair.client.accept(fleet.put(1, listeners={"former": former}))
    pair.client.wait(lambda seen: seen["listeners", "former"].phase == "ready", 10)
    with unprivileged(pair, "former") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())[0]["id"] == "former"
    for other in (USER + 1, CALLER):
        with unprivileged(pair, "porter", other) as process:
            assert "Permission denied" in process.communicate(timeout=20)[1]
    pair.client.accept(delete={"listeners": {"door": 1, "former": 1}})
    pair.client.wait(lambda seen: not any(kind == "listeners" for kind, _ in seen), 10)


def test_a_published_port_leads_from_the_machine_into_the_host(pair: conftest.RunningAgent) -> None:
    where = fleet.address(0, fleet.network())[1]
    publish = desired.Publish(address="127.0.0.1", port=7001, network="net", target=where, target_port=7000)
    pair.client.accept(fleet.put(1, publishes={"web": publish}))
    pair.client.wait(lambda seen: seen["publishes", "web"].phase == "ready", 10)
    serve = "import socket, sys; s = socket.create_server((sys.argv[1], 7000)); print(1, flush=True); "
    serve += "s.accept()[0].sendall(b'in')"
    host = ["nsenter", f"--net={pair.places.host('h0').netns}"]
    assert pair.places.machine_netns is not None
    with subprocess.Popen([*host, sys.executable, "-c", serve, where], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        read = "import socket; print(socket.create_connection(('127.0.0.1', 7001), 5).recv(9).decode())"
        try:
            answer = fleet.inside(pair.places.machine_netns, sys.executable, "-c", read)
        finally:
            server.kill()
        assert answer.stdout.strip() == "in", answer.stderr
    pair.client.accept(delete={"publishes": {"web": 1}})
    pair.client.wait(lambda seen: ("publishes", "web") not in seen, 10)


def test_the_socket_is_roots_and_the_machines_own_network_is_untouched(pair: conftest.RunningAgent) -> None:
    for path, user in ((pair.places.socket, CALLER), (pair.places.passing_socket, LISTENER)):
        facts = path.stat()
        assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (0, user, 0o660)
    knock = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    done = subprocess.run(
        [PYTHON, "-c", knock, str(pair.places.socket)],
        user=USER,
        group=USER,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert "PermissionError" in done.stderr
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert pair.places.id not in links


def test_secret_files_come_as_blobs_and_are_for_the_hosts_user_alone(pair: conftest.RunningAgent) -> None:
    digest = pair.client.keep_blob(b"a secret of 40 bytes, never in a message")
    unit = desired.Unit(
        engine="pause",
        component="pause",
        files={"key": desired.UnitFile(blob=digest, secret=True), "conf": desired.UnitFile(content="open")},
    )
    pair.client.accept(fleet.put(1, units={"h1/second": unit}))
    seen = pair.client.wait_ready(20)
    folder = pair.places.host("h1").files / "second"
    assert (folder / "key").read_bytes().startswith(b"a secret")
    pid = seen["units", "h1/second"].pid
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner != 0
    assert ((folder / "key").stat().st_mode & 0o777, (folder / "key").stat().st_uid) == (0o400, owner)
    assert (folder / "conf").stat().st_mode & 0o777 == 0o444
    other = Path(f"/proc/{seen['units', 'h0/main'].pid}").stat().st_uid
    assert other != owner, "two hosts share no user"
    assert "a secret" not in json.dumps(pair.client.wanted())
    assert "a secret" not in pair.log.read_text()
    pair.client.accept(delete={"units": {"h1/second": 1}})
    pair.client.wait(lambda seen: ("units", "h1/second") not in seen, 20)
    assert not folder.exists()
    assert not Path(f"/proc/{pid}/root").exists()


def test_a_unit_that_cannot_start_says_why_and_its_log_can_be_read(pair: conftest.RunningAgent) -> None:
    unit = desired.Unit(engine="system", component="haproxy", flags={"f": "/etc/units/proxy/missing"})
    pair.client.accept(fleet.put(1, units={"h0/proxy": unit}))
    seen = pair.client.wait(
        lambda seen: seen["units", "h0/proxy"].phase == "failing" and seen["units", "h0/proxy"].exit is not None, 20
    )
    assert seen["units", "h0/proxy"].exit is not None
    assert seen["units", "h0/proxy"].exit.code == 1
    deadline = time.monotonic() + 10
    while b"Cannot open configuration file" not in (log := b"".join(pair.client.logs("h0", "proxy"))):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)
    pair.client.accept(delete={"units": {"h0/proxy": 1}})
    pair.client.wait(lambda seen: ("units", "h0/proxy") not in seen, 20)


def test_a_slow_reader_and_a_broken_request_do_not_disturb_the_agent(pair: conftest.RunningAgent) -> None:
    idle = [socket.socket(socket.AF_UNIX) for _ in range(50)]
    try:
        for one in idle:
            one.connect(str(pair.places.socket))
            one.sendall(b"PUT /v1/desired HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        began = time.monotonic()
        assert pair.client.status().pid == pair.process.pid
        # One that waits for them would never answer.
        assert time.monotonic() - began < 20
    finally:
        for one in idle:
            one.close()
    assert pair.places.socket.exists()


FLOOD = """
import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].connect(sys.argv[1])
ended = 0
for one in reversed(held):
    # Less than the agent gives to who says nothing.
    one.settimeout(0.01 if ended else 2)
    try:
        ended += one.recv(1) == b""
    except TimeoutError:
        pass
    except ConnectionResetError:
        ended += 1
print(ended, flush=True)
sys.stdin.read()
"""


def flood(path: Path, user: int, count: int) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """Connections of a user that say nothing; the first line says how many of them were ended by the agent."""
    return run_as(user, FLOOD, str(path), str(count))


@pytest.mark.parametrize(("which", "user", "most"), [("socket", CALLER, 128), ("passing_socket", LISTENER, 16)])
def test_a_user_has_so_many_connections_at_once_and_takes_nothing_from_others(
    pair: conftest.RunningAgent, which: str, user: int, most: int
) -> None:
    before = len(list(Path(f"/proc/{pair.process.pid}/fd").iterdir()))
    with flood(getattr(pair.places, which), user, 400) as flooding:
        assert flooding.stdout is not None
        assert int(flooding.stdout.readline()) >= 400 - most
        assert len(list(Path(f"/proc/{pair.process.pid}/fd").iterdir())) < before + most + 20
        assert pair.client.status().pid == pair.process.pid
    # What is closed counts no more, as soon as the agent has seen it.
    deadline = time.monotonic() + 20
    while True:
        with flood(getattr(pair.places, which), user, 1) as one:
            assert one.stdout is not None
            if one.stdout.readline() == "0\n":
                break
            assert time.monotonic() < deadline


def test_without_a_descriptor_left_whoever_knocks_waits_and_is_answered(tmp_path: Path) -> None:
    """As where units, pods and files have the last one: nobody is let in, and nothing ends."""
    with conftest.running_agent(tmp_path, CALLER, LISTENER) as agent, contextlib.ExitStack() as stack:
        limits = resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE)
        back = functools.partial(resource.prlimit, agent.process.pid, resource.RLIMIT_NOFILE, limits)
        stack.callback(back)
        # Numbers below it were all taken at the agent's start.
        resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (6, limits[1]))
        asker = threading.Thread(target=agent.client.status)
        asker.start()
        knock = stack.enter_context(socket.socket(socket.AF_UNIX))
        knock.connect(str(agent.places.passing_socket))
        deadline = time.monotonic() + 20
        while agent.log.read_text().count("nobody can connect just now: [Errno 24]") < 2:
            assert time.monotonic() < deadline, agent.log.read_text()[-2000:]
            time.sleep(0.05)
        assert asker.is_alive()
        back()
        asker.join(20)
        assert not asker.is_alive()
        assert agent.process.poll() is None
        with unprivileged(agent, "nobody") as process:
            assert process.communicate(timeout=20)[0] == "[]\n"


def test_units_are_told_by_signals_also_when_the_agents_starter_ignored_them(tmp_path: Path) -> None:
    """As under nohup: what is ignored is inherited, and a program that keeps it so would never reload."""
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with conftest.running_agent(tmp_path) as agent:
            agent.client.accept(fleet.fleet(agent.client, 1))
            pid = agent.client.wait_ready(20)["units", "h0/main"].pid
            status = Path(f"/proc/{pid}/status").read_text()
    finally:
        signal.signal(signal.SIGHUP, ignored)
    mask = int(next(line for line in status.splitlines() if line.startswith("SigIgn")).split()[1], 16)
    assert mask & (1 << (signal.SIGHUP - 1)) == 0
