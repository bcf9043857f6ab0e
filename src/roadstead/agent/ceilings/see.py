"""What the machine has, as far as an instance could have it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from roadstead.agent.ceilings import plan

_NO_LIMIT = 1 << 60
"""v1 says a number near 2^63 where there is no limit."""
_MEMORY = ("memory.max", "memory.limit_in_bytes")
_PROCESSES = ("pids.max",)


def room(state: Path, cgroups: Iterable[Path], proc: Path = Path("/proc")) -> plan.Room:
    """`state`: where the instance keeps its disks. `cgroups`: what is above its hosts' cgroup, in each hierarchy: in a
    container or a service these may have limits of their own.
    """
    above = tuple(cgroups)
    words = (proc / "meminfo").read_text().split()
    memory = int(words[words.index("MemTotal:") + 1]) * 1024
    kernel = proc / "sys" / "kernel"
    processes = min(int((kernel / name).read_text()) for name in ("pid_max", "threads-max"))
    disk = os.statvfs(state)
    return plan.Room(
        memory=min((memory, *_limits(above, _MEMORY))),
        processes=min((processes, *_limits(above, _PROCESSES))),
        disk=disk.f_blocks * disk.f_frsize,
    )


def _limits(folders: Iterable[Path], names: Iterable[str]) -> list[int]:
    found = []
    for folder in folders:
        for name in names:
            number = read_number(folder / name)
            if number is not None:
                found.append(number)
    return found


def read_number(file: Path) -> int | None:
    """A number of a cgroup; None where there is no such file, or no limit."""
    try:
        word = file.read_text().strip()
    except OSError:
        return None
    return int(word) if word.isdecimal() and int(word) < _NO_LIMIT else None
