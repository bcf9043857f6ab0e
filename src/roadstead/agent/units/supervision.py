"""s6's fifos and status files: what it says, what it is told, and its end.

Source: s6 2.11, s6-supervise.c and s6-svscan.c. A supervisor reads single bytes from the fifo `control`; a fifo
without a reader has no supervisor. All of these files belong to the host's user: see `files`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roadstead.agent.units import files, state
from roadstead.core import errors

SUPERVISE = "supervise"
SVSCAN = ".s6-svscan"
ASKED = "asked"
"""The file of a unit that is as old as the last start that was asked for."""

DOWN = b"d"
UP = b"u"
EXIT = b"x"
SIGNALS = {"HUP": b"h", "USR1": b"1", "USR2": b"2"}
"""Bytes for a unit's supervisor."""
SCAN = b"a"
SCAN_AND_REAP = b"h"
"""Bytes for s6-svscan: look for new folders; the same, and end the supervisors of folders that are gone."""


@contextmanager
def _control(folder: Path) -> Iterator[int | None]:
    """The write end of the fifo in a folder; None when no supervisor reads it."""
    try:
        with files.folder(folder) as within:
            fd = os.open("control", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        yield None
        return
    try:
        yield fd if stat.S_ISFIFO(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def alive(folder: Path) -> bool:
    """Whether a supervisor works on a `supervise` or `.s6-svscan` folder."""
    with _control(folder) as fd:
        return fd is not None


def tell(folder: Path, commands: bytes) -> bool:
    """Send bytes to a supervisor; False when there is none. Raises Busy when it does not read."""
    with _control(folder) as fd:
        if fd is None:
            return False
        try:
            os.write(fd, commands)
        except BrokenPipeError:
            return False
        except BlockingIOError as error:
            raise errors.Busy(f"the supervisor of {folder} does not read its commands", folder=folder) from error
        return True


async def ended(folder: Path, seconds: float) -> bool:
    """Wait until no supervisor works on a folder; False when it still does after that time.

    The write end of a fifo reports an error as soon as its last reader is gone.
    """
    loop = asyncio.get_running_loop()
    with _control(folder) as fd:
        if fd is None:
            return True
        gone = asyncio.Event()
        loop.add_reader(fd, gone.set)
        try:
            async with asyncio.timeout(seconds):
                await gone.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(fd)
    return not alive(folder)


def supervised(unit_folder: Path) -> state.Supervised | None:
    """What the unit's supervisor says; None without one."""
    if not alive(unit_folder / SUPERVISE):
        return None
    with files.folder(unit_folder / SUPERVISE) as within:
        raw = files.read(within, "status", state.MOST_BYTES)
    return None if raw is None else state.unpack(raw[0])


def recorded(unit_folder: Path) -> tuple[state.UnitRecord | None, bool]:
    """What `finish` wrote last, and whether `run` waits for the pause to end."""
    try:
        with files.folder(unit_folder) as above, files.folder("state", above) as within:
            asked = files.read(above, ASKED, state.MOST_BYTES)
            raw = files.read(within, "record", state.MOST_BYTES)
            waiting = files.read(within, "waiting", 1) is not None
    except OSError:
        return None, False
    if raw is None:
        return None, waiting
    record = state.record(raw[0], raw[1].st_mtime)
    if record is not None and asked is not None and asked[1].st_mtime_ns > raw[1].st_mtime_ns:
        record = dataclasses.replace(record, pause=0.0)
    return record, waiting
