"""Files that are there, whole, after a power cut; and the lock that keeps a second process out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roadstead.core import errors


def create(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, whole or not at all. Raises FileExistsError."""
    half = path.with_name(path.name + ".new")
    half.unlink(missing_ok=True)
    touch(half)
    with half.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(half, path)
    finally:
        half.unlink()
    sync_folder(path.parent)


def touch(path: Path) -> None:
    """Make an empty file of mode 0600. Raises FileExistsError."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))


def sync_folder(path: Path) -> None:
    """Make sure that what was created or renamed in a folder is found there after a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however it ends. Raises Busy when another one has it."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.Busy(f"another process has the store {path.parent} open: stop it first", path=path) from None
        yield
    finally:
        os.close(descriptor)
