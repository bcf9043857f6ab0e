"""The kernel: user-mode Linux with many processors and without ptrace, from Debian's source and kernel.config.

Debian's own package of user-mode Linux has neither, and lacks families of nftables and cpuset.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path

from tests.vm import cabinet, debian

SOURCE = "linux-source-7.2"
SUITE = "trixie-backports"
"""Many processors came with 6.19, seccomp with 6.16; Debian 13 itself has 6.12."""
CONFIG = Path(__file__).parent / "kernel.config"
PROGRAMS = (
    ("gcc", "gcc"),
    ("make", "make"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("xz", "xz-utils"),
    ("dpkg-deb", "dpkg"),
)


def name() -> str:
    return cabinet.key(SOURCE, SUITE, CONFIG.read_text())


def have() -> Path:
    """The kernel's program; built where need be, in about 14 minutes of a processor."""
    if reason := impossible():
        raise cabinet.Failed(reason)
    return cabinet.have("kernel", name(), _make) / "linux"


def impossible() -> str:
    """Why neither kernel nor disks can be had here; empty where they can."""
    if platform.machine() != "x86_64":
        return f"user-mode Linux is for x86-64, and this is {platform.machine()}"
    try:
        debian.archive()
    except cabinet.Failed as error:
        return str(error)
    return ""


def release(program: Path) -> str:
    """The kernel's version, as the package said it."""
    return (program.parent / "version").read_text().strip()


def _make(folder: Path) -> None:
    debian.need(*PROGRAMS)
    work = folder / "work"
    work.mkdir()
    print(f"building the kernel ({SOURCE}): about 14 minutes of a processor, once", flush=True)
    deb = debian.download(SOURCE, SUITE, work)
    log = folder / "build.log"
    cabinet.call("dpkg-deb", "-x", deb, work / "package", seconds=300, log=log)
    cabinet.call("tar", "-C", work, "-xf", work / f"package/usr/src/{SOURCE}.tar.xz", seconds=600, log=log)
    make = ("make", "-C", work / SOURCE, "ARCH=um", f"O={work / 'build'}", f"KCONFIG_ALLCONFIG={CONFIG}")
    cabinet.call(*make, "alldefconfig", seconds=600, log=log)
    config = (work / "build" / ".config").read_text()
    if lost := undone(CONFIG.read_text().splitlines(), config.splitlines()):
        raise cabinet.Failed(f"the kernel's own rules undo lines of {CONFIG}: {', '.join(lost)}")
    cabinet.call(*make, f"-j{os.cpu_count()}", "linux", seconds=5400, log=log)
    cabinet.call("strip", "-o", folder / "linux", work / "build" / "linux", seconds=60, log=log)
    (folder / "config").write_text(config)
    (folder / "version").write_text(deb.name.split("_")[1] + "\n")
    cabinet.remove(work)


def undone(wanted: Iterable[str], made: Iterable[str]) -> list[str]:
    """The settings of a fragment that a whole configuration does not have."""
    settings = [line for line in wanted if line.startswith("CONFIG_") or line.startswith("# CONFIG_")]
    # What depends on something that is off is not mentioned at all.
    has = set(made)
    mentioned = {word for line in has for word in line.replace("=", " ").split() if word.startswith("CONFIG_")}
    return [
        line
        for line in settings
        if line not in has and not (line.startswith("# ") and line.split()[1] not in mentioned)
    ]
