"""Process ids of a host's PID namespace to those of the machine.

s6 in the host knows a unit by its pid there. The kernel tells both in the line NSpid of /proc/PID/status. Only the
children of the supervisors, themselves children of the host's PID 1, are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def on_machine(host_pid: int, inner: int) -> int | None:
    """The machine's pid of the host's process `inner`; None when it is no child of a supervisor there."""
    depth = len(_levels(host_pid))
    for supervisor in _children(host_pid):
        for child in _children(supervisor):
            levels = _levels(child)
            if len(levels) == depth and levels[-1] == inner:
                return child
    return None


def is_still(pid: int, inner: int) -> bool:
    """Whether the machine's `pid` still is the host's `inner`."""
    levels = _levels(pid)
    return bool(levels) and levels[-1] == inner


def _levels(pid: int) -> list[int]:
    """The pid in each namespace, from the machine's to its own; empty when it is gone."""
    for line in _lines(_PROC / str(pid) / "status"):
        if line.startswith("NSpid:"):
            return [int(word) for word in line.split()[1:]]
    return []


def _children(pid: int) -> Iterator[int]:
    for line in _lines(_PROC / str(pid) / "task" / str(pid) / "children"):
        yield from (int(word) for word in line.split())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []
