"""What things cost: processor time of cgroups and processes, and memory with shared pages counted once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from bench import agent, stage
from roadstead.agent.hosts import cgroups, see
from roadstead.core import instance


def host_cpu(places: instance.Instance, hosts: Iterable[str]) -> float:
    """Seconds of processor that hosts have used since they were made."""
    facts = see.machine_facts(places)
    return sum(cgroup_cpu(cgroups.folders(places, facts, host)) for host in hosts)


def cgroup_cpu(folders: Iterable[Path]) -> float:
    """Seconds used by a cgroup and all below it: v1 (`cpuacct.usage`, ns) or v2 (`cpu.stat`, us)."""
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        with contextlib.suppress(FileNotFoundError, KeyError):
            lines = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            return int(lines["usage_usec"]) / 1e6
    raise FileNotFoundError("no cgroup of the host counts processor time")


def pss(pids: Iterable[int]) -> float:
    """MB."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += agent.pss(pid)
    return total


def hosts_of(on: stage.Stage, cluster: str) -> list[str]:
    """Those of a control plane."""
    return [id for kind, id in on.seen.latest if kind == "hosts" and id.startswith(f"{cluster}.") and ".i-" not in id]


def plane_memory(on: stage.Stage, cluster: str) -> dict[str, float]:
    """MB of each component, all three of it together; `s6` is what supervises them."""
    found: dict[str, float] = {}
    units: set[int] = set()
    for (kind, id), one in list(on.seen.latest.items()):
        host, _, unit = id.partition("/")
        if kind == "units" and host in hosts_of(on, cluster) and one.pid is not None:
            name = unit.rstrip("-12") if unit.startswith("proxy") else unit
            found[name] = found.get(name, 0.0) + pss([one.pid])
            units.add(one.pid)
    firsts = [on.seen.latest["hosts", host].pid for host in hosts_of(on, cluster)]
    all_below = {pid for first in firsts if first is not None for pid in agent.processes_below(first)}
    found["s6"] = pss(all_below - units)
    return found


def load() -> float:
    return os.getloadavg()[0]
