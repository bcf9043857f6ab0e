"""Idmapped mounts: a folder shown elsewhere, with its owners 0, 1, 2 ... as those of a user namespace.

Source: mount_setattr(2), open_tree(2), move_mount(2), of Linux 5.12; which file systems can be shown so depends on the
kernel (ext4 since 5.12, xfs since 5.12, btrfs since 5.15, overlay's layers since 5.19, tmpfs since 6.3).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from roadstead.core import errors

# The same numbers on all architectures that engines exist for. Source: asm-generic/unistd.h.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_IDMAP = 0x1, 0x00100000
_MS_PRIVATE = 1 << 18
_ATTR = struct.Struct("=4Q")
"""struct mount_attr: attr_set, attr_clr, propagation, userns_fd."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def show(source: Path, at: Path, user_namespace: Path, *, read_only: bool = False) -> None:
    """Mounts the folder `source` at the folder `at` as the user namespace sees its owners. Raises Failed.

    What is read-only here stays so in every mount namespace of a user namespace with less rights, whatever is done
    there: mount_namespaces(7), "locked" flags.
    """
    with _view(source, user_namespace, _MOUNT_ATTR_IDMAP | (_MOUNT_ATTR_RDONLY if read_only else 0)) as view:
        _call("move_mount", _MOVE_MOUNT, view, b"", _AT_FDCWD, os.fsencode(at), _MOVE_MOUNT_F_EMPTY_PATH)


def tried(source: Path, user_namespace: Path) -> None:
    """Raises Failed where `show` would, and mounts nothing."""
    with _view(source, user_namespace, _MOUNT_ATTR_IDMAP):
        pass


@contextlib.contextmanager
def _view(source: Path, user_namespace: Path, attributes: int) -> Iterator[int]:
    """A descriptor of the mount, which is nowhere yet."""
    users = os.open(user_namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
        view = _call("open_tree", _OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags)
        try:
            packed = _ATTR.pack(attributes, 0, _MS_PRIVATE, users)
            _call("mount_setattr", _MOUNT_SETATTR, view, b"", _AT_EMPTY_PATH, packed, len(packed))
            yield view
        finally:
            os.close(view)
    except OSError as error:
        raise errors.Failed(
            f"{source} cannot be shown with other owners ({error.filename}: {error.strerror})", errno=error.errno
        ) from error
    finally:
        os.close(users)


def _call(name: str, number: int, *arguments: int | bytes) -> int:
    words = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    done = int(_LIBC.syscall(ctypes.c_long(number), *words))
    if done < 0:
        failed = ctypes.get_errno()
        raise OSError(failed, os.strerror(failed), name)
    return done
