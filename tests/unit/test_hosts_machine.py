"""What hosts read of the machine and of the kernel's texts, and the limits they write."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from roadstead.agent import purge
from roadstead.agent.hosts import cgroups, folders, mounts, processes, see
from roadstead.core import errors
from roadstead.core.instance import Instance
from roadstead.messages import desired

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
50 27 7:0 / /var/lib/roadstead/a/hosts/x/disk rw - ext4 /dev/loop0 rw
51 27 7:1 / /var/lib/roadstead/a-b/hosts/x/disk rw - ext4 /dev/loop1 rw
52 50 7:2 / /var/lib/roadstead/a/hosts/x/disk/with\040space rw - ext4 /dev/loop2 rw
"""


def test_mounts_are_read_and_unmounted_deepest_first() -> None:
    seen = mounts.parse(MOUNTINFO)
    assert seen[2] == mounts.Mount(Path("/sys/fs/cgroup/cpu,cpuacct"), "cgroup", ("rw", "cpu", "cpuacct"))
    assert mounts.under(seen, [Path("/var/lib/roadstead/a")]) == (
        Path("/var/lib/roadstead/a/hosts/x/disk/with space"),
        Path("/var/lib/roadstead/a/hosts/x/disk"),
    )


def test_hierarchies_of_a_hybrid_machine_are_v1() -> None:
    version, roots = see.hierarchies(mounts.parse(MOUNTINFO))
    assert version == 1
    assert [root.name for root in roots] == ["cpu,cpuacct", "memory", "unified"]


def test_hierarchy_of_v2() -> None:
    line = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
    assert see.hierarchies(mounts.parse(line)) == (2, (Path("/sys/fs/cgroup"),))
    with pytest.raises(errors.Failed, match="doctor"):
        see.hierarchies(())


@pytest.mark.parametrize(
    ("version", "own", "parent"),
    [
        (2, "0::/system.slice/roadstead.service\n", "/system.slice/roadstead.service"),
        (2, "0::/system.slice/roadstead.service/supervision\n", "/system.slice/roadstead.service"),
        (2, "0::/system.slice/roadstead-agent.service/a/b\n", "/system.slice/roadstead-agent.service"),
        (2, "0::/user.slice/user-0.slice/session-3.scope\n", ""),
        (2, "0::/system.slice/ssh.service\n", ""),
        (2, "0::/\n", ""),
        (1, "8:pids:/system.slice/roadstead.service\n0::/system.slice/roadstead.service\n", ""),
    ],
)
def test_parent_is_the_service_that_delegates(version: int, own: str, parent: str) -> None:
    assert see.cgroup_parent(version, own) == parent


def test_capabilities_by_name() -> None:
    assert see.capability_names("CapPrm:\t01\nCapEff:\t0000000000000021\n") == ("CAP_CHOWN", "CAP_KILL")
    assert see.capability_names("CapEff:\t000001ffffffffff\n")[-1] == "CAP_CHECKPOINT_RESTORE"


def test_limits_of_both_versions() -> None:
    limits = desired.Limits(memory=1 << 30, cpus=0.5, cpu_weight=100)
    assert cgroups.limit_files(2, limits) == {
        "memory.max": "1073741824",
        "cpu.max": "50000 100000",
        "cpu.weight": "100",
    }
    assert cgroups.limit_files(1, limits) == {
        "memory/memory.limit_in_bytes": "1073741824",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/cpu.cfs_quota_us": "50000",
        "cpu/cpu.shares": "1024",
    }
    assert cgroups.limit_files(2, desired.Limits())["cpu.max"] == "max 100000"
    assert cgroups.limit_files(1, desired.Limits())["memory/memory.limit_in_bytes"] == "-1"
    assert (cgroups.shares(1), cgroups.shares(10000)) == (10, 102_400)


def test_a_process_is_in_its_hosts_cgroup_or_below() -> None:
    text = "9:name=systemd:/roadstead/a/host\n4:memory:/elsewhere\n"
    assert cgroups.holds(text, "/roadstead/a/host")
    assert cgroups.holds("0::/roadstead/a/host/init\n", "/roadstead/a/host")
    assert not cgroups.holds(text, "/roadstead/a/hos")
    assert not cgroups.holds("0::/roadstead/a/host2\n", "/roadstead/a/host")


def test_a_pid_given_out_again_is_another_process(tmp_path: Path) -> None:
    now = processes.see(os.getpid())
    assert now is not None
    assert processes.alive(now)
    earlier = processes.Running(now.pid, now.started - 1)
    assert not processes.alive(earlier)
    assert processes.open_pidfd(earlier) is None
    assert abs(time.time() - now.since) < 24 * 3600
    processes.write(tmp_path / "pid", now)
    assert processes.read(tmp_path / "pid") == now
    (tmp_path / "pid").write_text("not a record")
    assert processes.read(tmp_path / "pid") is None


def test_the_end_of_a_process_is_noticed() -> None:
    async def scenario() -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "input()", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        running = processes.see(process.pid)
        assert running is not None
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            waiting = group.create_task(processes.exited(running))
            await asyncio.sleep(0)
            assert not waiting.done()
            assert process.stdin is not None
            process.stdin.close()
            await waiting
        await process.wait()
        async with asyncio.timeout(1):
            await processes.exited(running)

    asyncio.run(scenario())


def test_folders_replace_planted_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    top = tmp_path / "top"
    top.mkdir()
    (top / "log").symlink_to(victim)
    with folders.opened(top) as parent:
        folders.make(parent, "log", "units", mode=0o755, uid=os.getuid())
    assert not (top / "log").is_symlink()
    assert (top / "log/units").is_dir()
    assert not list(victim.iterdir())


def test_removal_does_not_follow_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "kept").touch()
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(victim)
    assert folders.remove(top)
    assert not folders.remove(top)
    assert (victim / "kept").exists()


def test_the_services_own_cgroup_is_left(tmp_path: Path) -> None:
    parent = tmp_path / "system.slice/roadstead.service"
    parent.mkdir(parents=True)
    (parent / "cgroup.procs").write_text("17\n18\n")
    cgroups.leave_parent("/system.slice/roadstead.service", (tmp_path,))
    assert (parent / "supervision/cgroup.procs").read_text() == "18", "the kernel takes one pid per write"


def test_purge_knows_its_links() -> None:
    listing = """[{"ifname": "lo"}, {"ifname": "rs1", "ifalias": "roadstead/a/host/x"},
        {"ifname": "rs2", "ifalias": "roadstead/a-b/host/x"}, {"ifname": "eth0", "ifalias": "uplink"}]"""
    assert purge.links_of(Instance.named("a").alias(""), listing) == ["rs1"]


def test_purge_refuses_folders_that_are_not_the_instances(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(errors.Invalid, match="kept"):
        purge.purge(Instance(id="t-unit", state=kept, run=tmp_path / "t-unit", log=tmp_path / "t-unit"))
    assert kept.is_dir()
