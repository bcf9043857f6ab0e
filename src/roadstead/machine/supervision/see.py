"""What runs of a tree. Reads only."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from roadstead.contract import programs
from roadstead.core import errors
from roadstead.machine.supervision import tree as trees

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid."""

SYSTEMD = Path("/run/systemd/system")
"""Exists where PID 1 is systemd: see sd_booted(3)."""


@dataclass(frozen=True)
class RunningTree:
    """A tree as it is: the pid of its s6-svscan, and the services that are watched by an s6-supervise."""

    scanner: int | None
    supervised: dict[str, int]
    """The pid of the s6-supervise by service; a log's is `SERVICE/log`."""


def tree(folder: Path) -> RunningTree:
    """Who holds the tree's locks. A tree that was never made is one in which nothing runs."""
    supervised = {}
    for lock in sorted([*folder.glob("*/supervise/lock"), *folder.glob("*/log/supervise/lock")]):
        if (pid := holder(lock)) is not None:
            supervised[str(lock.parent.parent.relative_to(folder))] = pid
    return RunningTree(holder(folder / ".s6-svscan" / "lock"), supervised)


def holder(lock: Path) -> int | None:
    """The pid of the process that holds a lock file of s6 (POSIX record locks); None when nobody does."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        raise
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else pid


@dataclass(frozen=True)
class Process:
    """A service's process now. `seconds`: for how long it has been up, or down."""

    name: str
    pid: int | None
    seconds: int
    pss: int
    """Bytes of memory, shared pages in their part; 0 where it cannot be read."""
    deaths: int


def process(folder: Path, service: str) -> Process | None:
    """A supervised service; None when nobody supervises it."""
    command = ("s6-svstat", "-o", "pid,updownfor", str(folder / service))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    if done.returncode != 0:
        return None
    pid, seconds = (int(word) for word in done.stdout.split())
    return Process(service, None if pid < 0 else pid, seconds, pss(pid), deaths(folder, service))


def pss(pid: int) -> int:
    """The memory of a process in bytes, shared pages divided among those that share them (proc(5), smaps_rollup)."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        # It ended, or there is none.
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def ids() -> trees.Ids:
    """Of the services' users. Raises Failed when one is not there."""
    _uid(programs.ENGINES_USER)
    return trees.Ids(serve=_uid(programs.USER), porter=_uid(programs.PORTER_USER))


def _uid(user: str) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise errors.Failed(f"there is no user {user}: `roadstead start` makes it", user=user) from error


def under_systemd() -> bool:
    """Whether PID 1 is systemd: sd_booted(3)."""
    return SYSTEMD.is_dir()


def deaths(folder: Path, service: str) -> int:
    """How often the service has died since its s6-supervise came up (s6 remembers the last hundred)."""
    try:
        return (folder / service / "supervise" / "death_tally").stat().st_size // _DEATH_BYTES
    except FileNotFoundError:
        return 0


_DEATH_BYTES = 14
"""A record of death_tally: a TAI64N time of 12 bytes, exit code, signal."""
