"""The cache: an entry is a folder that is there whole or not at all.

    CACHE/engines/NAME/VERSION/RECIPE/ARCH/   the components and manifest.json
    CACHE/work/KEY~RANDOM/                    what is being made; only the holder of the lock KEY has one
    CACHE/locks/KEY                           locked (flock) while an entry is made or removed

An entry is made in `work`, written through to the disk and renamed into its place. What is in `work` while
nobody holds the lock was left by a process that died; the next maker of anything removes it. An entry is used
only after its files have been compared with the digests of its manifest.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from roadstead.core import errors
from roadstead.core.files import atomic, left
from roadstead.engine import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MANIFEST = "manifest.json"
_MANIFEST_LARGEST = 1 << 20
_TURN = 0.1
"""Seconds between looks at a lock that somebody else has."""


class Component(catalog.Form, frozen=True):
    """One file of an entry."""

    sha256: str
    size: int


class Manifest(catalog.Form, frozen=True):
    """What an entry holds, where it came from, and how that was verified (a sentence)."""

    name: str
    version: str
    arch: str
    recipe: str
    source: str
    origin: str
    verified: str
    components: dict[str, Component]


@dataclass(frozen=True)
class EntryKey:
    """Which entry: a release made by one recipe."""

    release: catalog.Release
    recipe: str

    @property
    def name(self) -> str:
        """One word for messages and locks: `kubernetes-1.37.2-RECIPE-amd64`."""
        return f"{self.release.id}-{self.recipe}-{self.release.arch}"

    def folder(self, cache: Path) -> Path:
        """Where the entry is, or would be: `engines/NAME/VERSION/RECIPE/ARCH` below the cache."""
        release = self.release
        return cache / "engines" / release.engine.name / release.version / self.recipe / release.arch


@dataclass(frozen=True)
class Whole:
    """It is there, and its files are those of its manifest."""

    manifest: Manifest


@dataclass(frozen=True)
class AbsentEntry:
    """There is nothing of it."""

    pass


@dataclass(frozen=True)
class Broken:
    """Something is there that cannot be used. `reason`: for a human."""

    reason: str


Entry = Whole | AbsentEntry | Broken


def see(cache: Path, key: EntryKey, *, digests: bool = True) -> Entry:
    """The entry as it is. Without `digests` only sizes are compared: good for a list, never for use."""
    folder = key.folder(cache)
    if not folder.is_dir():
        return AbsentEntry()
    try:
        # root looks into the services' cache, too, which is not its own.
        manifest = left.decode(folder / MANIFEST, _MANIFEST_LARGEST, Manifest)
    except errors.NotFound:
        return Broken(f"{folder} has no {MANIFEST}")
    except errors.Failed as error:
        return Broken(error.message)
    release = key.release
    said = (manifest.name, manifest.version, manifest.arch, manifest.recipe)
    if said != (release.engine.name, release.version, release.arch, key.recipe):
        return Broken(f"{folder / MANIFEST} is that of {' '.join(said)}")
    if set(manifest.components) != set(release.engine.components):
        return Broken(f"{folder / MANIFEST} names other components: {', '.join(sorted(manifest.components))}")
    read = Digests() if digests else None
    for name, component in manifest.components.items():
        if reason := _difference(folder / name, component, read):
            return Broken(reason)
    return Whole(manifest)


@contextmanager
def locked(cache: Path, name: str, waiting: Callable[[int], None], stop: int | None = None) -> Iterator[None]:
    """Hold the lock of that name; `waiting` is told the process that has it, before it is waited for.

    The wait has no limit of its own: the kernel frees the lock of a process that ends, and all that is done
    under a lock has limits. Raises Failed when `stop`, a descriptor, can be read from meanwhile.
    """
    with _lock_file(cache, name) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting(int(os.pread(lock, 20, 0).strip() or b"0"))
            _wait(lock, stop)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        _sweep(cache, name)
        yield


def _wait(lock: int, stop: int | None) -> None:
    if stop is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return
    # The kernel tells of a lock and of a descriptor in no common way.
    while not select.select([stop], [], [], _TURN)[0]:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
    raise errors.Failed("it was told to stop")


@contextmanager
def work_folder(cache: Path, name: str) -> Iterator[Path]:
    """A new folder for what is being made, removed at the end. The lock of that name must be held."""
    (cache / "work").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}~", dir=cache / "work"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def seal(folder: Path, release: catalog.Release) -> dict[str, Component]:
    """Digests of the components in a work folder. Equal ones become one file; all are written to the disk.

    Raises Failed when one is missing.
    """
    components: dict[str, Component] = {}
    first: dict[str, Path] = {}
    digests = Digests()
    for name in release.engine.components:
        file = folder / name
        if file.is_symlink() or not file.is_file():
            raise errors.Failed(f"{release.id}: the component {name} is missing from what was made")
        digest = digests.of(file)
        components[name] = Component(sha256=digest, size=file.stat().st_size)
        same = first.setdefault(digest, file)
        if not same.samefile(file):
            file.unlink()
            file.hardlink_to(same)
    for file in first.values():
        file.chmod(0o555)
        atomic.sync(file)
    return components


def put(cache: Path, key: EntryKey, folder: Path, manifest: Manifest) -> None:
    """Move a sealed folder with its manifest to its place; what was there goes. The lock must be held."""
    # For all to read, whatever the umask: everybody's `roadstead kubectl` may look here.
    atomic.write(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n", 0o644)
    folder.chmod(0o755)
    move(cache, key.name, folder, key.folder(cache))


def move(cache: Path, name: str, folder: Path, place: Path) -> None:
    """Rename a finished work folder to its place, through to the disk."""
    atomic.sync(folder)
    for above in reversed([each for each in place.parents if each.is_relative_to(cache) and each != cache]):
        if not above.is_dir():
            above.mkdir(parents=True, exist_ok=True)
            above.chmod(0o755)
    if place.exists():
        _discard(cache, name, place)
    folder.rename(place)
    atomic.sync(place.parent)


def remove(cache: Path, key: EntryKey) -> bool:
    """Remove an entry, whole or broken; False when there was none. The lock must be held."""
    place = key.folder(cache)
    if not place.is_dir():
        return False
    _discard(cache, key.name, place)
    return True


def entries(cache: Path, release: catalog.Release) -> tuple[EntryKey, ...]:
    """The keys of all entries of a release, of whatever recipe."""
    above = cache / "engines" / release.engine.name / release.version
    return tuple(EntryKey(release, folder.parent.name) for folder in sorted(above.glob(f"*/{release.arch}")))


class Digests:
    """SHA-256 of files in hexadecimal; a file with several names is read once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], str] = {}

    def of(self, file: Path) -> str:
        """Raises OSError. Who wants to see a change of the file asks another `Digests`."""
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            place = (status.st_dev, status.st_ino)
            if place not in self._known:
                self._known[place] = hashlib.file_digest(opened, "sha256").hexdigest()
        return self._known[place]


def _difference(file: Path, wanted: Component, digests: Digests | None) -> str:
    """Why a file is not what its manifest says; empty when it is."""
    if file.is_symlink() or not file.is_file():
        return f"{file} is missing"
    size = file.stat().st_size
    if size != wanted.size:
        return f"{file} has {size} bytes instead of {wanted.size}"
    if not os.access(file, os.X_OK):
        return f"{file} cannot be executed"
    if digests is not None and digests.of(file) != wanted.sha256:
        return f"{file} has another SHA-256 than when it was made"
    return ""


def _discard(cache: Path, name: str, place: Path) -> None:
    """Rename first, so that a half-removed entry is never seen."""
    with work_folder(cache, name) as folder:
        place.rename(folder / "old")


def _sweep(cache: Path, held: str) -> None:
    """Remove what dead processes left: the work folders of locks that are free, or held by us."""
    work = cache / "work"
    for folder in sorted(work.iterdir()) if work.is_dir() else ():
        name = folder.name.split("~")[0]
        if name == held:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        with _lock_file(cache, name) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock_file(cache: Path, name: str) -> Iterator[int]:
    locks = cache / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    # Whoever could open one could hold it. In earlier releases anybody could.
    with suppress(PermissionError):
        locks.chmod(0o700)
    lock = os.open(locks / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)
