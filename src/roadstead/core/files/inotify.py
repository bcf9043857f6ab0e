"""Changes in folders, told by the kernel: one inotify descriptor for all of a program. Source: inotify(7)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from roadstead.core import errors

MODIFY = 0x2
ATTRIB = 0x4
CLOSE_WRITE = 0x8
MOVED_FROM = 0x40
MOVED_TO = 0x80
CREATE = 0x100
DELETE = 0x200
_OVERFLOW = 0x4000
_IGNORED = 0x8000
_EVENT = struct.Struct("iIII")
_ONLY_FOLDERS = 0x0100_0000

Seen = Callable[[str | None], None]
"""Called with a changed file's name; with an empty one when events were lost, with None when the folder is gone."""


class Inotify:
    """Watches of folders by descriptor, on the loop that runs at the first watch. `close` ends them all."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seen: dict[int, list[tuple[object, Seen]]] = {}

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
        self._loop, self._fd = None, -1
        self._seen.clear()

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _failed("no inotify descriptor could be made; raise fs.inotify.max_user_instances")
        self._loop = loop
        loop.add_reader(self._fd, self._read)

    def watch(self, folder: int, mask: int, seen: Seen) -> Callable[[], None]:
        """Call `seen` for changes in an open folder; returns what ends the watch. Same folder: same mask, please.

        Raises Failed when the kernel has no more watches.
        """
        if self._loop is None:
            self._open()
        # By the descriptor: the path could be made to lead elsewhere.
        path = f"/proc/self/fd/{folder}".encode()
        wd = self._libc.inotify_add_watch(self._fd, path, mask | _ONLY_FOLDERS)
        if wd < 0:
            raise _failed("a folder could not be watched; raise fs.inotify.max_user_watches")
        token = object()
        self._seen.setdefault(wd, []).append((token, seen))

        def end() -> None:
            left = [one for one in self._seen.get(wd, []) if one[0] is not token]
            if left:
                self._seen[wd] = left
            elif self._seen.pop(wd, None) is not None and self._fd >= 0:
                self._libc.inotify_rm_watch(self._fd, wd)

        return end

    @contextmanager
    def watching(self, folder: int, mask: int) -> Iterator[asyncio.Event]:
        """An event that is set by each change in an open folder."""
        event = asyncio.Event()
        end = self.watch(folder, mask, lambda _name: event.set())
        try:
            yield event
        finally:
            end()

    def _read(self) -> None:
        try:
            raw = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        at = 0
        while at < len(raw):
            wd, mask, _cookie, length = _EVENT.unpack_from(raw, at)
            at += _EVENT.size
            name = raw[at : at + length].rstrip(b"\0").decode(errors="replace")
            at += length
            if mask & _OVERFLOW:
                for all_of_one in list(self._seen.values()):
                    _tell(all_of_one, "")
            elif mask & _IGNORED:
                _tell(self._seen.pop(wd, []), None)
            else:
                _tell(self._seen.get(wd, []), name)


def _tell(watchers: list[tuple[object, Seen]], name: str | None) -> None:
    for _token, seen in list(watchers):
        seen(name)


def _failed(message: str) -> errors.Failed:
    number = ctypes.get_errno()
    return errors.Failed(f"{message} ({os.strerror(number)})", errno=number)
