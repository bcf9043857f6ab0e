"""Folders and files that root makes in places where an unprivileged host may have planted something.

Every step is taken by the descriptor of its parent and follows no symbolic link. What is in the way and is not of the
wanted kind is replaced.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from typing import TYPE_CHECKING

from roadstead.core.files import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a folder, the last part of whose path is no link."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def below(parent: int, *names: str) -> Iterator[int]:
    """A descriptor of the folder `names` below the descriptor. Raises OSError where a part is missing or no folder."""
    descriptor = os.dup(parent)
    try:
        for name in names:
            found = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = found
        yield descriptor
    finally:
        os.close(descriptor)


def there(parent: int, name: str) -> bool:
    """Whether anything has that name, be it a link that leads nowhere."""
    try:
        os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    return True


def make(parent: int, *names: str, mode: int = 0o755, uid: int = 0) -> None:
    """The folder `names` below the descriptor: all missing ones are made, each gets the mode and the owner."""
    descriptor = os.dup(parent)
    try:
        for name in names:
            below = _step(descriptor, name)
            os.close(descriptor)
            descriptor = below
            now = os.fstat(descriptor)
            if (now.st_uid, now.st_gid) != (uid, uid):
                os.fchown(descriptor, uid, uid)
            if stat.S_IMODE(now.st_mode) != mode:
                os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _step(parent: int, name: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        os.mkdir(name, 0o700, dir_fd=parent)
        return os.open(name, _FOLDER, dir_fd=parent)


def make_at(path: Path, mode: int = 0o755, uid: int = 0) -> None:
    """The folder at `path`, whose parents are root's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with opened(path.parent) as parent:
        make(parent, path.name, mode=mode, uid=uid)


def write(parent: int, name: str, content: str, mode: int = 0o644) -> None:
    """A file of root's with exactly that content, replaced whole; untouched when it is so already."""
    data = content.encode()
    if _holds(parent, name, data, mode):
        return
    _clear(parent, atomic.draft_of(name))
    try:
        atomic.write(name, data, mode, durable=False, within=parent)
    except IsADirectoryError:
        _clear(parent, name)
        atomic.write(name, data, mode, durable=False, within=parent)


def _rename(parent: int, new: str, name: str) -> None:
    try:
        os.rename(new, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        _clear(parent, name)
        os.rename(new, name, src_dir_fd=parent, dst_dir_fd=parent)


def _clear(parent: int, name: str) -> None:
    """Takes away what has the name, a folder with all that is in it."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        shutil.rmtree(name, dir_fd=parent)


def _holds(parent: int, name: str, data: bytes, mode: int) -> bool:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return False
    try:
        now = os.fstat(descriptor)
        alike = stat.S_ISREG(now.st_mode) and stat.S_IMODE(now.st_mode) == mode and now.st_size == len(data)
        return alike and os.pread(descriptor, len(data), 0) == data
    finally:
        os.close(descriptor)


def link(parent: int, name: str, target: str) -> None:
    """A symbolic link; what has its name and is something else is replaced, a folder with all that is in it."""
    with contextlib.suppress(OSError):
        if os.readlink(name, dir_fd=parent) == target:
            return
    new = atomic.draft_of(name)
    _clear(parent, new)
    os.symlink(target, new, dir_fd=parent)
    _rename(parent, new, name)


def remove(path: Path) -> bool:
    """A whole folder, without following links; says whether there was one. The caller has unmounted what is in it."""
    if not os.path.lexists(path):
        return False
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return True
    # Twice: a file that appears while its folder is walked makes the first attempt fail.
    with contextlib.suppress(OSError):
        shutil.rmtree(path)
    if path.exists():
        shutil.rmtree(path)
    return True
