"""A node's file system: what workloads find on it and write to it, on its own disk, and after its restart.

Cost: about 5 s without a cluster, and 20 s on the shared cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from testkit import waiting
from tests.live import daemons, hostroom, shared
from tests.live.hostroom import Room, node

from roadstead import engine
from roadstead.agent.hosts import mounts, runc
from roadstead.agent.idmaps import ability, ranges
from roadstead.contract.messages import desired
from roadstead.core import errors

pytestmark = pytest.mark.live

SIZE = 64 << 20
WRITTEN = (
    *("/data", "/storage", "/etc/kubernetes", "/etc/cni/net.d", "/opt/cni/bin", "/media", "/srv", "/mnt", "/root"),
    *("/usr/local/bin", "/usr/libexec/kubernetes", "/var/lib/kubelet", "/var/tmp"),
)


@pytest.fixture
def room() -> Iterator[Room]:
    with hostroom.opened() as opened:
        yield opened


def test_what_is_written_to_a_nodes_root_is_on_its_disk_and_stays(room: Room) -> None:
    host = node(disk=desired.Disk(kind="ext4", size=SIZE))
    room.make("node-1", host, 0)
    for folder in WRITTEN:
        room.says("node-1", f"mkdir -p {folder} && echo kept >{folder}/roadstead-test", 0)
        assert not Path(folder, "roadstead-test").exists(), "it is nothing of the machine's"
    assert room.says(
        "node-1", "echo x >/run/passing; cat /var/run/passing; readlink -f /var/run /var/lock", 0
    ).split() == [*("x", "/run", "/run/lock")]
    for folder in (
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/usr/share",
        "/engine",
        "/stores",
        "/lent",
        "/etc/units",
        "/boot/x",
    ):
        assert room.sh("node-1", f"echo x >{folder}/roadstead-test", 0).code != 0, folder
    identity = room.says("node-1", "cat /etc/machine-id", 0)
    # As after a reboot of the machine.
    room.do(lambda again: again.stop("node-1", 5))
    subprocess.run(["umount", str(room.instance.host("node-1").disk)], check=True, timeout=20)
    room.make("node-1", host, 0)
    assert room.says("node-1", f"cat {' '.join(f'{one}/roadstead-test' for one in WRITTEN)}", 0) == "kept\n" * len(
        WRITTEN
    )
    assert room.says("node-1", "ls /run | grep -c passing || true", 0) == "0\n"
    room.make("node-2", node("node-2"), 0)
    identities = [room.says(id, "cat /etc/machine-id", 0) for id in ("node-1", "node-2")]
    assert identities[0] == identity
    assert len(set(identities)) == 2


def test_a_node_whose_disk_is_full_is_full_at_its_root_and_starts_again(room: Room) -> None:
    host = node(disk=desired.Disk(kind="ext4", size=SIZE))
    room.make("node-1", host, 0)
    full = room.sh("node-1", "cat /dev/zero >/big", 0)
    assert full.code != 0
    assert "No space left on device" in full.output
    room.do(lambda again: again.stop("node-1", 5))
    room.make("node-1", host, 0)
    room.says("node-1", "rm /big", 0)


def test_a_node_opens_no_disk_and_sets_nothing_in_sys(room: Room) -> None:
    """Without users of its own, too; it may make any device all the same, as its containers ask for."""
    room.make("node-1", node(), 0)
    disk = Path("/var/lib").stat().st_dev
    made = f"mknod /var/tmp/disk b {os.major(disk)} {os.minor(disk)}"
    opened = room.sh("node-1", f"{made}; head -c 512 /var/tmp/disk", 0)
    assert opened.code != 0
    assert "Operation not permitted" in opened.output
    assert "Read-only" in room.sh("node-1", "echo x >/sys/kernel/mm/transparent_hugepage/enabled", 0).output
    room.says("node-1", "mknod /var/tmp/null c 1 3 && echo x >/var/tmp/null", 0)


def test_a_node_with_users_of_its_own_has_the_same_disk_and_owns_nothing_else(room: Room) -> None:
    if (ours := engine.find("runc")) is None:
        pytest.skip("no runc of ours could be had here")
    folder = room.instance.engines / ours.id
    for each in (folder, room.instance.run):
        each.mkdir(parents=True)
    (folder / "runc").symlink_to(ours.components["runc"])
    if (lacks := room.do(lambda hosts: hosts.lacks_for_users())) is not None:
        assert ability.release(os.uname().release) < (6, 3), lacks
        pytest.skip(lacks)
    host = node(disk=desired.Disk(kind="ext4", size=SIZE))
    ids = {id: ranges.Range(ranges.FIRST + place * ranges.SIZE) for place, id in enumerate(("node-1", "node-2"))}
    for id, own in ids.items():
        running = room.make_owned(id, node(id, disk=host.disk), own)
        assert f"Uid:\t{own.first}\t" in Path(f"/proc/{running.pid}/status").read_text()
        assert room.says(id, "id -u; cat /etc/hostname; touch /etc/own; stat -c %u /etc/own /var /lent", 0).split() == [
            *("0", id, "0", "0", "0")
        ]
    places = room.instance.host("node-1")
    room.says(
        "node-1", "for at in /var/log/units /var /run/service; do cp /bin/sh $at/sh; chmod 4755 $at $at/sh; done", 0
    )
    for place in (places.log, places.disk, places.service):
        assert (place / "sh").stat().st_mode & stat.S_ISUID
        alike = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "test", "-e", str(place / "sh")]
        assert subprocess.run(alike, check=False).returncode != 0, "a user of the machine could be its root by that"
    assert (places.node_root / "etc" / "own").stat().st_uid == 0, "what is on the disk is nobody's in particular"
    assert not mounts.under(mounts.see(), (places.shown,)), "nothing stays mounted that only the start needed"
    lent = room.do(lambda again: asyncio.to_thread(again.lend, "node-1", Path("/etc/hostname")))
    room.says("node-1", f"cat {lent}", 0)
    assert (
        room.sh("node-1", "umount /lent; umount /etc/units; touch /engine/x; mount -o remount,rw /stores", 0).code != 0
    )
    # As after a reboot of the machine.
    room.do(lambda again: again.stop("node-1", 5))
    subprocess.run(["umount", str(places.disk)], check=True, timeout=20)
    room.make_owned("node-1", host, ids["node-1"])
    assert room.says("node-1", "stat -c %u /etc/own", 0) == "0\n"
    room.do(lambda again: again.remove("node-1"))
    assert not places.shown.exists()


def test_a_node_has_the_folders_of_the_kernel_and_objects_of_bpf_of_its_own(room: Room) -> None:
    for id in ("node-1", "node-2"):
        room.make(id, node(id), 0)
        room.says(id, "test -d /lib/modules && test -d /usr/src && test -d /boot && test -f /run/xtables.lock", 0)
    if "\tbpf\n" not in Path("/proc/filesystems").read_text():
        pytest.skip("this kernel has no file system of BPF objects")
    room.says("node-1", "mkdir /sys/fs/bpf/roadstead-test", 0)
    assert room.sh("node-2", "ls -d /sys/fs/bpf/roadstead-test", 0).code != 0
    assert not Path("/sys/fs/bpf/roadstead-test").exists()


def test_a_node_of_an_earlier_release_runs_on_and_has_its_root_on_its_disk_from_its_next_start(room: Room) -> None:
    """Its root was beside its disk, and read-only; so it is made here."""
    room.make("node-1", node(), 0)
    room.do(lambda again: again.stop("node-1", 5))
    places = room.instance.host("node-1")
    places.node_root.rename(places.root)
    (places.disk / "run").unlink()
    (places.disk / "run").mkdir()
    file = places.bundle / "config.json"
    config = json.loads(file.read_text())
    config["root"] = {"path": str(places.root), "readonly": True}
    file.write_text(json.dumps(config))
    asyncio.run(runc.run(room.instance, room.facts, "node-1", places))
    before = room.do(lambda again: again.adopt("node-1"))
    assert before is not None
    assert room.sh("node-1", "mkdir /data", 0).code != 0
    room.says("node-1", "mkdir -p /opt/volumes && echo kept >/opt/volumes/kept", 0)

    # The next agent takes it over, and tells it names.
    assert room.make("node-1", node(names={"10.0.0.9": ("registry",)}), 0) == before
    assert room.says("node-1", "getent hosts registry", 0).split() == ["10.0.0.9", "registry"]
    assert not places.node_root.exists()

    room.do(lambda again: again.stop("node-1", 5))
    room.make("node-1", node(), 0)
    room.says("node-1", "mkdir /data && test /var/run -ef /run", 0)
    assert room.says("node-1", "cat /opt/volumes/kept", 0) == "kept\n"
    assert not places.root.exists()


@pytest.fixture
def one_node(shared_cluster: shared.Cluster) -> Iterator[dict[str, Any]]:
    """A node of the shared cluster with all agents on it; afterwards they are gone, and all is well."""
    chosen = next(iter(shared_cluster.nodes().values()))
    sets = daemons.daemon_sets(chosen["metadata"]["name"])
    shared_cluster.apply(*sets)
    try:
        yield chosen
    finally:
        for one in sets:
            shared_cluster.kubectl("delete", "daemonset", one["metadata"]["name"], "--wait=false")
        shared_cluster.until_well()


def test_agents_of_nodes_find_what_they_mount_and_what_they_write_survives_the_node(
    shared_cluster: shared.Cluster, one_node: dict[str, Any]
) -> None:
    host = shared_cluster.host_of(one_node)
    began = time.monotonic()
    until_up(shared_cluster)
    print(f"\n{len(daemons.AGENTS)} agents are up after {time.monotonic() - began:.1f} s")
    assert starts(shared_cluster, host) == dict.fromkeys(daemons.written(), 1)

    shared_cluster.kill(host.partition(".")[2])
    expected = {file: 2 if daemons.lasts(file) else 1 for file in daemons.written()}
    took = waiting.until("all agents have started again", lambda: starts(shared_cluster, host) == expected, 90)
    print(f"the node's PID 1 killed: all agents run again after {took:.1f} s")
    until_up(shared_cluster)


def starts(cluster: shared.Cluster, host: str) -> dict[str, int]:
    """How often each agent was started, by the lines that it wrote, as the node sees them; empty while it is away."""
    files = daemons.written()
    script = "".join(f"wc -l <{file} 2>/dev/null || echo 0\n" for file in files)
    try:
        counts = cluster.service.in_host(host, "/bin/sh", "-c", script).split()
    except errors.NotFound:
        return {}
    return dict(zip(files, map(int, counts), strict=True))


def until_up(cluster: shared.Cluster) -> None:
    """All agents run; fails with what one says that does not."""
    names = [one["metadata"]["name"] for one in daemons.daemon_sets()]

    def up() -> bool:
        sets = [cluster.get("daemonset", name) for name in names]
        return all(one["status"].get("numberReady") == 1 for one in sets)

    with contextlib.suppress(waiting.Late):
        waiting.until("all agents are up", up, 60)
        return
    pytest.fail("\n".join(told(cluster)))


def told(cluster: shared.Cluster) -> Iterator[str]:
    """What agents and kubelet say of those that are not up."""
    chosen = f"app in ({','.join(f'agents-{kind}' for kind in daemons.KINDS)})"
    for pod in cluster.items("pods", labelSelector=chosen):
        name = pod["metadata"]["name"]
        for one in pod["status"].get("containerStatuses", []):
            if not one["ready"]:
                said = cluster.try_kubectl("logs", name, "-c", one["name"]).stdout
                yield f"{name} {one['name']}: {one['state']} {said}"
        about = cluster.items("events", fieldSelector=f"involvedObject.name={name},type=Warning")
        yield from (f"{name}: {event['message']}" for event in about)
