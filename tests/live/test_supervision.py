"""The root tree with real s6, and `roadstead start` from a checkout that only root may enter."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roadstead.agent.links import namespaces
from roadstead.core import errors, instance
from roadstead.machine import installation, start, uninstall
from roadstead.machine.doctor import mend
from roadstead.machine.supervision import make, see, tree

pytestmark = pytest.mark.live

ROOT = Path(__file__).resolve().parents[2]

READY = "import os, signal, sys; print('up', *sys.argv[1:], flush=True); os.write(3, b'\\n'); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + READY


@pytest.fixture
def places(tmp_path: Path) -> Iterator[instance.Instance]:
    """An instance in a folder of the test, whose tree is ended afterwards."""
    made = instance.Instance(id="t-launcher", state=tmp_path / "state", run=tmp_path / "run", log=tmp_path / "log")
    yield made
    make.down(made, unit=None, timeout=1)
    assert see.tree(tree.folder(made)) == see.Tree(None, {})


def service(code: str, *arguments: str, name: str = "thing") -> tree.Service:
    return tree.Service(name, (sys.executable, "-c", code, *arguments))


def pid(places: instance.Instance, name: str = "thing") -> int:
    folder = str(tree.folder(places) / name)
    said = subprocess.run(["s6-svstat", "-o", "pid", folder], capture_output=True, text=True, check=True, timeout=10)
    return int(said.stdout)


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until it holds; fails when it does not in time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        time.sleep(0.01)
    return time.monotonic() - began


def test_a_tree_runs_until_it_is_taken_down(places: instance.Instance) -> None:
    wanted = [service(READY), service(READY, name="other")]
    assert make.up(places, wanted, unit=None, timeout=20)
    seen = see.tree(tree.folder(places))
    assert seen.scanner is not None
    assert set(seen.supervised) == {"thing", "thing/log", "other", "other/log"}
    # In a session of its own, with nothing of this process's environment.
    assert os.getsid(seen.scanner) != os.getsid(0)
    assert b"PYTEST_CURRENT_TEST" not in Path(f"/proc/{seen.scanner}/environ").read_bytes()
    assert Path(f"/proc/{seen.scanner}/cwd").resolve() == tree.folder(places)
    log = tree.log_folder(places, "thing") / "current"
    until(lambda: log.exists() and " up\n" in log.read_text(), 5)

    before = pid(places)
    assert not make.up(places, wanted, unit=None, timeout=20)
    assert pid(places) == before

    assert make.down(places, unit=None, timeout=10)
    assert not Path(f"/proc/{before}").exists()
    assert not make.down(places, unit=None, timeout=10)


def test_a_killed_service_is_back_within_two_seconds(places: instance.Instance) -> None:
    make.up(places, [service(READY)], unit=None, timeout=20)
    before = pid(places)
    os.kill(before, signal.SIGKILL)
    assert until(lambda: pid(places) not in (before, -1), 10) < 2


def test_a_changed_service_alone_is_restarted(places: instance.Instance) -> None:
    make.up(places, [service(READY), service(READY, name="other")], unit=None, timeout=20)
    thing, other = pid(places), pid(places, "other")
    assert make.up(places, [service(READY, "newer"), service(READY, name="other")], unit=None, timeout=20)
    assert pid(places) != thing
    assert pid(places, "other") == other
    assert b"newer" in Path(f"/proc/{pid(places)}/cmdline").read_bytes()


def test_a_killed_tree_is_taken_over(places: instance.Instance) -> None:
    make.up(places, [service(READY)], unit=None, timeout=20)
    before, scanner = pid(places), see.tree(tree.folder(places)).scanner
    assert scanner is not None
    os.kill(scanner, signal.SIGKILL)
    until(lambda: see.tree(tree.folder(places)).scanner is None, 5)
    assert see.tree(tree.folder(places)).supervised, "the supervisors should have outlived it"
    assert make.up(places, [service(READY)], unit=None, timeout=20)
    assert see.tree(tree.folder(places)).scanner is not None
    assert pid(places) != before
    assert not Path(f"/proc/{before}").exists()


def test_what_cannot_run_is_told_with_its_words_and_left_alone(places: instance.Instance) -> None:
    with pytest.raises(errors.Failed, match="ends as soon as it is started") as caught:
        make.up(places, [service("print('no such thing', flush=True); raise SystemExit(3)")], unit=None, timeout=20)
    assert "no such thing" in caught.value.facts["output"]
    assert see.tree(tree.folder(places)) == see.Tree(None, {})


def test_what_does_not_get_ready_is_told(places: instance.Instance) -> None:
    with pytest.raises(errors.Failed, match="did not get ready in time"):
        make.up(places, [service("import signal; signal.pause()")], unit=None, timeout=0.7)
    assert see.tree(tree.folder(places)) == see.Tree(None, {})


def test_what_does_not_stop_is_killed(places: instance.Instance) -> None:
    make.up(places, [service(STUBBORN)], unit=None, timeout=20)
    before = pid(places)
    assert make.down(places, unit=None, timeout=0.5)
    assert not Path(f"/proc/{before}").exists()


def test_boot_refuses_a_wrong_instance() -> None:
    command = [sys.executable, "-m", "roadstead.machine.supervision.boot", "--instance", "Not/An/Id"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("roadstead-boot: instance id 'Not/An/Id'")


@pytest.fixture
def closed_checkout() -> Iterator[Path]:
    """A copy of this checkout below a folder that only root may enter, its files for root's eyes only."""
    with tempfile.TemporaryDirectory(prefix="roadstead-closed-") as name:
        place = Path(name) / "checkout"
        place.mkdir(mode=0o700)
        for each in ("roadstead", "uv.lock", "pyproject.toml"):
            shutil.copy2(ROOT / each, place)
        for each in ("src", "engines"):
            shutil.copytree(ROOT / each, place / each, ignore=shutil.ignore_patterns("__pycache__"))
        for path in place.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
        yield place


@pytest.fixture
def machine_before() -> Iterator[None]:
    """Takes back what a first `roadstead start` does to a machine: user, programs, settings, folders."""
    users = {entry.pw_name for entry in pwd.getpwall()}
    settings = mend.Places().record.exists()
    roots = (instance.STATE_ROOT, instance.RUN_ROOT, instance.LOG_ROOT, installation.ROOT)
    there = {path for path in roots if path.exists()}
    programs = set(installation.ROOT.glob("*"))
    yield
    if not settings:
        mend.restore(mend.Places())
    for path in set(installation.ROOT.glob("[!.]*")) - programs:
        shutil.rmtree(path)
    if installation.ROOT not in there:
        (installation.ROOT / ".lock").unlink(missing_ok=True)
    for path in set(roots) - there:
        if path.exists() and not any(path.iterdir()):
            path.rmdir()
    if start.USER in {entry.pw_name for entry in pwd.getpwall()} - users:
        subprocess.run(["userdel", start.USER], check=True, timeout=30)


@pytest.fixture
def started_instance(machine_before: None, tmp_path: Path) -> Iterator[instance.Instance]:  # noqa: ARG001
    """An instance for `roadstead start`, with a network namespace that stands for the machine's."""
    netns = tmp_path / "netns" / "machine"
    netns.parent.mkdir()
    namespaces.create(netns)
    places = instance.Instance.named(f"t-launcher-{secrets.token_hex(4)}", netns)
    try:
        yield places
    finally:
        make.down(places, unit=None, timeout=10)
        command = [sys.executable, "-m", "roadstead.agent.purge", places.id]
        subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, check=True, timeout=120)
        namespaces.delete(netns)
        namespaces.unshare_folder(netns.parent)


def roadstead(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "roadstead", *arguments], capture_output=True, text=True, timeout=600, check=False, cwd="/"
    )


def test_services_run_from_a_checkout_that_only_root_may_enter(
    closed_checkout: Path, started_instance: instance.Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = started_instance
    options = ("--instance", places.id)
    words = (*options, "--machine-netns", str(places.machine_netns), "--yes")
    done = roadstead(closed_checkout, "start", *words)
    assert done.returncode == 0, done.stderr
    assert f"instance {places.id}: agent 0." in done.stdout
    assert "is up" in done.stdout

    told = json.loads(roadstead(closed_checkout, "status", *options, "-o", "json").stdout)
    agent = int(told["agent"]["pid"])
    words_of_agent = Path(f"/proc/{agent}/cmdline").read_bytes().split(b"\0")
    python = Path(words_of_agent[0].decode())
    assert python.is_relative_to(installation.ROOT)
    assert str(closed_checkout).encode() not in Path(f"/proc/{agent}/environ").read_bytes()
    assert str(closed_checkout) not in Path(f"/proc/{agent}/maps").read_text()

    # The same code, as the user of the services that need no root; no service needs the checkout any more.
    moved = closed_checkout.with_name("moved")
    closed_checkout.rename(moved)
    ask = "import roadstead.agent.main, roadstead.engine.settings, os; print(os.getuid(), roadstead.__file__)"
    seen = subprocess.run(
        ["s6-setuidgid", start.USER, str(python), "-I", "-c", ask],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )
    uid, _, file = seen.stdout.strip().partition(" ")
    assert int(uid) == pwd.getpwnam(start.USER).pw_uid, seen.stderr
    assert Path(file).is_relative_to(installation.ROOT)
    os.kill(agent, signal.SIGKILL)
    assert until(lambda: pid(places, "agent") not in (agent, -1), 10) < 2

    moved.rename(closed_checkout)
    again = roadstead(closed_checkout, "start", *words)
    assert (again.returncode, "was up" in again.stdout) == (0, True), again.stderr

    stopped = roadstead(closed_checkout, "stop", *options)
    assert stopped.stdout == f"instance {places.id}: stopped; its hosts, if any, keep running\n"
    assert see.tree(tree.folder(places)) == see.Tree(None, {})
    gone = roadstead(closed_checkout, "status", *options)
    assert gone.returncode == 1
    assert gone.stderr.startswith("Error: ")

    # As uninstall does for each instance, also while it runs.
    assert roadstead(closed_checkout, "start", *words).returncode == 0
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    uninstall.apply(uninstall.EndInstance(places.id), uninstall.Places())
    assert see.tree(tree.folder(places)) == see.Tree(None, {})
    assert not any(path.exists() for path in (places.state, places.run, places.log))


def test_after_a_reboot_the_program_of_the_systemd_unit_makes_the_tree_again(
    started_instance: instance.Instance,
) -> None:
    """/run is empty; `boot` becomes the s6-svscan, and is told to stop as systemd would: SIGTERM to it alone."""
    places = started_instance
    command = [sys.executable, "-m", "roadstead.machine.supervision.boot", "--instance", places.id]
    # The agent of this tree finds no package (its environment is its own), so it cannot touch the machine.
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    # Under the lock that a `start` holds while it waits for systemd.
    with make.alone(places), subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL) as process:
        until(lambda: see.tree(tree.folder(places)).scanner == process.pid, 20)
        until(lambda: set(see.tree(tree.folder(places)).supervised) == {"agent", "agent/log"}, 5)
        assert sys.executable in (tree.folder(places) / "agent" / "run").read_text()
        process.terminate()
        assert process.wait(20) == 0
    assert see.tree(tree.folder(places)) == see.Tree(None, {})
