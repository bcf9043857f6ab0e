"""Whether nodes can have users of their own on this machine: what the kernel says when it is tried."""

from __future__ import annotations

import errno
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
_USED_UP = (errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EAGAIN, errno.EMFILE, errno.ENFILE)
_MOST = Path("/proc/sys/user/max_user_namespaces")


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


def passes(number: int | None, most: str) -> bool:
    """Whether what kept a trial from being made says nothing of the machine: something of it is used up just now.

    `number`: of the error; `most`: the setting user.max_user_namespaces. Where it is 0 root may make none, of which the
    kernel says the same as where all are in use.
    """
    return number in _USED_UP and not (number == errno.ENOSPC and most.strip() == "0")


def lacks(runc: str, folders: Iterable[Path]) -> str | None:
    """Why nodes cannot have users of their own; None when they can. In these folders is what they are shown.

    Raises Busy where it cannot be tried just now: pods that use something up must not have nodes made without.
    """
    if (old := too_old(os.uname().release, runc)) is not None:
        return old
    try:
        with spaces.holder(ranges.Range(ranges.FIRST)) as made:
            for folder in folders:
                _try(folder, made / "user")
    except (errors.Failed, OSError) as error:
        number = error.errno if isinstance(error, OSError) else _number(error.facts.get("errno", ""))
        if passes(number, _MOST.read_text() if _MOST.exists() else ""):
            raise errors.Busy(f"whether nodes can have users of their own cannot be tried now: {error}") from error
        return str(error)
    return None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _try(folder: Path, users: Path) -> None:
    """Shows a folder of that file system with other owners, where nobody sees it."""
    with tempfile.TemporaryDirectory(prefix=".users-", dir=folder) as scratch:
        views.tried(Path(scratch), users)
