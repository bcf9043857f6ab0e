"""What hosts read of the machine and of the kernel's texts, and the limits they write."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from roadstead.agent import purge
from roadstead.agent.hosts import cgroups, folders, mounts, processes, see
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.core.instance import Instance

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
    ("version", "own", "service"),
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
def test_the_service_that_the_agent_is_of(version: int, own: str, service: str) -> None:
    assert see.service(version, own) == service


OWN = "/system.slice/roadstead.service"


def test_hosts_are_beside_the_agents_service(tmp_path: Path) -> None:
    """systemd before 254 does not start a service again in whose cgroup there are others with controllers."""
    own = Instance.named("main")
    (tmp_path / OWN.lstrip("/")).mkdir(parents=True)
    assert see.cgroup_parent(tmp_path, "", own) == ""
    with pytest.raises(errors.NotFound, match=r"systemctl start roadstead-hosts\.service"):
        see.cgroup_parent(tmp_path, OWN, own)
    (tmp_path / "system.slice/roadstead-hosts.service").mkdir()
    assert see.cgroup_parent(tmp_path, OWN, own) == "/system.slice/roadstead-hosts.service"


@pytest.mark.parametrize(
    ("events", "kind", "stays"),
    [
        ("populated 1\nfrozen 0\n", "domain\n", True),
        ("populated 0\nfrozen 0\n", "domain\n", False),
        # What systemd 252 and an earlier release made of it: nothing in it works.
        ("populated 1\nfrozen 0\n", "domain threaded\n", False),
    ],
)
def test_hosts_of_an_earlier_release_stay_where_they_run(tmp_path: Path, events: str, kind: str, stays: bool) -> None:
    hosts, before = tmp_path / "system.slice/roadstead-hosts.service", tmp_path / OWN.lstrip("/") / "roadstead/main"
    hosts.mkdir(parents=True)
    before.mkdir(parents=True)
    (before / "cgroup.events").write_text(events)
    (before / "cgroup.type").write_text(kind)
    parent = see.cgroup_parent(tmp_path, OWN, Instance.named("main"))
    assert parent == (OWN if stays else "/system.slice/roadstead-hosts.service")


def test_capabilities_by_name() -> None:
    assert see.capability_names("CapPrm:\t01\nCapEff:\t0000000000000021\n") == ("CAP_CHOWN", "CAP_KILL")
    assert see.capability_names("CapEff:\t000001ffffffffff\n")[-1] == "CAP_CHECKPOINT_RESTORE"


def test_limits_of_both_versions() -> None:
    limits = desired.Limits(memory=1 << 30, cpus=0.5, cpu_weight=100, pids=300)
    assert cgroups.limit_files(2, limits) == {
        "memory.max": "1073741824",
        "cpu.max": "50000 100000",
        "cpu.weight": "100",
        "pids.max": "300",
    }
    assert cgroups.limit_files(1, limits) == {
        "memory/memory.limit_in_bytes": "1073741824",
        "cpu/cpu.cfs_period_us": "100000",
        "cpu/cpu.cfs_quota_us": "50000",
        "cpu/cpu.shares": "1024",
        "pids/pids.max": "300",
    }
    assert cgroups.limit_files(2, desired.Limits())["cpu.max"] == "max 100000"
    assert cgroups.limit_files(1, desired.Limits())["memory/memory.limit_in_bytes"] == "-1"
    assert cgroups.limit_files(2, desired.Limits())["pids.max"] == "max"
    assert cgroups.limit_files(1, desired.Limits())["pids/pids.max"] == "max"
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


def test_members_of_a_cgroup_and_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "cgroup.procs").write_text("17\n0\n")
    (tmp_path / "below/cgroup.procs").write_text("18\n")
    assert cgroups.members((tmp_path, tmp_path / "gone")) == {17, 18}


def test_who_is_in_a_cgroup_that_does_not_say_is_not_taken_for_nobody(tmp_path: Path) -> None:
    """Else it would be removed, which fails, and what runs in it would run for ever."""
    (tmp_path / "cgroup.procs").mkdir()
    with pytest.raises(errors.Failed, match=r"cgroup\.procs cannot be read"):
        cgroups.members((tmp_path,))


def test_the_process_of_a_thread() -> None:
    """By which the members of a threaded cgroup are found: it has no list of processes."""
    with ThreadPoolExecutor() as pool:
        assert processes.of_thread(str(pool.submit(threading.get_native_id).result())) == os.getpid()
    assert processes.of_thread("0") is None


def test_purge_knows_its_links() -> None:
    # What `ip -j link show` of iproute2 6.1 says of them.
    listing = (Path(__file__).parent / "golden" / "ip-links.json").read_text()
    assert purge.links_of(Instance.named("a").alias(""), listing) == ["rs1"]
    assert purge.links_of(Instance.named("a-b").alias(""), listing) == ["rs2"]


def test_purge_refuses_folders_that_are_not_the_instances(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(errors.Invalid, match="kept"):
        purge.purge(Instance(id="t-unit", state=kept, run=tmp_path / "t-unit", log=tmp_path / "t-unit"))
    assert kept.is_dir()
