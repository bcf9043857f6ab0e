"""A host's disk, its `/var`: a folder, or a file system of its own in a sparse image.

The loop device is set up to vanish with its last user (autoclear), so an agent that dies between the steps leaves
none behind, and unmounting is all there is to taking one down.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.agent.hosts import folders, mounts
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.agent.hosts.wanted import WantedHost
    from roadstead.core.instance import HostPlaces

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LOOP_CLR_FD = 0x4C01
_AUTOCLEAR = 4
_LOOP_MAJOR = 7
_CONFIG = struct.Struct("=II5Q4I64s64s32s2Q8Q")
"""struct loop_config. Source: linux/loop.h."""
_ATTEMPTS = 50
_MKFS_TIMEOUT = 60.0

MOUNT_OPTIONS = "noinit_itable,discard,errors=remount-ro"
"""The kernel must not fill the inode tables (1.6 % of the image) in the background, and freed blocks go back."""


def image(places: HostPlaces) -> Path:
    """Where a disk with a file system of its own is kept: a sparse ext4 image."""
    return places.state / "disk.img"


def make(wanted: WantedHost, facts: MachineFacts, kept: int = 0) -> None:
    """The disk at `places.disk`, mounted where it is an image, owned by the host's user. What is on it stays.

    Raises Conflict when the host has a disk of another kind or size, Invalid for an image without a size,
    LimitExceeded for a new image where fewer than `kept` bytes are free.
    """
    places, disk = wanted.places, wanted.host.disk
    if disk.kind == "folder":
        if image(places).exists():
            raise _conflict(wanted, "a file system of its own", "a folder")
        folders.make_at(places.disk, uid=wanted.uid)
        return
    if disk.size is None:
        raise errors.Invalid(f"host {wanted.id}: a disk of kind ext4 needs a size in bytes", field="disk.size")
    if not mounts.is_mounted(places.disk):
        folders.make_at(places.disk)
        if not image(places).exists():
            if any(places.disk.iterdir()):
                raise _conflict(wanted, "a folder", "a file system of its own")
            _check_room(wanted, kept)
            _make_image(places, disk.size, facts)
        if image(places).stat().st_size != disk.size:
            raise _conflict(wanted, f"{image(places).stat().st_size} bytes", f"{disk.size} bytes")
        attach(image(places), places.disk)
    folders.make_at(places.disk, uid=wanted.uid)


def _check_room(wanted: WantedHost, kept: int) -> None:
    """An image is sparse: it begins small, and what is written to it later is lost when the machine's disk is full."""
    room = os.statvfs(wanted.places.state)
    free = room.f_bavail * room.f_frsize
    if free < kept:
        raise errors.LimitExceeded(
            f"host {wanted.id}: no new disk is begun where less than {kept >> 20} MiB are free, and {free >> 20} MiB "
            "are where Roadstead keeps its state: make room there",
            free=free,
            kept=kept,
        )


def _conflict(wanted: WantedHost, has: str, asked: str) -> errors.Conflict:
    return errors.Conflict(
        f"host {wanted.id}: its disk is {has}, {asked} was asked for; a disk is not converted, remove the host first",
        disk=wanted.places.disk,
    )


def _make_image(places: HostPlaces, size: int, facts: MachineFacts) -> None:
    """Whole or not at all: the image gets its name when its file system is complete."""
    new = places.state / "disk.img.new"
    new.unlink(missing_ok=True)
    with new.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.truncate(size)
    options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    command = [facts.mkfs, "-q", "-F", "-m", "0", "-E", options, str(new)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_MKFS_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise errors.Failed(f"mkfs.ext4 took more than {_MKFS_TIMEOUT:.0f} s", command=" ".join(command)) from error
    if done.returncode != 0:
        output = (done.stdout + done.stderr).decode(errors="replace")
        raise errors.Failed(
            f"mkfs.ext4 of {size} bytes failed: {output.strip()}", command=" ".join(command), output=output
        )
    new.rename(image(places))


def attach(backing: Path, point: Path) -> None:
    """Mounts the ext4 image at `point` by a loop device. Raises Failed with what the kernel says."""
    file = os.open(backing, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        device = _attached(backing.resolve())
        if device is None:
            device = _configure(file, backing)
        try:
            mounts.mount(_name(device), point, "ext4", MOUNT_OPTIONS)
        finally:
            os.close(device)
    finally:
        os.close(file)


def _loops() -> Iterator[tuple[int, Path]]:
    """The loop devices that are set up, by number, and their files. A file that is gone has ` (deleted)` at its end."""
    for record in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            backing = Path(record.read_text().rstrip("\n"))
        except OSError:
            # It was let go meanwhile.
            continue
        yield int(record.parents[1].name.removeprefix("loop")), backing


def _attached(backing: Path) -> int | None:
    """A descriptor of the loop device that has the file already; None when none has.

    The namespace of a host that has just ended may hold it for a moment. A second device for the same file would
    be a second file system on the same blocks.
    """
    for number, file in _loops():
        if file == backing:
            device = _open(number, backing.parent)
            if (number, backing) in _loops():
                return device
            os.close(device)
    return None


def _name(device: int) -> str:
    """What the mount calls its device: what reads mountinfo in a node expects a path in /dev."""
    number = os.fstat(device).st_rdev
    path = Path(f"/dev/loop{os.minor(number)}")
    if path.exists() and path.stat().st_rdev == number:
        return str(path)
    return f"/proc/self/fd/{device}"


def _configure(file: int, backing: Path) -> int:
    """A descriptor of a loop device set up for the file."""
    name = os.fsencode(backing)[-63:]
    config = _CONFIG.pack(file, 0, 0, 0, 0, 0, 0, 0, 0, 0, _AUTOCLEAR, name, b"", b"", *(0,) * 10)
    for _ in range(_ATTEMPTS):
        try:
            control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise errors.Failed(
                f"no loop devices on this machine ({error.strerror}): `modprobe loop`, or use disks of kind folder"
            ) from error
        try:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
        finally:
            os.close(control)
        device = _open(number, backing.parent)
        try:
            fcntl.ioctl(device, _LOOP_CONFIGURE, config)
        except OSError as error:
            os.close(device)
            # Another process was quicker: ask for the next free one.
            if error.errno != errno.EBUSY:
                raise errors.Failed(f"cannot set up /dev/loop{number} for {backing}: {error.strerror}") from error
        else:
            return device
    raise errors.Busy(f"no free loop device for {backing} in {_ATTEMPTS} attempts")


def _open(number: int, folder: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC
    try:
        return os.open(f"/dev/loop{number}", flags)
    except FileNotFoundError:
        # A container's /dev does not get new devices: a node for a moment will do.
        node = folder / f".loop{number}"
        node.unlink(missing_ok=True)
        os.mknod(node, 0o600 | 0o060000, os.makedev(_LOOP_MAJOR, number))
        try:
            return os.open(node, flags)
        finally:
            node.unlink()


def detach_under(*tops: Path) -> list[str]:
    """Lets go of loop devices whose files are below these folders, and says which: there are none but after faults."""
    resolved = [top.resolve() for top in tops]
    gone = []
    for number, file in list(_loops()):
        backing = Path(str(file).removesuffix(" (deleted)"))
        if any(backing.is_relative_to(top) for top in resolved):
            device = _open(number, backing.parent if backing.parent.is_dir() else Path("/run"))
            try:
                fcntl.ioctl(device, _LOOP_CLR_FD)
                gone.append(f"/dev/loop{number}")
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise errors.Failed(f"cannot detach /dev/loop{number}: {error.strerror}") from error
            finally:
                os.close(device)
    return gone
