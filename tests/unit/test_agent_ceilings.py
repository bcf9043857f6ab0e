"""How much of a machine hosts may have, what is near its end, and how it is written to cgroups."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_hosts_bundle import CONTROL, INSTANCE, NODE, SYSTEMD, V1

from roadstead.agent.ceilings import near, plan, see
from roadstead.agent.hosts import cgroups
from roadstead.agent.hosts import see as hosts
from roadstead.contract.messages import desired
from roadstead.core import errors

GIB = 1 << 30
LAPTOP = plan.Room(memory=16 * GIB, processes=32768, disk=200 * GIB)
rooms = st.builds(
    plan.Room,
    memory=st.integers(GIB, 4096 * GIB),
    processes=st.integers(1000, 4 << 20),
    disk=st.integers(GIB, 1 << 50),
)


def test_a_laptops_ceilings() -> None:
    got = plan.ceilings(LAPTOP, plan.Kept())
    assert got == plan.Ceilings(
        memory=16 * GIB - 16 * GIB // 10,
        processes=32768 - 4096,
        kept=plan.Room(memory=16 * GIB // 10, processes=4096, disk=10 * GIB),
    )
    node = got.of(
        desired.Host(
            role="node",
            privilege="privileged",
            zone="a",
            legs=(),
            hostname="n",
            shape=desired.Shape(vcpus=2, memory=GIB),
        )
    )
    assert (node.memory, node.pids) == (GIB, 7168)
    large = got.of(
        desired.Host(
            role="node",
            privilege="privileged",
            zone="a",
            legs=(),
            hostname="n",
            shape=desired.Shape(vcpus=2, memory=64 * GIB),
        )
    )
    assert large.memory == got.memory * 3 // 4
    control = got.of(
        desired.Host(
            role="api", privilege="unprivileged", zone="a", legs=(), hostname="n", limits=desired.Limits(cpu_weight=7)
        )
    )
    assert control == desired.Limits(memory=got.memory // 2, pids=3584, cpu_weight=7)


def test_what_is_asked_for_expressly_is_so() -> None:
    asked = desired.Limits(memory=5 << 20, pids=9)
    host = desired.Host(role="api", privilege="unprivileged", zone="a", legs=(), hostname="n", limits=asked)
    assert plan.ceilings(LAPTOP, plan.Kept()).of(host) == asked


@given(rooms)
def test_the_machine_keeps_a_share_and_no_host_has_all(room: plan.Room) -> None:
    got = plan.ceilings(room, plan.Kept())
    assert 0 < got.memory < room.memory
    assert 0 < got.processes < room.processes
    assert 0 < got.kept.disk <= room.disk // 4
    for host in (NODE, CONTROL):
        limits = got.of(msgspec.structs.replace(host, limits=desired.Limits()))
        assert limits.memory is not None
        assert limits.pids is not None
        assert 0 < limits.memory < got.memory
        assert 0 < limits.pids < got.processes


def test_root_keeps_more_or_less_but_never_all() -> None:
    assert plan.ceilings(LAPTOP, plan.Kept(memory=0, processes=1, disk=5)).kept == plan.Room(0, 1, 5)
    all_ = plan.ceilings(LAPTOP, plan.Kept(memory=1 << 50, processes=1 << 50, disk=1 << 60))
    assert all_.memory == 16 * GIB // 100
    assert all_.processes == 327
    assert all_.kept.disk == 200 * GIB - 2 * GIB


def test_what_a_machine_has_is_no_more_than_what_is_above_its_hosts_has(tmp_path: Path) -> None:
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "meminfo").write_text("MemTotal:        8000000 kB\nMemFree:  1 kB\n")
    (tmp_path / "sys/kernel/pid_max").write_text("32768\n")
    (tmp_path / "sys/kernel/threads-max").write_text("30000\n")
    got = see.room(tmp_path, (), tmp_path)
    assert (got.memory, got.processes) == (8_000_000 * 1024, 30000)
    assert got.disk > 0
    above = tmp_path / "service"
    above.mkdir()
    for name, text in (
        ("memory.max", "max\n"),
        ("memory.limit_in_bytes", f"{(1 << 63) - 4096}\n"),
        ("pids.max", "max"),
    ):
        (above / name).write_text(text)
    assert see.room(tmp_path, (above,), tmp_path) == got
    (above / "memory.max").write_text("1000000\n")
    (above / "pids.max").write_text("500\n")
    limited = see.room(tmp_path, (above,), tmp_path)
    assert (limited.memory, limited.processes) == (1_000_000, 500)


def test_near_from_17_twentieths_on_until_below_15() -> None:
    def at(used: int, *before: near.What) -> tuple[near.What, ...]:
        return near.near({"memory": near.Use(1, 100), "processes": near.Use(used, 100)}, before)

    assert [at(used) for used in (74, 84, 85, 101)] == [(), (), ("processes",), ("processes",)]
    assert [at(used, "processes") for used in (74, 75, 84)] == [(), ("processes",), ("processes",)]
    assert near.near({}, ("memory",)) == ()


def test_short_below_what_is_kept_until_a_tenth_more_is_free() -> None:
    assert [near.short(free, 100, before=False) for free in (99, 100, 105)] == [True, False, False]
    assert [near.short(free, 100, before=True) for free in (99, 109, 110)] == [True, True, False]


def test_sentences_say_the_limit_and_no_number_that_changes() -> None:
    assert near.of_host("processes", 7168) == "is near its limit of 7168 processes and threads"
    assert near.of_host("memory", 4 * GIB) == "is near its limit of 4 GiB of memory"
    assert near.of_all("memory", 14 * GIB + GIB // 2) == (
        "all hosts of this machine together are near their limit of 14.5 GiB of memory"
    )
    assert near.of_disk(2 * GIB).startswith("the machine's disk is near its end: less than 2 GiB are free")


@pytest.mark.parametrize("version", [1, 2])
def test_ceilings_are_written_to_hosts_and_above_them(version: int, tmp_path: Path) -> None:
    facts, files = tree(version, tmp_path)
    bounds = plan.ceilings(LAPTOP, plan.Kept())
    limits = bounds.of(NODE)
    assert cgroups.bound(INSTANCE, facts, bounds) == ()
    assert cgroups.update_limits(INSTANCE, facts, "node-1", limits) == ()
    for below, memory, pids in (("", bounds.memory, bounds.processes), ("node-1", limits.memory, limits.pids)):
        assert files(below) == (str(memory), str(pids))
    assert cgroups.usage(INSTANCE, facts, "node-1")["processes"] == near.Use(12, limits.pids or 0)


@pytest.mark.parametrize("version", [1, 2])
def test_a_host_that_has_more_memory_than_its_limit_keeps_it(version: int, tmp_path: Path) -> None:
    """What is in use does not count what nobody has used lately."""
    facts, files = tree(version, tmp_path, used=3000, idle=1000)
    for limit, written in ((1500, 2200), (2000, 2000), (2500, 2500)):
        cgroups.update_limits(INSTANCE, facts, "node-1", desired.Limits(memory=limit, pids=7))
        assert files("node-1") == (str(written), "7")


@pytest.mark.parametrize("version", [1, 2])
def test_pods_never_have_all_processes_of_their_node(version: int, tmp_path: Path) -> None:
    facts, _ = tree(version, tmp_path)
    cgroups.bound_pods(INSTANCE, facts, "node-1")
    (folder,) = (each for each in cgroups.folders(INSTANCE, facts, "node-1") if (each / "pids.max").exists())
    pods = folder / cgroups.PODS / "pids.max"
    pods.parent.mkdir()
    for limit, before, after in (
        ("max", "max", "max"),
        ("800", "max", "700"),
        ("800", "32768", "700"),
        ("800", "5", "5"),
    ):
        (folder / "pids.max").write_text(limit)
        pods.write_text(before)
        cgroups.bound_pods(INSTANCE, facts, "node-1")
        assert pods.read_text() == after


def test_what_cannot_be_set_is_told_and_hinders_nothing(tmp_path: Path) -> None:
    facts, _ = tree(2, tmp_path)
    (path,) = (folder / "pids.max" for folder in cgroups.folders(INSTANCE, facts, "node-1"))
    path.unlink()
    (told,) = cgroups.update_limits(INSTANCE, facts, "node-1", desired.Limits(memory=5, pids=7))
    assert "pids.max cannot be set" in told
    assert not path.exists()
    folder = path.with_name("memory.max")
    folder.unlink()
    folder.mkdir()
    with pytest.raises(errors.Failed, match=r"node-1: cannot set memory\.max"):
        cgroups.update_limits(INSTANCE, facts, "node-1", desired.Limits(memory=5))


def tree(
    version: int, tmp_path: Path, used: int = 0, idle: int = 0
) -> tuple[hosts.MachineFacts, Callable[[str], tuple[str, ...]]]:
    """A tree of files like the kernel's, and what stands in those of memory and processes."""
    roots = (tmp_path,) if version == 2 else tuple(tmp_path / name for name in ("cpu,cpuacct", "memory", "pids"))
    facts = dataclasses.replace(SYSTEMD if version == 2 else V1, cgroup_roots=roots)
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    for below in ("", "node-1"):
        for root, folder in zip(roots, cgroups.folders(INSTANCE, facts, *filter(None, [below])), strict=True):
            folder.mkdir(parents=True, exist_ok=True)
            for file in (*cgroups.limit_files(version, desired.Limits()), "pids.current", f"memory/{names[1]}"):
                if version == 2 or file.partition("/")[0] in root.name.split(",") or "/" not in file:
                    (folder / file.rpartition("/")[2]).write_text("max")
            (folder / names[1]).write_text(f"{used}\n")
            (folder / "pids.current").write_text("12\n")
            (folder / "memory.stat").write_text(f"anon 1\n{names[2]} {idle}\nother 5\n")

    def files(below: str) -> tuple[str, ...]:
        found = {}
        for folder in cgroups.folders(INSTANCE, facts, *filter(None, [below])):
            for name in (names[0], "pids.max"):
                if (folder / name).exists():
                    found[name] = (folder / name).read_text()
        return found[names[0]], found["pids.max"]

    return facts, files
