"""A whole instance taken back from disk records, with another instance and strangers beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import conftest, hostroom
from tests.live.hostroom import Room, control, node

from roadstead.agent import purge
from roadstead.agent.hosts import processes
from roadstead.agent.links import namespaces
from roadstead.contract.messages import desired
from roadstead.core.instance import Instance

pytestmark = [pytest.mark.live, pytest.mark.machine]

SOURCE = Path(purge.__file__).resolve().parents[2]


@pytest.fixture
def room() -> Iterator[Room]:
    with hostroom.opened() as opened:
        yield opened


@pytest.mark.parametrize("running", [True, False])
def test_purge_takes_all_of_an_instance_and_nothing_else(room: Room, running: bool) -> None:
    instance = room.instance
    other = Instance.named(f"{instance.id}-x")
    machine = instance.run / "netns" / "machine"
    try:
        room.make("node-1", node(disk=desired.Disk(kind="ext4", size=64 << 20)), 0)
        beside = Room(other, room.facts)
        kept = beside.make("etcd-a", control())
        if not running:
            room.do(lambda again: again.stop("node-1", 5))
        machine.touch()
        subprocess.run(["unshare", f"--net={machine}", "true"], check=True, timeout=10)
        inside = ["nsenter", f"--net={machine}", "--"]
        for name, alias in (("rsa", instance.alias("host", "a")), ("rsb", other.alias("host", "a"))):
            _run(*inside, "ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
            _run(*inside, "ip", "link", "set", name, "alias", alias)
        for one in (instance, other):
            _run(*inside, "nft", "add", "table", "inet", one.nft_table)
        (instance.state / "instance.json").write_text(json.dumps({"machine_netns": str(machine)}))
        watching = os.open(machine, os.O_RDONLY)
        try:
            command = [sys.executable, "-m", "roadstead.agent.purge", instance.id]
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert "link rsa" in done.stdout
            assert f"nft table inet {instance.nft_table}" in done.stdout
            seen = f"/proc/self/fd/{watching}"
            inside = ["nsenter", f"--net={seen}", "--"]
            links = _run(*inside, "ip", "-o", "link", passed=watching)
            tables = _run(*inside, "nft", "list", "tables", passed=watching)
        finally:
            os.close(watching)
        assert "rsb" in links
        assert "rsa" not in links
        assert tables.split() == ["table", "inet", other.nft_table]
        assert not any(folder.exists() for folder in (instance.state, instance.run, instance.log))
        assert processes.alive(kept), "another instance, whose id begins with this one's, is untouched"
        assert not list(Path("/sys/fs/cgroup").glob(f"*/{instance.cgroup}"))
    finally:
        purge.purge(other)


@pytest.mark.parametrize("ours", [True, False])
def test_purge_ends_the_agent_and_no_stranger(room: Room, ours: bool) -> None:
    """A stranger has the pid of the record: only who has the instance's lock open is its agent."""
    room.instance.run.mkdir(parents=True)
    lock = room.instance.run / "agent.lock"
    lock.touch()
    script = "import sys, time; file = open(sys.argv[1]); print('ready', flush=True); time.sleep(1000)"
    opened = lock if ours else Path("/dev/null")
    with subprocess.Popen([sys.executable, "-c", script, str(opened)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            (room.instance.run / "agent.pid").write_text(f"{process.pid}\n")
            removed = purge.purge(room.instance)
            assert (f"agent {process.pid}" in removed) == ours
            assert (process.poll() is not None) == ours
        finally:
            process.kill()


def _run(*command: str, passed: int | None = None) -> str:
    fds = () if passed is None else (passed,)
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20, pass_fds=fds)
    return done.stdout


def test_namespaces_of_runs_that_were_killed_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / "namespaces"
    living = folder / f"t-1.{conftest.machine_namespace('t').name.partition('.')[2]}"
    # A pid that is somebody else's now: started at another time.
    dead = [folder / "t-2.1.7", folder / "t-3.4194305.1", folder / "t-3.4194305.1-world"]
    try:
        for path in (living, *dead):
            namespaces.create(path)
        conftest.sweep_namespaces(folder)
        assert list(folder.iterdir()) == [living]
        namespaces.delete(living)
        conftest.sweep_namespaces(folder)
        assert not folder.exists()
    finally:
        for path in (living, *dead):
            namespaces.delete(path)
        namespaces.unshare_folder(folder)
