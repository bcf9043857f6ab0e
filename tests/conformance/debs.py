"""Root trees of Debian's packages, with what they depend on: unpacked, not installed, so no script of theirs runs."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.vm import cabinet, debian

SUITE = "bookworm"
_MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr, as on every Debian of today; some packages still name them."""
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/perl", "usr/include")


def tree(packages: Sequence[str], folder: Path) -> Path:
    """Unpacks packages into FOLDER/root, and answers that."""
    root, lists = folder / "root", folder / "debs"
    lists.mkdir(parents=True)
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")
    for deb in debian.download_all(packages, SUITE, lists) if packages else ():
        content = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True, timeout=120)
        into = ("tar", "--extract", "--keep-directory-symlink", "--no-same-owner", f"--directory={root}")
        subprocess.run(into, input=content.stdout, check=True, timeout=120)
    cabinet.remove(lists)
    for name in _LEFT_OUT:
        cabinet.remove(root / name)
    return root
