"""Network namespaces by path: made, entered, removed.

A namespace is kept alive by a bind mount of its file in /proc, so that it outlives every process in it (as ip-netns(8)
does). A thread enters one by setns(2) and must leave it again; Python 3.11 has no call for it, so libc is asked.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import fcntl
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from roadstead.agent.idmaps import spaces
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from roadstead.agent.idmaps import ranges

T = TypeVar("T")

OWN = Path("/proc/thread-self/ns/net")
"""The namespace of the calling thread."""

_LIBC = ctypes.CDLL(None, use_errno=True)

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
_MS_BIND = 4096
_MS_REC = 16384
_MS_SHARED = 1 << 20
_MNT_DETACH = 2


@contextlib.contextmanager
def entered(namespace: int) -> Iterator[None]:
    """The calling thread is in the namespace of that descriptor; afterwards back where it was.

    Only for threads that do nothing else meanwhile: never across an `await`.
    """
    home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("setns", namespace, _CLONE_NEWNET)
        try:
            yield
        finally:
            _call("setns", home, _CLONE_NEWNET)
    finally:
        os.close(home)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of the namespace at `path`. Raises NotFound when there is none."""
    if path != OWN and not exists(path):
        raise errors.NotFound(f"there is no network namespace at {path}", path=path)
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield namespace
    finally:
        os.close(namespace)


def exists(path: Path) -> bool:
    """Whether a namespace is mounted at `path`, and not merely the file left of one."""
    try:
        return path.stat().st_dev == OWN.stat().st_dev
    except FileNotFoundError:
        return False


def descriptor(namespace: int) -> Path:
    """A path at which the namespace of that descriptor can be opened, for as long as the descriptor is open."""
    return Path(f"/proc/self/fd/{namespace}")


def is_network(namespace: int) -> bool:
    """Whether a descriptor, whoever opened it, is one of a network namespace. Source: ioctl_ns(2)."""
    try:
        return fcntl.ioctl(namespace, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


def create(path: Path) -> None:
    """Make a new, empty namespace at `path` when there is none; its folder shares mounts with other mount namespaces.

    May be called by any thread. Raises Failed.
    """
    if exists(path):
        return
    _share(path.parent)
    path.touch(0o444)
    _in_a_thread(lambda: _unshare_to(path))


def create_owned(path: Path, users: Path, ids: ranges.Range) -> None:
    """As `create`; the namespace belongs to a user namespace of these ids, which is made at `users`. Raises Failed."""
    if exists(path) and exists(users):
        return
    _share(path.parent)
    for each in (path, users):
        delete(each)
        each.touch(0o444)
    with spaces.holder(ids) as made:
        for name, each in (("user", users), ("net", path)):
            _call("mount", os.fsencode(made / name), os.fsencode(each), b"none", _MS_BIND, None)


def delete(path: Path) -> None:
    """Remove the namespace's mount and file, also half-made ones. It ends when its last process and socket end."""
    while exists(path):
        _call("umount2", os.fsencode(path), _MNT_DETACH)
    path.unlink(missing_ok=True)


def unshare_folder(folder: Path) -> None:
    """Take back what `create` did to the folder: its mount, and the folder when it is empty."""
    with contextlib.suppress(errors.Failed):
        _call("umount2", os.fsencode(folder), _MNT_DETACH)
    with contextlib.suppress(OSError):
        folder.rmdir()


def open_socket(path: Path | None, family: int, kind: int, protocol: int = 0) -> socket.socket:
    """A socket that belongs to the namespace at `path` (None: that of the process), for use by any thread.

    The calling thread goes there and comes back: probes ask for many, and a thread for each costs ten times as much.
    """
    if path is None:
        return socket.socket(family, kind, protocol)
    with opened(path) as namespace, entered(namespace):
        return socket.socket(family, kind, protocol)


def write_settings(settings: Mapping[str, int]) -> None:
    """Write sysctls (`net/...` below /proc/sys) of the calling thread's namespace, only those that differ.

    A setting that this kernel does not have is left out: a kernel without IPv6 needs no word about it.
    """
    for name, value in settings.items():
        path = Path("/proc/sys") / name
        with contextlib.suppress(FileNotFoundError):
            if path.read_text().strip() != str(value):
                path.write_text(str(value))


def read_setting(name: str) -> str:
    """A sysctl of the calling thread's namespace."""
    return (Path("/proc/sys") / name).read_text().strip()


def _share(folder: Path) -> None:
    """Make the folder a shared mount of its own.

    A namespace is let go only when its mount is gone from every mount namespace. Hosts are started with copies of
    this machine's mounts; in a shared folder our unmount reaches the copies too.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    try:
        _call("mount", b"none", os.fsencode(folder), b"none", _MS_SHARED | _MS_REC, None)
    except errors.Failed:
        # Not a mount yet.
        _call("mount", os.fsencode(folder), os.fsencode(folder), b"none", _MS_BIND | _MS_REC, None)
        _call("mount", b"none", os.fsencode(folder), b"none", _MS_SHARED | _MS_REC, None)


def _unshare_to(path: Path) -> None:
    _call("unshare", _CLONE_NEWNET)
    _call("mount", os.fsencode(OWN), os.fsencode(path), b"none", _MS_BIND, None)


def _in_a_thread(work: Callable[[], T]) -> T:
    """Run in a fresh thread, which ends in whatever namespace it is then."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as threads:
        return threads.submit(work).result()


def _call(name: str, *arguments: object) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        shown = ", ".join(a.decode() if isinstance(a, bytes) else str(a) for a in arguments)
        raise errors.Failed(
            f"{name}({shown}): {os.strerror(number)}", errno=number, hint="root is needed for namespaces"
        )
