"""The cgroups of hosts: where they are, limits, killing all that is in them, removal.

A host's cgroup is `PARENT/roadstead/INSTANCE/HOST`: one folder on v2, one per controller on v1. Nothing outside of an
instance's own cgroup is ever touched. On v2 its controllers are switched on in what is above it, as runc does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roadstead.agent.ceilings import near, plan
from roadstead.agent.ceilings import see as numbers
from roadstead.agent.hosts import processes
from roadstead.contract.messages import desired
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from roadstead.agent.ceilings.plan import Ceilings
    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.core.instance import Instance

PERIOD = 100_000
"""Microseconds in which a host may use its share of CPU time."""
PODS = "kubepods"
"""kubelet's cgroup of all pods, below its host's."""
_BOUND = ("memory", "pids")
"""The controllers of what all hosts have together."""
_DELEGATED = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks")
_NOT_HERE = (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBUSY)
"""No such controller; v1 where root may not do everything; v1 where more memory is in use than can be let go."""
_TURN = 0.005
"""Seconds between two looks where the kernel has no event to wait for: v1 cgroups."""


def path(instance: Instance, facts: MachineFacts, *below: str) -> str:
    """The cgroup of an instance, or of a host in it, as an absolute path in each hierarchy."""
    return "/".join((facts.cgroup_parent, instance.cgroup, *below))


def folders(instance: Instance, facts: MachineFacts, *below: str) -> tuple[Path, ...]:
    """The folders of that cgroup, one per hierarchy, whether they exist or not."""
    inside = path(instance, facts, *below).lstrip("/")
    return tuple(root / inside for root in facts.cgroup_roots)


def above(facts: MachineFacts) -> tuple[Path, ...]:
    """The folders of all cgroups above those of instances."""
    parents = [root / facts.cgroup_parent.lstrip("/") for root in facts.cgroup_roots]
    ends = zip(facts.cgroup_roots, parents, strict=True)
    return tuple(each for root, at in ends for each in (at, *at.parents) if each.is_relative_to(root))


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
            "pids.max": "max" if limits.pids is None else str(limits.pids),
        }
    return {
        "memory/memory.limit_in_bytes": str(-1 if limits.memory is None else limits.memory),
        "cpu/cpu.cfs_period_us": str(PERIOD),
        "cpu/cpu.cfs_quota_us": str(-1 if quota is None else quota),
        "cpu/cpu.shares": str(shares(limits.cpu_weight)),
        "pids/pids.max": "max" if limits.pids is None else str(limits.pids),
    }


def update_limits(instance: Instance, facts: MachineFacts, host_id: str, limits: desired.Limits) -> tuple[str, ...]:
    """Sets a running host's limits; sentences about those that this machine does not let anybody set.

    Raises Failed with what else the kernel refuses. A host that has more memory than it is to have keeps what it has:
    v2 would end its processes, and v1 refuses.
    """
    files = limit_files(facts.cgroup_version, _spared(limits, _memory_used(instance, facts, host_id)))
    return _write(instance, facts, files, f"host {host_id}", host_id)


def bound(instance: Instance, facts: MachineFacts, all_: Ceilings) -> tuple[str, ...]:
    """The cgroup above all hosts with its ceilings, whether there are hosts or not; else as `update_limits`."""
    for controller in _BOUND:
        for top in _folders_of(instance, facts, controller):
            top.parent.mkdir(parents=True, exist_ok=True)
            if facts.cgroup_version == 2:
                for above in (top.parents[1], top.parent):
                    # One that the machine lacks is the doctor's to tell of.
                    with contextlib.suppress(OSError):
                        (above / "cgroup.subtree_control").write_text(f"+{controller}")
            top.mkdir(exist_ok=True)
            with contextlib.suppress(OSError):
                # Newer kernels have no other way. Older ones take it as long as nothing is below.
                _overwrite(top / "memory.use_hierarchy", "1")
    limits = _spared(desired.Limits(memory=all_.memory, pids=all_.processes), _memory_used(instance, facts))
    files = limit_files(facts.cgroup_version, limits)
    return _write(
        instance, facts, {name: files[name] for name in files if name.startswith(_BOUND)}, "all hosts together"
    )


def bound_pods(instance: Instance, facts: MachineFacts, host_id: str) -> None:
    """That a node's pods cannot have all of its processes: it needs some to end them.

    The cgroup of pods is kubelet's, which has the machine's own number in it at its start and never looks at it again.
    """
    for folder in _folders_of(instance, facts, "pids", host_id):
        limit, now = (numbers.read_number(at / "pids.max") for at in (folder, folder / PODS))
        if limit is not None and (folder / PODS).is_dir() and (now is None or now > plan.of_pods(limit)):
            with contextlib.suppress(OSError):
                # It may have gone meanwhile.
                _overwrite(folder / PODS / "pids.max", str(plan.of_pods(limit)))


def _spared(limits: desired.Limits, used: int) -> desired.Limits:
    more = limits.memory is not None and used > limits.memory
    return msgspec.structs.replace(limits, memory=used * 11 // 10) if more else limits


def _write(
    instance: Instance, facts: MachineFacts, files: Mapping[str, str], whose: str, *below: str
) -> tuple[str, ...]:
    refused = []
    for name, value in files.items():
        controller, _, file = name.rpartition("/")
        for folder in _folders_of(instance, facts, controller, *below):
            try:
                _overwrite(folder / file, value)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise errors.Failed(
                        f"{whose}: cannot set {file} to {value}: {error.strerror}", file=folder / file
                    ) from error
                refused.append(f"{whose}: {file} cannot be set: {error.strerror}")
    return tuple(refused)


def _overwrite(file: Path, value: str) -> None:
    """Without making one: what is no cgroup is no place for it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def usage(instance: Instance, facts: MachineFacts, *below: str) -> dict[near.What, near.Use]:
    """How much of its ceilings a host has, or all of them have together; what has none is left out."""
    found: dict[near.What, near.Use] = {}
    limits = {"memory": _memory_files(facts)[1], "pids": "pids.max"}
    for controller, file in limits.items():
        for folder in _folders_of(instance, facts, controller, *below):
            limit = numbers.read_number(folder / file)
            if limit is None:
                continue
            if controller == "memory":
                found["memory"] = near.Use(_memory_used(instance, facts, *below), limit)
            else:
                found["processes"] = near.Use(numbers.read_number(folder / "pids.current") or 0, limit)
    return found


def _memory_files(facts: MachineFacts) -> tuple[str, str, str]:
    """Of how much is used, of the limit, and the word for what nobody has used lately."""
    if facts.cgroup_version == 2:
        return "memory.current", "memory.max", "inactive_file "
    return "memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file "


def _memory_used(instance: Instance, facts: MachineFacts, *below: str) -> int:
    """Bytes, without files that nobody has used lately: the kernel lets go of those before it ends anything."""
    file, _, word = _memory_files(facts)
    for folder in _folders_of(instance, facts, "memory", *below):
        used = numbers.read_number(folder / file)
        if used is not None:
            with contextlib.suppress(OSError):
                lines = (folder / "memory.stat").read_text().splitlines()
                used -= next((int(line.removeprefix(word)) for line in lines if line.startswith(word)), 0)
            return max(used, 0)
    return 0


def _folders_of(instance: Instance, facts: MachineFacts, controller: str, *below: str) -> Iterator[Path]:
    """A cgroup's folder in the controller's hierarchy; none where v1 does not have it."""
    for root, folder in zip(facts.cgroup_roots, folders(instance, facts, *below), strict=True):
        if facts.cgroup_version == 2 or controller in root.name.split(","):
            yield folder


def give(tops: Iterable[Path], uid: int) -> None:
    """Makes the cgroups where they are missing, for that user to make others below, and to move its processes there.

    What limits the host itself stays root's. Source: cgroup-v2.rst, "Model of Delegation".
    """
    for top in tops:
        top.mkdir(parents=True, exist_ok=True)
        os.chown(top, uid, uid)
        for name in _DELEGATED:
            with contextlib.suppress(FileNotFoundError):
                os.chown(top / name, uid, uid)


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
