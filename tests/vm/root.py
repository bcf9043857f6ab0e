"""Debian's disk: made by debootstrap with what README wants of a machine, kept as an ext4 image."""

from __future__ import annotations

import os
from pathlib import Path

from tests.vm import cabinet, debian

from roadstead.machine.doctor import distributions

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
SIZE = "40G"
"""Sparse: what the machine never writes takes no place."""
BASE = (
    *("systemd", "systemd-sysv", "libpam-systemd", "dbus", "udev", "kmod"),
    *("python3", "python3-venv", "git", "sudo", "procps", "ca-certificates", "less"),
    # The image of the first-cluster page is made of it.
    "busybox-static",
)
PROGRAMS = (("debootstrap", "debootstrap"), ("mkfs.ext4", "e2fsprogs"), ("unshare", "util-linux"))


def packages() -> tuple[str, ...]:
    """What is installed: a machine of Debian's, and what the doctor wants there."""
    wanted = distributions.PACKAGES["debian"].values()
    return tuple(dict.fromkeys((*BASE, *(package for package in wanted if package is not None))))


def name(release: int) -> str:
    texts = (HERE / "root.sh", CHECKOUT / "roadstead", CHECKOUT / "uv.lock")
    return cabinet.key(str(release), SIZE, *packages(), *(path.read_text() for path in texts))


def have(release: int) -> Path:
    """A folder with `root.img`, and `home`: the home of the person ann, with the environment of this lock file."""
    return cabinet.have(f"root-{release}", name(release), lambda folder: _make(release, folder))


def _make(release: int, folder: Path) -> None:
    if os.geteuid() != 0:
        raise cabinet.Failed("the disk of the virtual machine is made as root: sudo make vm")
    debian.need(*PROGRAMS)
    print(f"making the disk of Debian {release}: some minutes, once", flush=True)
    log = folder / "root.log"
    tree = folder / "tree"
    words = (debian.CODENAMES[release], tree, folder / "home", debian.archive(), debian.KEYRING, ",".join(packages()))
    alone = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--")
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    script = ("sh", HERE / "root.sh", *words, CHECKOUT)
    cabinet.call(*alone, *script, seconds=1800, log=log, environment=environment)
    image(tree, folder / "root.img", SIZE, log)
    cabinet.remove(tree)


def image(tree: Path, target: Path, size: str, log: Path) -> None:
    """An ext4 file system with what is in a folder, owners and all."""
    cabinet.call("mkfs.ext4", "-q", "-F", "-m", "0", "-d", tree, target, size, seconds=600, log=log)
