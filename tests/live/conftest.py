"""The live tests' machine: root, real processes, and a namespace that stands for the machine's own network.

Every agent here runs an instance of its own with `--owner-pid` of the test run, so that nothing outlives a run that
is killed; at the end the machine is compared with what it was.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.live import machine

from roadstead.agent import purge
from roadstead.agent.links import namespaces
from roadstead.agent_client import Client
from roadstead.core import errors, instance

ROOT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="live tests need root"))


@pytest.fixture(scope="session", autouse=True)
def machine_as_it_was() -> Iterator[None]:
    """Fails the run when anything of the machine is not as it was before."""
    os.environ[machine.MARK] = secrets.token_hex(8)
    before = machine.snapshot()
    yield
    deadline = time.monotonic() + 10
    left = machine.differences(before, machine.snapshot())
    while left and time.monotonic() < deadline:
        # The kernel takes namespaces and cgroups down on its own time.
        time.sleep(0.2)
        left = machine.differences(before, machine.snapshot())
    assert not left, "the machine is not as it was:\n" + "\n".join(left)


@dataclass
class RunningAgent:
    """An agent of its own instance, and how to speak to it."""

    places: instance.Instance
    client: Client
    process: subprocess.Popen[bytes]
    log: Path

    def restart(self) -> float:
        """Start an agent after the last one ended; seconds until it answers."""
        started = time.monotonic()
        self.process = spawn(self.places, self.log)
        answered(self.client, self.process, self.log)
        return time.monotonic() - started

    def kill(self) -> None:
        """kill -9, as a crash would be."""
        self.process.kill()
        self.process.wait(10)


def spawn(places: instance.Instance, log: Path, owner: int | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "roadstead.agent.main", "--instance", places.id]
    command += ["--owner-pid", str(owner or os.getpid())]
    if places.machine_netns is not None:
        command += ["--machine-netns", str(places.machine_netns)]
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            cwd="/",
        )


def answered(client: Client, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the agent's API answers; fails with its log when it ended or took 20 s."""
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(errors.Busy, ConnectionError):
            client.status()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the agent does not answer:\n{log.read_text()[-4000:]}")
        time.sleep(0.01)


@contextlib.contextmanager
def running_agent(folder: Path) -> Iterator[RunningAgent]:
    """An agent of a new instance; afterwards everything of the instance is gone, or the test fails."""
    id = f"t-{secrets.token_hex(4)}"
    netns = Path("/run/roadstead-tests") / id
    netns.parent.mkdir(exist_ok=True)
    namespaces.create(netns)
    subprocess.run(["nsenter", f"--net={netns}", "ip", "link", "set", "lo", "up"], check=True)
    places = instance.Instance.named(id, netns)
    client = Client(places.socket)
    log = folder / f"agent-{id}.log"
    process = spawn(places, log)
    agent = RunningAgent(places, client, process, log)
    try:
        answered(client, process, log)
        yield agent
    finally:
        if agent.process.poll() is None:
            agent.process.terminate()
            agent.process.wait(20)
        purge.purge(places)
        namespaces.delete(netns)
        if not any(netns.parent.iterdir()):
            namespaces.unshare_folder(netns.parent)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningAgent]:
    """One agent for a module's tests; each leaves it empty."""
    with running_agent(tmp_path_factory.mktemp("agent")) as running:
        yield running
        log = running.log.read_text()
        assert "Traceback" not in log, log[-6000:]
