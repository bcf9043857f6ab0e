"""busybox as its project has it: Debian's own changes what a shell passes on to its children, and which `nc` it takes.

The suite counts on both, and on the words in which its shell complains.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.conformance import debs
from tests.vm import cabinet, debian

_SETTINGS = {"STATIC": "y", "TC": "n"}
"""Other than its defaults; `tc` wants headers of an older kernel."""
_TOOLS = (("gcc", "gcc"), ("make", "make"), ("bzip2", "bzip2"))


def have() -> Path:
    """The program, static; compiled once, in a minute or two."""
    name = cabinet.key(Path(__file__).read_text(), debs.SUITE)
    return cabinet.have("busybox", name, _make) / "busybox"


def configured(text: str) -> str:
    """The text of a `.config` with our settings. Pure."""
    for setting, value in _SETTINGS.items():
        text = re.sub(rf"(?m)^(# )?CONFIG_{setting}[= ].*$", f"CONFIG_{setting}={value}", text)
    return text


def _make(folder: Path) -> None:
    debian.need(*_TOOLS)
    print("compiling busybox: a minute, once", flush=True)
    log, tree = folder / "build.log", folder / "tree"
    tree.mkdir()
    tarball = debian.source("busybox", debs.SUITE, folder)
    cabinet.call("tar", "-xf", tarball, "--strip-components=1", f"--directory={tree}", seconds=120, log=log)
    make = ("env", "-C", tree, "make", f"--jobs={len(os.sched_getaffinity(0))}")
    cabinet.call(*make, "defconfig", seconds=300, log=log)
    config = tree / ".config"
    config.write_text(configured(config.read_text()))
    # It asks what is new with other settings, and takes its defaults where nobody answers.
    cabinet.call(*make, "silentoldconfig", seconds=300, log=log)
    cabinet.call(*make, "busybox", seconds=1800, log=log)
    (tree / "busybox").rename(folder / "busybox")
    for left in (tree, folder / "apt"):
        cabinet.remove(left)
