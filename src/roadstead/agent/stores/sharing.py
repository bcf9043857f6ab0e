"""What a store holds: all that was imported, and what each disk begins with, where the large is links to the former.

So nodes read one copy of a large image, from one page cache. containerd takes a link for the folder of a snapshot, and
removes the link alone. What is small is copied, and with it the image of each pod's sandbox: where pods have users of
their own, containerd shows them an image by a mount of its folder with other owners, and links lead out of that.
Source: containerd 2.3, plugins/snapshots/overlay (upperPath, Remove), core/mount/mount_idmapped_linux.go,
plugins/content/local.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from roadstead.agent.hosts import bundle, folders
from roadstead.agent.stores import children, making

ALL = "all"
"""In a store: the folders of the containerd that made it."""
DISK = "disk"
"""In a store: what is copied to disks."""
LARGE = 4 << 20
"""Bytes from which something is led to. Of what nodes begin with, the sandbox's image is smaller, all others larger."""

_LONGEST = 60.0
_CONTENT, _, _SNAPSHOTTER = making.KEPT
_BLOBS, _SNAPSHOTS = f"{_CONTENT}/blobs", f"{_SNAPSHOTTER}/snapshots"


async def lay_out(store: Path, key: str) -> None:
    """Makes DISK of a store that has ALL. Raises Failed or OSError."""
    whole, disk = store / ALL, store / DISK
    await children.done(("cp", "-al", f"{whole}/.", disk), _LONGEST)
    for found in list(_large(whole)):
        place = disk / found.relative_to(whole)
        folders.remove(place)
        place.symlink_to(f"{bundle.STORES}/{key}/{ALL}/{found.relative_to(whole)}")


def _large(whole: Path) -> Iterator[Path]:
    for blob in whole.glob(f"{_BLOBS}/*/*"):
        if blob.stat().st_size >= LARGE:
            yield blob
    for snapshot in whole.glob(f"{_SNAPSHOTS}/*/fs"):
        if _size(snapshot) >= LARGE:
            yield snapshot


def _size(top: Path) -> int:
    return sum(os.lstat(Path(folder) / name).st_size for folder, _, names in os.walk(top) for name in names)
