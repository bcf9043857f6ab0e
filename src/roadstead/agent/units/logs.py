"""Reading and following the rotated logs of a unit.

`s6-log` writes `current` and renames it to `@TAI64N.s` when it is full; these names sort by time. The folder belongs
to the host's user: see `files`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from roadstead.agent.units import files
from roadstead.core import errors
from roadstead.core.files import inotify

_BLOCK = 65536
_WATCHED = inotify.MODIFY | inotify.MOVED_TO | inotify.CREATE
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


async def read(path: Path, lines: int | None, follow: bool, watcher: inotify.Inotify) -> AsyncIterator[bytes]:
    """The last `lines` lines (None: all), then, with `follow`, all that is written, for ever, in blocks.

    Nothing is lost or told twice when the log is rotated meanwhile. Raises NotFound when there is no log.
    """
    try:
        within = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise errors.NotFound(f"there is no log at {path}: {error.strerror}", path=path) from error
    tail = _Tail(within)
    try:
        with watcher.watching(within, _WATCHED) as changed:
            tail.begin(lines)
            for block in tail.blocks():
                yield block
            while follow:
                await changed.wait()
                changed.clear()
                for block in tail.blocks():
                    yield block
    finally:
        tail.close()
        os.close(within)


class _Tail:
    """A place in the row of a log's files: an open file and where in it."""

    def __init__(self, within: int) -> None:
        self._within = within
        self._fd = -1

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def begin(self, lines: int | None) -> None:
        """Go to the start of the last `lines` lines, or of all."""
        # The newest first: what is rotated while we look is then met as an archive too, and known again.
        newest = self._open("current")
        met = None if newest is None else _identity(newest)
        if newest is not None:
            self._fd = newest
            found, lines = _rewind(newest, lines)
            if found:
                return
        for name in reversed(self._archives()):
            fd = self._open(name)
            if fd is None:
                continue
            if _identity(fd) == met:
                os.close(fd)
                continue
            self.close()
            self._fd = fd
            found, lines = _rewind(fd, lines)
            if found:
                return

    def blocks(self) -> Iterator[bytes]:
        """All that is there from here on, through the newer files to the end of the newest."""
        while True:
            # In this order: nothing is written any more to a file that already has a newer one.
            newest = self._fd >= 0 and self._is_newest()
            if self._fd >= 0:
                yield from self._rest()
            following = None if newest else self._next()
            if following is None:
                return
            self.close()
            self._fd = following

    def _is_newest(self) -> bool:
        fd = self._open("current")
        if fd is None:
            return False
        same = _identity(fd) == _identity(self._fd)
        os.close(fd)
        return same

    def _rest(self) -> Iterator[bytes]:
        while block := os.read(self._fd, _BLOCK):
            yield block

    def _next(self) -> int | None:
        """The file after ours, open; None when ours is the newest."""
        newest = self._open("current")
        if self._fd < 0:
            return newest
        if newest is not None and _identity(newest) == _identity(self._fd):
            os.close(newest)
            return None
        # Ours is an archive by now, or was removed as the oldest.
        later: list[str] = []
        for name in reversed(self._archives()):
            fd = self._open(name)
            if fd is None:
                continue
            ours = _identity(fd) == _identity(self._fd)
            os.close(fd)
            if ours:
                break
            later.insert(0, name)
        for name in later:
            fd = self._open(name)
            if fd is not None:
                if newest is not None:
                    os.close(newest)
                return fd
        return newest

    def _archives(self) -> list[str]:
        return sorted(name for name in files.names(self._within) if name.startswith("@"))

    def _open(self, name: str) -> int | None:
        try:
            fd = os.open(name, _OPEN, dir_fd=self._within)
        except OSError:
            return None
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
        return None


def _identity(fd: int) -> tuple[int, int]:
    facts = os.fstat(fd)
    return facts.st_dev, facts.st_ino


def _rewind(fd: int, lines: int | None) -> tuple[bool, int | None]:
    """Put `fd` at the start of its last `lines` lines: (True, 0) when it has so many, else how many are missing."""
    if lines is None:
        os.lseek(fd, 0, os.SEEK_SET)
        return False, None
    end = os.fstat(fd).st_size
    missing, at = lines, end
    while at > 0:
        start = max(0, at - _BLOCK)
        block = os.pread(fd, at - start, start)
        cut = len(block)
        while (cut := block.rfind(b"\n", 0, cut)) >= 0:
            # The newline before the wanted lines; each line ends with one of its own.
            if missing == 0:
                os.lseek(fd, start + cut + 1, os.SEEK_SET)
                return True, 0
            missing -= 1
        at = start
    os.lseek(fd, 0, os.SEEK_SET)
    return False, missing
