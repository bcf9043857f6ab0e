"""Mounts of the machine: read from mountinfo, made and removed by system calls."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterable

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo: where, of which kind, and the options of the file system."""

    point: Path
    kind: str
    options: tuple[str, ...]


def parse(mountinfo: str) -> tuple[Mount, ...]:
    """The mounts of a /proc/PID/mountinfo, in its order. Source: proc(5)."""
    mounts = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        mounts.append(Mount(Path(_unescaped(before.split(" ")[4])), kind, tuple(options.split(","))))
    return tuple(mounts)


def _unescaped(text: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def under(mounts: Iterable[Mount], folders: Iterable[Path]) -> tuple[Path, ...]:
    """The mount points at or below the folders, those to be unmounted first (the deepest) first."""
    wanted = tuple(folders)
    points = [mount.point for mount in mounts if any(mount.point.is_relative_to(folder) for folder in wanted)]
    return tuple(sorted(points, key=lambda point: -len(point.parts)))


def see() -> tuple[Mount, ...]:
    """The mounts that this process sees now."""
    return parse(Path("/proc/self/mountinfo").read_text())


def unmount_under(*folders: Path) -> list[Path]:
    """Unmounts all at or below the folders and returns what it unmounted. Raises Failed if any stays."""
    resolved = [folder.resolve() for folder in folders]
    gone = []
    for point in under(see(), resolved):
        unmount(point)
        gone.append(point)
    # A removal of folders follows: it must never walk into a mount that stayed.
    if left := under(see(), resolved):
        raise errors.Failed(
            f"still mounted after unmounting: {left[0]}; something mounts there again, stop it and try again",
            mounts=" ".join(map(str, left)),
        )
    return gone


def unmount(point: Path) -> None:
    """Unmounts what is on that point; it is fine when nothing is. A busy one is detached."""
    for flags in (UMOUNT_NOFOLLOW, UMOUNT_NOFOLLOW | MNT_DETACH):
        try:
            _call("umount2", os.fsencode(point), flags)
        except OSError as error:
            if error.errno == errno.EBUSY and not flags & MNT_DETACH:
                continue
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise errors.Failed(f"cannot unmount {point}: {error.strerror}", errno=error.errno) from error
        return


def mount(source: str, point: Path, kind: str, options: str) -> None:
    """mount(2) with options of the file system. Raises Failed with what the kernel says."""
    try:
        _call("mount", source.encode(), os.fsencode(point), kind.encode(), 0, options.encode())
    except OSError as error:
        raise errors.Failed(
            f"cannot mount {kind} on {point}: {error.strerror}", errno=error.errno, options=options
        ) from error


def _call(name: str, *arguments: bytes | int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc[name](*(ctypes.c_ulong(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def is_mounted(point: Path) -> bool:
    """Whether something is mounted exactly there, by device numbers: binds of the same file system do not show."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.ismount(point)
    return False
