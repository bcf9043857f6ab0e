"""Files that are seen whole or not at all: written beside their place, then renamed.

Whoever reads sees what was there before or what is there now, also when the writer dies on the way. With `durable` the
same holds for a power cut: the content is on the disk before it has its name, and the name before the call returns.
Without it a power cut may leave the file empty: that is for what a reboot takes anyway.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FRESH = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

SAME = (-1, -1)
"""The owner and the group that the kernel gives to a new file."""


def write(
    path: str | Path,
    data: bytes,
    mode: int,
    *,
    durable: bool = True,
    owner: tuple[int, int] = SAME,
    within: int | None = None,
    shared: bool = False,
) -> None:
    """That content in the place of what has the name; the arguments are those of `replacing`. Raises OSError."""
    with replacing(path, mode, durable=durable, owner=owner, within=within, shared=shared) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(
    path: str | Path,
    mode: int,
    *,
    durable: bool = True,
    owner: tuple[int, int] = SAME,
    within: int | None = None,
    shared: bool = False,
) -> Iterator[BinaryIO]:
    """A new file, empty, which takes the place of what has the name when the block ends without an error.

    `mode` whatever the umask; until then it is its writer's alone. `owner`: uid and gid. `within`: the open folder that
    `path`, a name, is in. `shared`: several may write it at once. Each then has a draft of its own, and one that is
    killed leaves it; otherwise the draft has always the same name, and the next writer clears it.
    Raises OSError: FileNotFoundError for a folder that is not there, IsADirectoryError for a folder of that name.
    """
    with _folder(path, within) as folder:
        name = Path(path).name
        draft = draft_of(f"{name}.{secrets.token_hex(8)}" if shared else name)
        if not shared:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
        descriptor = os.open(draft, _FRESH, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                yield file
                _finish(file, mode, owner, durable=durable)
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise
        if durable:
            os.fsync(folder)


def create(path: Path, data: bytes, mode: int) -> None:
    """A file that is not there yet, through to the disk. Raises FileExistsError, and leaves what is there as it is."""
    with _folder(path, None) as folder:
        draft = draft_of(path.name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        with os.fdopen(os.open(draft, _FRESH, 0o600, dir_fd=folder), "w+b") as file:
            try:
                file.write(data)
                _finish(file, mode, SAME, durable=True)
                os.link(draft, path.name, src_dir_fd=folder, dst_dir_fd=folder)
            finally:
                os.unlink(draft, dir_fd=folder)
        os.fsync(folder)


def draft_of(name: str) -> str:
    """What a file that is not whole yet is called, beside its place."""
    return f".{name}.new"


def sync(path: str | Path, within: int | None = None) -> None:
    """A file's content, or what was created, renamed or removed in a folder, through to the disk. No link is followed,
    nothing is waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=within)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def settle(folder: Path | int) -> None:
    """All of a tree (an open folder, or the path of one), through to the disk, before it gets its name."""
    walk = os.fwalk(dir_fd=folder) if isinstance(folder, int) else os.fwalk(folder)
    for _, _, names, within in walk:
        for name in names:
            if stat.S_ISREG(os.lstat(name, dir_fd=within).st_mode):
                sync(name, within)
        os.fsync(within)


def _finish(file: BinaryIO, mode: int, owner: tuple[int, int], *, durable: bool) -> None:
    file.flush()
    if owner != SAME:
        os.fchown(file.fileno(), *owner)
    os.fchmod(file.fileno(), mode)
    if durable:
        os.fsync(file.fileno())


@contextlib.contextmanager
def _folder(path: str | Path, within: int | None) -> Iterator[int]:
    if within is not None:
        yield within
        return
    folder = os.open(Path(path).parent, _FOLDER)
    try:
        yield folder
    finally:
        os.close(folder)
