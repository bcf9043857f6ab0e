"""What takes minutes to make, once: folders in the cache by a hash of what decides them, each whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from roadstead.engine import settings


class Failed(Exception):
    """What is told to the person, as it stands."""


def cabinet() -> Path:
    """The folder of it all: `vm` in Roadstead's cache."""
    place = settings.from_environment(os.environ).cache / "vm"
    place.mkdir(parents=True, exist_ok=True)
    return place


def key(*parts: str) -> str:
    """16 hexadecimal digits for what decides an entry."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode()
        whole.update(f"{len(data)}\n".encode() + data)
    return whole.hexdigest()[:16]


def find(kind: str, name: str) -> Path | None:
    place = cabinet() / f"{kind}-{name}"
    return place if place.is_dir() else None


def have(kind: str, name: str, make: Callable[[Path], None]) -> Path:
    """The entry; `make` fills a folder with it where it is not there. Earlier ones of the kind go then."""
    final = cabinet() / f"{kind}-{name}"
    with (cabinet() / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if final.is_dir():
            return final
        partial = cabinet() / f".partial-{kind}"
        # Of one who was killed: the lock is ours.
        remove(partial)
        partial.mkdir()
        make(partial)
        subprocess.run(["sync", "-f", str(partial)], check=True, timeout=300)
        partial.rename(final)
        for old in cabinet().glob(f"{kind}-*"):
            if old != final and not old.name.endswith(".lock"):
                remove(old)
    return final


@contextlib.contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for one run, gone afterwards. Those of runs that were killed go with the next one."""
    for left in cabinet().glob("run-*"):
        with contextlib.suppress(OSError), _held(left):
            remove(left)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=cabinet()))
    with _held(folder):
        try:
            yield folder
        finally:
            remove(folder)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The lock of a folder itself, which goes with its holder. Raises OSError where another one has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    if folder.is_dir():
        shutil.rmtree(folder)


def call(*words: str | Path, seconds: float, log: Path, environment: dict[str, str] | None = None) -> None:
    """Runs a program with its output in a log, which is shown where it fails. It ends when this process does."""
    with log.open("ab") as out:
        try:
            done = subprocess.run(
                ("setpriv", "--pdeathsig=KILL", "--", *words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=seconds,
                check=False,
                env=environment,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Failed(f"{words[0]}: {error}") from error
    if done.returncode != 0:
        shown = log.read_text(errors="replace")[-4000:]
        raise Failed(f"`{' '.join(map(str, words))}` failed ({done.returncode}):\n{shown}")
