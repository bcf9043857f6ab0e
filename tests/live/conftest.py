"""The live tests' machine: root, real processes, and a namespace that stands for the machine's own network.

Every agent here runs an instance of its own with `--owner-pid` of the test run, so that nothing outlives a run that
is killed; at the end the machine is compared with what it was.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.live import again, machine

from roadstead.agent import purge
from roadstead.agent.links import namespaces
from roadstead.agent_client import Client
from roadstead.core import errors, instance
from roadstead.machine import installation, start
from roadstead.machine.doctor import mend
from roadstead.machine.supervision import make, tree

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = Path("/run/roadstead-tests")
"""Namespaces that stand for machines: `ID.PID.STARTTIME`, the process being the test run that made it."""
OWNED = re.compile(r"[^.]+\.(?P<pid>\d+)\.(?P<started>\d+)(-[a-z0-9-]+)?")
"""With `-WORD` behind it: another namespace of the same test."""


only_in_soak = pytest.mark.skipif("ROADSTEAD_ALL_FAULTS" not in os.environ, reason="only in `make soak`")
"""A fault that differs from one that is tested by a letter or a number alone."""
NOT_AS_IT_WAS = "the machine is not as it was:\n"
FIGURES = pytest.StashKey[list[str]]()
"""Lines that a run shows at its end, also when all is well."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FIGURES] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Says what failed to who may run it again."""
    if not report.failed or (file := os.environ.get(again.FAILED)) is None:
        return
    with Path(file).open("a") as failed:
        failed.write(f"{again.LEFT if NOT_AS_IT_WAS in report.longreprtext else report.nodeid}\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = terminalreporter.config.stash[FIGURES]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="live tests need root"))
    # What lives to the end of the run last: the shared node, and the shared cluster, which no other is to run beside.
    items.sort(key=lambda item: (lane(item) == "cluster", "shared_node" in getattr(item, "fixturenames", ())))
    if (wanted := os.environ.get(again.LANE)) is not None:
        others = [item for item in items if lane(item) != wanted]
        items[:] = [item for item in items if lane(item) == wanted]
        config.hook.pytest_deselected(items=others)


def lane(item: pytest.Item) -> str:
    """Of those of `again.LANES`."""
    fixtures = getattr(item, "fixturenames", ())
    if "shared_cluster" in fixtures:
        return "cluster"
    if item.get_closest_marker("machine"):
        return "machine"
    return "apart p-z" if "shared_node" in fixtures or item.path.stem > "test_p" else "apart a-o"


@pytest.fixture(scope="session", autouse=True)
def machine_as_it_was() -> Iterator[None]:
    """Fails the run when anything of the machine is not as it was before. With lanes, `again` looks at their end."""
    if machine.MARK in os.environ:
        yield
        return
    sweep_namespaces()
    os.environ[machine.MARK] = secrets.token_hex(8)
    before = machine.snapshot()
    yield
    left = machine.left_in_time(before)
    assert not left, NOT_AS_IT_WAS + "\n".join(left)


def machine_namespace(id: str) -> Path:
    """Where the namespace of an instance of this run is, so that a later run can tell that this one has gone."""
    return NAMESPACES / f"{id}.{os.getpid()}.{_started(os.getpid())}"


def sweep_namespaces(folder: Path = NAMESPACES) -> None:
    """Remove the namespaces of runs that were killed. Their agents, whose owner the run was, purge the rest."""
    for path in folder.iterdir() if folder.is_dir() else ():
        owner = OWNED.fullmatch(path.name)
        if owner is not None and _started(int(owner["pid"])) != owner["started"]:
            namespaces.delete(path)
    if folder.is_dir() and not any(folder.iterdir()):
        namespaces.unshare_folder(folder)


@contextlib.contextmanager
def held_namespaces() -> Iterator[None]:
    """Their folder stays meanwhile, though the last namespace of one of several runs goes."""
    held = machine_namespace("held")
    namespaces.create(held)
    try:
        yield
    finally:
        namespaces.delete(held)
        if not any(held.parent.iterdir()):
            namespaces.unshare_folder(held.parent)


def _started(pid: int) -> str | None:
    """When a process was started, in the kernel's ticks since boot (proc(5), stat); None when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


@dataclass
class RunningAgent:
    """An agent of its own instance, and how to speak to it."""

    places: instance.Instance
    client: Client
    process: subprocess.Popen[bytes]
    log: Path
    user: int | None = None
    """The user id besides root's that may call."""
    listener: int | None = None
    """The one that sockets are passed to."""

    def restart(self, *more: str) -> float:
        """Start an agent after the last one ended, with more words; seconds until it answers."""
        started = time.monotonic()
        self.process = spawn(self.places, self.log, None, self.user, self.listener, more)
        answered(self.client, self.process, self.log)
        return time.monotonic() - started

    def kill(self) -> None:
        """kill -9, as a crash would be."""
        self.process.kill()
        self.process.wait(10)


def spawn(
    places: instance.Instance,
    log: Path,
    owner: int | None = None,
    user: int | None = None,
    listener: int | None = None,
    more: tuple[str, ...] = (),
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "roadstead.agent.main", "--instance", places.id]
    command += ["--owner-pid", str(owner or os.getpid())]
    command += [] if user is None else [f"--allow-uid={user}"]
    command += [] if listener is None else [f"--listener-uid={listener}"]
    # Of nobody but root, who runs the tests.
    command += ["--engines", str(engines_of(places))]
    if places.machine_netns is not None:
        command += ["--machine-netns", str(places.machine_netns)]
    with log.open("ab") as out:
        return subprocess.Popen(
            [*command, *more],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            cwd="/",
        )


def engines_of(places: instance.Instance) -> Path:
    """Where serve of an instance finds engines, and the agent what their files may be."""
    return places.state / "cache"


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
def running_agent(folder: Path, user: int | None = None, listener: int | None = None) -> Iterator[RunningAgent]:
    """An agent of a new instance; afterwards everything of the instance is gone, or the test fails."""
    id = f"t-{secrets.token_hex(4)}"
    netns = machine_namespace(id)
    netns.parent.mkdir(exist_ok=True)
    namespaces.create(netns)
    subprocess.run(["nsenter", f"--net={netns}", "ip", "link", "set", "lo", "up"], check=True)
    places = instance.Instance.named(id, netns)
    client = Client(places.socket)
    log = folder / f"agent-{id}.log"
    process = spawn(places, log, None, user, listener)
    agent = RunningAgent(places, client, process, log, user, listener)
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
def agent(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningAgent]:
    """One agent for a module's tests; each leaves it empty. A module's CALLER may call it, LISTENER gets sockets."""
    users = (getattr(request.module, name, None) for name in ("CALLER", "LISTENER"))
    with running_agent(tmp_path_factory.mktemp("agent"), *users) as running:
        yield running
        log = running.log.read_text()
        assert "Traceback" not in log, log[-6000:]


def person(home: Path) -> dict[str, str]:
    """The environment of somebody at a shell with that home, and with the caches of this run."""
    home.mkdir(exist_ok=True)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    others = ("AWS_", "SUDO_", "ROADSTEAD_USER_", "ROADSTEAD_CHECKOUT", "ROADSTEAD_INSTANCE", "PYTHONPATH")
    return {
        "ROADSTEAD_CACHE": str(caches / "roadstead"),
        "UV_CACHE_DIR": str(caches / "uv"),
        **{name: value for name, value in os.environ.items() if not name.startswith(others)},
        "HOME": str(home),
    }


@contextlib.contextmanager
def machine_restored() -> Iterator[None]:
    """Takes back what a first `roadstead start` does to a machine: user, programs, engines, settings, folders."""
    users = {entry.pw_name for entry in pwd.getpwall()}
    settings = mend.MendPlaces().record.exists()
    roots = (instance.STATE_ROOT, instance.RUN_ROOT, instance.LOG_ROOT, installation.ROOT)
    there = {path for path in (*roots, tree.CACHE) if path.exists()}
    programs = set(installation.ROOT.glob("*"))
    yield
    if not settings:
        mend.restore(mend.MendPlaces())
    for path in set(installation.ROOT.glob("[!.]*")) - programs:
        shutil.rmtree(path)
    if installation.ROOT not in there:
        (installation.ROOT / ".lock").unlink(missing_ok=True)
    if tree.CACHE not in there and tree.CACHE.exists():
        shutil.rmtree(tree.CACHE)
    for path in set(roots) - there:
        if path.exists() and not any(path.iterdir()):
            path.rmdir()
    made = {entry.pw_name for entry in pwd.getpwall()} - users
    for user in set(start.USERS) & made:
        subprocess.run(["userdel", user], check=True, timeout=30)


@pytest.fixture
def started_instance() -> Iterator[instance.Instance]:
    """See `for_start`; afterwards the machine is as it was."""
    with machine_restored(), for_start() as places:
        yield places


@contextlib.contextmanager
def for_start() -> Iterator[instance.Instance]:
    """An instance for `roadstead start`, with a network namespace that stands for the machine's."""
    id = f"t-start-{secrets.token_hex(4)}"
    netns = machine_namespace(id)
    namespaces.create(netns)
    subprocess.run(["nsenter", f"--net={netns}", "ip", "link", "set", "lo", "up"], check=True)
    places = instance.Instance.named(id, netns)
    try:
        yield places
    finally:
        make.down(places, unit=None, timeout=10)
        command = [sys.executable, "-m", "roadstead.agent.purge", places.id]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, check=True, timeout=120)
        namespaces.delete(netns)
        if not any(netns.parent.iterdir()):
            namespaces.unshare_folder(netns.parent)


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One node and the smallest control plane for all tests that name it (`node_lab.Lab`), which leave no pod there."""
    from tests.live import registry_lab

    with registry_lab.known(tmp_path_factory.mktemp("node")) as made:
        yield made


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One cluster of 3+3 and four nodes for all tests that name it (`shared.Cluster`)."""
    # Only here: most runs of single files do without it.
    from tests.live import shared

    with shared.running(tmp_path_factory.mktemp("shared")) as made:
        yield made


@pytest.fixture(scope="session")
def bundled(shared_cluster: Any) -> Iterator[Any]:
    """What charts bring, on the shared cluster (`bundle.Bundle`): from its first use to the end of the run."""
    from tests.live import bundle

    with bundle.running(shared_cluster) as made:
        yield made
