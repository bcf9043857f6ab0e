"""A folder copied to the disk of a node that has not run yet: whole or not at all.

The node writes to its disk as root, so every step is by descriptor and no link is followed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

from roadstead.agent.stores import children
from roadstead.agent.units import files
from roadstead.contract import layout
from roadstead.core.files import atomic

_LIB, _NAME = "lib", layout.CONTAINERD
"""On the host's disk, which is its /var: the folder where containerd keeps what it has."""
_NEW = "containerd.roadstead-new"
_LONGEST = 60.0


def is_empty(disk: Path) -> bool:
    """Whether a containerd of that disk would begin with nothing. False, too, where there is no disk to be filled."""
    try:
        with files.folder(disk) as top, files.folder(_LIB, top) as lib:
            return _is_empty(lib)
    except OSError:
        return False


async def fill(folder: Path, disk: Path) -> bool:
    """Copies the folder to the disk as containerd's; False, and nothing is touched, where there is anything already.

    Raises Failed with cp's words, OSError for what is no folder. Nothing half is left, but by an agent that was killed;
    that is removed by the next fill.
    """
    with files.folder(disk) as top, files.folder(_LIB, top) as lib:
        if not _is_empty(lib):
            return False
        await asyncio.to_thread(_remove, lib)
        os.mkdir(_NEW, 0o700, dir_fd=lib)
        try:
            with files.folder(_NEW, lib) as new:
                await children.done(("cp", "-a", f"{folder}/.", f"/proc/self/fd/{new}/."), _LONGEST, (new,))
                await asyncio.to_thread(atomic.settle, new)
            # Over an empty folder, never over one that has something by now.
            os.rename(_NEW, _NAME, src_dir_fd=lib, dst_dir_fd=lib)
        finally:
            await asyncio.to_thread(_remove, lib)
    return True


def _is_empty(lib: int) -> bool:
    try:
        with files.folder(_NAME, lib) as found:
            return not files.names(found)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _remove(lib: int) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(_NEW, dir_fd=lib)
