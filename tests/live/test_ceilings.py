"""Hosts whose processes fork and take memory without end: it ends at their ceilings, and nobody else notices."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import waiting
from tests.live import hostroom
from tests.live.hostroom import UID, control, node

from roadstead.agent.ceilings import near, plan
from roadstead.agent.hosts import cgroups, hosts
from roadstead.contract.messages import desired
from roadstead.core import errors

pytestmark = [pytest.mark.live, pytest.mark.machine]

MIB = 1 << 20
BOUNDS = plan.Ceilings(memory=400 * MIB, processes=800, kept=plan.Room(0, 0, 0))
"""A control host may have a half and an eighth."""
BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.05)
"""
"""A shell would end where it cannot fork; each of these tries again."""
EATS = "import itertools; kept = [bytearray(1 << 20) for _ in itertools.count()]"


@pytest.fixture
def room() -> Iterator[hostroom.Room]:
    with hostroom.opened() as made:
        made.bounds = BOUNDS
        yield made


@contextlib.contextmanager
def running(room: hostroom.Room, host: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a host, which goes on until the host ends."""
    argv = hosts.Hosts(room.instance, room.facts).shell_argv(host, UID, words)
    with subprocess.Popen([word for word in argv if word != "--tty"], stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def usage(room: hostroom.Room, *host: str) -> dict[near.What, near.Use]:
    return cgroups.usage(room.instance, room.facts, *host)


def test_who_forks_without_end_has_no_more_than_its_host_may_have(room: hostroom.Room) -> None:
    for name in ("etcd-a", "etcd-b"):
        room.make(name, control(name))
    with running(room, "etcd-a", "python3", "-c", BOMB):
        waiting.until("the limit is reached", lambda: usage(room, "etcd-a")["processes"].used >= 99, 20)
        assert usage(room, "etcd-a")["processes"].limit == 100
        assert usage(room)["processes"].limit == 800
        assert near.near(usage(room, "etcd-a"), ()) == ("processes",)
        assert room.says("etcd-b", "echo $((6 * 7))") == "42\n"
        room.do(lambda all_: all_.stop("etcd-a", 0.2))
    assert usage(room)["processes"].used < 20
    room.make("etcd-a", control("etcd-a"))
    assert room.says("etcd-a", "echo again") == "again\n"


def test_who_takes_memory_without_end_is_ended_in_its_host(room: hostroom.Room) -> None:
    first = {name: room.make(name, control(name)) for name in ("etcd-a", "etcd-b")}
    ended = room.sh("etcd-a", f"exec python3 -c '{EATS}'")
    assert ended.code == 137, ended.output
    assert usage(room, "etcd-a")["memory"].limit == 200 * MIB
    assert usage(room)["memory"].limit == 400 * MIB
    for name, began in first.items():
        assert room.make(name, control(name)) == began
        assert room.says(name, "echo here") == "here\n"


def test_hosts_of_an_earlier_release_get_their_ceilings_as_they_run(room: hostroom.Room) -> None:
    room.bounds = None
    began = room.make("etcd-a", control())
    assert usage(room, "etcd-a") == {}
    room.bounds = BOUNDS
    assert room.make("etcd-a", control()) == began
    got = {what: use.limit for what, use in usage(room, "etcd-a").items()}
    assert got == {"memory": 200 * MIB, "processes": 100}
    assert {what: use.limit for what, use in usage(room).items()} == {"memory": 400 * MIB, "processes": 800}


def test_a_host_that_has_more_memory_than_its_ceiling_lives_on(room: hostroom.Room) -> None:
    room.bounds = None
    began = room.make("etcd-a", control())
    holds = "kept = b'x' * (300 << 20); print('held', flush=True); import time; time.sleep(600)"
    with running(room, "etcd-a", "python3", "-c", holds) as process:
        waiting.until("it has them", lambda: _used(room, "etcd-a") > 300 * MIB, 20)
        room.bounds = BOUNDS
        assert room.make("etcd-a", control()) == began
        assert 300 * MIB < usage(room, "etcd-a")["memory"].limit < 400 * MIB
        assert process.poll() is None
        assert near.near(usage(room, "etcd-a"), ()) == ("memory",)
        room.do(lambda all_: all_.stop("etcd-a", 0.2))
    room.make("etcd-a", control())
    assert usage(room, "etcd-a")["memory"].limit == 200 * MIB


def _used(room: hostroom.Room, host: str) -> int:
    return cgroups._memory_used(room.instance, room.facts, host)


def test_no_new_disk_is_begun_in_what_is_kept_of_the_machines(room: hostroom.Room) -> None:
    """What has its disk already comes up again."""
    disk = desired.Disk(kind="ext4", size=64 * MIB)
    room.make("node-1", node("node-1", disk=disk), uid=0)
    room.do(lambda all_: all_.stop("node-1", 0.2))
    room.bounds = plan.Ceilings(BOUNDS.memory, BOUNDS.processes, plan.Room(0, 0, 1 << 60))
    with pytest.raises(errors.LimitExceeded, match="no new disk is begun"):
        room.make("node-2", node("node-2", disk=disk), uid=0)
    assert not (room.instance.host("node-2").state / "disk.img").exists()
    room.make("node-1", node("node-1", disk=disk), uid=0)


def test_pods_leave_processes_to_their_node(room: hostroom.Room) -> None:
    room.make("node-1", node("node-1"), uid=0)
    limit = usage(room, "node-1")["processes"].limit
    (folder,) = _pids(room, "node-1")
    (folder / cgroups.PODS).mkdir()
    try:
        room.do(_bound)
        assert (folder / cgroups.PODS / "pids.max").read_text() == f"{plan.of_pods(limit)}\n"
    finally:
        (folder / cgroups.PODS).rmdir()


async def _bound(all_: hosts.Hosts) -> None:
    all_.bound_pods("node-1")


def _pids(room: hostroom.Room, host: str) -> list[Path]:
    tops = cgroups.folders(room.instance, room.facts, host)
    return [top for top in tops if (top / "pids.max").exists()]
