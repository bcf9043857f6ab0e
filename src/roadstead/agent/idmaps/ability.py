"""Whether nodes can have users of their own on this machine: what the kernel says when it is tried."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from roadstead.agent.idmaps import ranges, spaces, views
from roadstead.core import errors

KERNEL = (5, 19)
"""overlay takes layers that are shown with other owners."""
RUNC = (1, 2)
"""It binds what is to have other owners."""


def release(text: str) -> tuple[int, ...]:
    """The first two numbers in the text of a version."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def too_old(kernel: str, runc: str) -> str | None:
    """Why these releases are not enough, as `uname -r` and `runc --version` say them; None when they are."""
    if release(kernel) < KERNEL:
        return f"Linux {kernel} is older than {KERNEL[0]}.{KERNEL[1]}"
    if release(runc) < RUNC:
        said = runc.splitlines()[0] if runc else "runc says no version"
        return f"{said}, and {RUNC[0]}.{RUNC[1]} is needed"
    return None


def lacks(runc: str, folders: Iterable[Path]) -> str | None:
    """Why nodes cannot have users of their own; None when they can. In these folders is what they are shown."""
    if (old := too_old(os.uname().release, runc)) is not None:
        return old
    try:
        with spaces.holder(ranges.Range(ranges.FIRST)) as made:
            for folder in folders:
                _try(folder, made / "user")
    except (errors.Failed, OSError) as error:
        return str(error)
    return None


def _try(folder: Path, users: Path) -> None:
    """Shows a folder of that file system with other owners, where nobody sees it."""
    with tempfile.TemporaryDirectory(prefix=".users-", dir=folder) as scratch:
        views.tried(Path(scratch), users)
