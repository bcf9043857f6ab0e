"""The file edge: atomic replacing in root's folders, and reading from folders that another user owns.

An unprivileged host may plant symbolic links, fifos or huge files in the folders that its user owns. So nothing here
follows a link in the last part of a path, waits on a fifo, or reads without a bound.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from roadstead.core import errors
from roadstead.core.files import atomic

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def folder(path: str | Path, within: int | None = None) -> Iterator[int]:
    """A descriptor of a folder, which must not be a link. Raises OSError (FileNotFoundError, NotADirectoryError)."""
    fd = os.open(path, _FOLDER, dir_fd=within)
    try:
        yield fd
    finally:
        os.close(fd)


def names(within: int) -> set[str]:
    """What is in an open folder."""
    with os.scandir(within) as entries:
        return {entry.name for entry in entries}


def make_folder(within: int, name: str, mode: int, uid: int) -> None:
    """A folder of that mode and user (and the group of the same number) in an open one; mended when it differs.

    Raises Conflict when something else has the name.
    """
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=within)
    try:
        with folder(name, within) as fd:
            now = os.fstat(fd)
            if (now.st_uid, now.st_gid) != (uid, uid):
                os.fchown(fd, uid, uid)
            if stat.S_IMODE(now.st_mode) != mode:
                os.fchmod(fd, mode)
    except OSError as error:
        raise errors.Conflict(f"{name} is not a folder: {error.strerror}; take it away", name=name) from error


def read(within: int, name: str, most: int) -> tuple[bytes, os.stat_result] | None:
    """At most `most` bytes of a regular file and its facts; None when there is none, or it is something else."""
    try:
        fd = os.open(name, _READ, dir_fd=within)
    except OSError:
        return None
    try:
        facts = os.fstat(fd)
        return (os.read(fd, most), facts) if stat.S_ISREG(facts.st_mode) else None
    finally:
        os.close(fd)


def replace(within: int, name: str, content: bytes, mode: int, uid: int = 0) -> bool:
    """A file of that content, mode and user in root's own folder, never seen half written. True: it was not so.

    It is renamed over the old one inside its folder, so a bind mount of the folder shows it.
    """
    now = read(within, name, len(content) + 1)
    if now is not None:
        old, facts = now
        if old == content and (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (uid, uid, mode):
            return False
    remove(within, atomic.draft_of(name))
    with atomic.replacing(name, mode, durable=False, owner=(uid, uid), within=within) as file:
        file.write(content)
        file.flush()
        # The kernel's own stamp may be some milliseconds early, and starts of processes are compared with it.
        now_ns = time.time_ns()
        os.utime(file.fileno(), ns=(now_ns, now_ns))
    return True


def remove(within: int, name: str) -> None:
    """Without that file, or without an empty folder of its name."""
    try:
        os.unlink(name, dir_fd=within)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        os.rmdir(name, dir_fd=within)
