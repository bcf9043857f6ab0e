"""The cgroups of hosts: where they are, limits, killing all that is in them, removal.

A host's cgroup is `PARENT/roadstead/INSTANCE/HOST`: one folder on v2, one per controller on v1. Nothing outside of an
instance's own cgroup is ever touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.agent.hosts import processes
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.core.instance import Instance
    from roadstead.messages import desired

PERIOD = 100_000
"""Microseconds in which a host may use its share of CPU time."""
_TURN = 0.005
"""Seconds between two looks where the kernel has no event to wait for: v1 cgroups."""


def path(instance: Instance, facts: MachineFacts, *below: str) -> str:
    """The cgroup of an instance, or of a host in it, as an absolute path in each hierarchy."""
    return "/".join((facts.cgroup_parent, instance.cgroup, *below))


def folders(instance: Instance, facts: MachineFacts, *below: str) -> tuple[Path, ...]:
    """The folders of that cgroup, one per hierarchy, whether they exist or not."""
    inside = path(instance, facts, *below).lstrip("/")
    return tuple(root / inside for root in facts.cgroup_roots)


def shares(weight: int) -> int:
    """`cpu.shares` of v1 for a weight of v2: 100 is 1024 there. Source: systemd.resource-control(5)."""
    return min(max(weight * 1024 // 100, 2), 262_144)


def limit_files(version: int, limits: desired.Limits) -> dict[str, str]:
    """The files of a host's cgroup and what they hold for these limits; on v1 named `CONTROLLER/FILE`."""
    quota = None if limits.cpus is None else max(int(limits.cpus * PERIOD), 1000)
    if version == 2:
        return {
            "memory.max": "max" if limits.memory is None else str(limits.memory),
            "cpu.max": f"{'max' if quota is None else quota} {PERIOD}",
            "cpu.weight": str(limits.cpu_weight),
        }
    return {
        "memory/memory.limit_in_bytes": str(-1 if limits.memory is None else limits.memory),
        "cpu/cpu.cfs_period_us": str(PERIOD),
        "cpu/cpu.cfs_quota_us": str(-1 if quota is None else quota),
        "cpu/cpu.shares": str(shares(limits.cpu_weight)),
    }


def update_limits(instance: Instance, facts: MachineFacts, host_id: str, limits: desired.Limits) -> None:
    """Sets a running host's limits. Raises Failed with what the kernel refuses, e.g. less memory than is used."""
    inside = path(instance, facts, host_id).lstrip("/")
    for name, value in limit_files(facts.cgroup_version, limits).items():
        controller, _, file = name.rpartition("/")
        for root in facts.cgroup_roots:
            if facts.cgroup_version == 1 and controller not in root.name.split(","):
                continue
            try:
                (root / inside / file).write_text(value)
            except OSError as error:
                raise errors.Failed(
                    f"host {host_id}: cannot set {file} to {value}: {error.strerror}", file=root / inside / file
                ) from error


def descendants(folder: Path) -> Iterator[Path]:
    """The folder and all below it, the deepest first; nothing when it does not exist."""
    for at, _, _ in os.walk(folder, topdown=False):
        yield Path(at)


def members(tops: Iterable[Path]) -> set[int]:
    """The pids in these cgroups and below. Raises Failed for one that does not say."""
    found: set[int] = set()
    for top in tops:
        for folder in descendants(top):
            found |= _members(folder)
    # What is in another namespace of pids than this one.
    found.discard(0)
    return found


def _members(folder: Path) -> set[int]:
    """Of one cgroup, none when it is gone. On v2 one that is threaded has no list of processes, only one of threads."""
    for name, of in (("cgroup.procs", int), ("cgroup.threads", processes.of_thread)):
        try:
            listed = (folder / name).read_text().split()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENODEV):
                return set()
            if error.errno != errno.EOPNOTSUPP:
                raise errors.Failed(f"{folder / name} cannot be read: {error.strerror}", file=folder / name) from error
        else:
            return {pid for each in listed if (pid := of(each)) is not None}
    raise errors.Failed(f"the cgroup {folder} lists neither processes nor threads", folder=folder)


def kill(tops: tuple[Path, ...], deadline: float) -> None:
    """SIGKILL to all in these cgroups and below until none is left.

    On v2 `cgroup.kill` does it at once. On v1 the cgroup is frozen meanwhile, so that nothing forks away between two
    looks, and what was frozen in it is thawed, since a frozen process does not die. Raises Failed when something is
    still there at `deadline` (of time.monotonic).
    """
    while pids := members(tops):
        for top in tops:
            with contextlib.suppress(OSError):
                (top / "cgroup.kill").write_text("1")
        _freeze(tops, "FROZEN")
        killed = [process for pid in members(tops) if (process := processes.see(pid))]
        for process in killed:
            processes.send(process, signal.SIGKILL)
        _freeze(tops, "THAWED")
        for process in killed:
            processes.wait(process, min(max(deadline - time.monotonic(), 0), 1))
        if time.monotonic() > deadline:
            raise errors.Failed(
                f"processes of {tops[0]} do not end after SIGKILL; a device they wait for may be stuck",
                pids=" ".join(map(str, sorted(pids))),
            )
        if not killed:
            time.sleep(_TURN)


def _freeze(tops: tuple[Path, ...], state: str) -> None:
    for top in tops:
        below = list(descendants(top)) if state == "THAWED" else [top]
        for folder in below:
            with contextlib.suppress(OSError):
                # "freezer.state" is of v1; v2's cgroup.kill needs no freezing.
                descriptor = os.open(folder / "freezer.state", os.O_WRONLY)
                try:
                    os.write(descriptor, state.encode())
                finally:
                    os.close(descriptor)


def remove(tops: tuple[Path, ...], deadline: float) -> list[Path]:
    """Removes these cgroups and all below, the deepest first, and says which there were. They hold no process.

    A process that has just ended may hold its cgroup for a moment more; raises Failed when that lasts to `deadline`.
    """
    removed = []
    for top in tops:
        if top.is_dir():
            removed.append(top)
        for folder in descendants(top):
            _remove_one(folder, deadline)
    return removed


def _remove_one(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise errors.Failed(f"cannot remove the cgroup {folder}: {error.strerror}") from error
            time.sleep(_TURN)
        else:
            return


def holds(cgroups: str, wanted: str) -> bool:
    """Whether a process whose /proc/PID/cgroup says `cgroups` is in the cgroup `wanted` or below."""
    paths = (line.split(":", 2)[2] for line in cgroups.splitlines() if line.count(":") >= 2)
    return any(path == wanted or path.startswith(f"{wanted}/") for path in paths)
