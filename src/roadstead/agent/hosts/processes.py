"""Processes by pid and start time, so that a number that was given out again is never taken for ours."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path

from roadstead.core.files import atomic

_STATE = 0
_STARTED = 19
"""Places of fields 3 and 22 of /proc/PID/stat after the command's name. Source: proc(5)."""


_TURN = 0.005
"""Seconds between two looks where the kernel has no event."""


@dataclass(frozen=True)
class Running:
    """A process: its pid on the machine and when it started, in clock ticks after boot."""

    pid: int
    started: int

    @property
    def since(self) -> float:
        """Unix time of its start, seconds; the same at each look."""
        with Path("/proc/stat").open() as file:
            booted = next(line for line in file if line.startswith("btime "))
        return int(booted.split()[1]) + self.started / os.sysconf("SC_CLK_TCK")


def see(pid: int) -> Running | None:
    """The process with that pid as it is now; None when there is none, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else Running(pid, int(fields[_STARTED]))


def of_thread(number: str) -> int | None:
    """The pid of the process that a thread is of; None when it has ended."""
    try:
        status = Path(f"/proc/{number}/status").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Tgid:"))


def alive(running: Running) -> bool:
    """Whether that very process is there, and not another one that got its number."""
    return see(running.pid) == running


def write(path: Path, running: Running) -> None:
    """Records a process as `PID STARTED`, whole or not at all."""
    atomic.write(path, f"{running.pid} {running.started}\n".encode(), 0o600, durable=False)


def read(path: Path) -> Running | None:
    """What `write` recorded; None when there is no record or it is not of that form."""
    try:
        pid, started = path.read_text().split()
        return Running(int(pid), int(started))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def open_pidfd(running: Running) -> int | None:
    """A descriptor of exactly that process, to be closed by the caller; None when it has ended."""
    try:
        pidfd = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return None
    # The order matters: what the descriptor refers to cannot change any more when the start time is compared.
    if alive(running):
        return pidfd
    os.close(pidfd)
    return None


def send(running: Running, number: signal.Signals) -> bool:
    """Sends a signal to exactly that process; False when it has ended."""
    pidfd = open_pidfd(running)
    if pidfd is None:
        return False
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


async def listens(running: Running, name: str, number: signal.Signals) -> None:
    """Returns when the process is the program `name` and would not miss that signal, or when it has ended.

    The first process of a namespace gets only signals that it has asked for. One that has just started has not yet,
    or is still runc about to become that program; the kernel offers no event for it.
    """
    while True:
        try:
            status = Path(f"/proc/{running.pid}/status").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return
        fields = dict(line.partition(":")[::2] for line in status.splitlines())
        heard = int(fields["SigBlk"], 16) | int(fields["SigCgt"], 16)
        if (fields["Name"].strip() == name and heard >> (number - 1) & 1) or not alive(running):
            return
        await asyncio.sleep(_TURN)


async def exited(running: Running) -> None:
    """Returns when the process has ended; it need not be a child. Cancel it to stop waiting."""
    pidfd = open_pidfd(running)
    if pidfd is None:
        return
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    loop.add_reader(pidfd, _settle, over)
    try:
        await over
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


def _settle(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def wait(running: Running, timeout: float) -> bool:
    """Blocks until the process has ended, `timeout` seconds at most; says whether it has."""
    pidfd = open_pidfd(running)
    if pidfd is None:
        return True
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))
    finally:
        os.close(pidfd)


def kill_group(running: Running) -> None:
    """SIGKILL to the process group that this process leads."""
    if alive(running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
