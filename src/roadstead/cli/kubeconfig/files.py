"""Which kubeconfig files there are, and how they are changed: locked as kubectl locks them, replaced in one step.

Source: client-go's tools/clientcmd: loader.go and config.go. Its lock is `FILE.lock`, made by who has it and removed
after; it has no word about one that was left behind, ours is taken away when it is old.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from roadstead.core import errors
from roadstead.core.files import atomic

_WAIT = 10.0
"""Seconds for a lock. Who has one has it for milliseconds."""
_STALE = 60.0
_PAUSE = 0.02


@dataclass(frozen=True)
class KubeconfigFiles:
    """In the order in which kubectl reads them; `default` is where new entries go."""

    all: tuple[Path, ...]
    default: Path


def where(environment: Mapping[str, str], home: Path, explicit: str | None) -> KubeconfigFiles:
    """From --kubeconfig, else KUBECONFIG (a list), else ~/.kube/config."""
    if explicit:
        path = Path(_expanded(explicit, home))
        return KubeconfigFiles((path,), path)
    listed = list(dict.fromkeys(Path(each) for each in environment.get("KUBECONFIG", "").split(os.pathsep) if each))
    if not listed:
        path = home / ".kube" / "config"
        return KubeconfigFiles((path,), path)
    return KubeconfigFiles(tuple(listed), next((path for path in listed if path.exists()), listed[-1]))


def automatic(home: Path, cluster: str) -> Path:
    """The file of --auto-kubeconfig."""
    return home / ".kube" / "eksctl" / "clusters" / cluster


def _expanded(path: str, home: Path) -> str:
    """`~` is the owner's home, who need not be this process's user."""
    return str(home / path[2:]) if path.startswith("~/") else path


def check(files: KubeconfigFiles) -> None:
    """Whether they may be read and written. Raises Denied."""
    _texts(files)
    place = files.default
    nearest = place if place.exists() else next(parent for parent in place.absolute().parents if parent.exists())
    if not os.access(nearest, os.W_OK, effective_ids=True):
        raise errors.Denied(f"the kubeconfig {place} cannot be written: no permission for {nearest}")


def change(files: KubeconfigFiles, changed: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
    """Read all, change the texts, write those that are different, all under lock. Raises Denied or Busy."""
    with contextlib.ExitStack() as locks:
        # In the order of their names, so that two who change the same files do not wait for each other for ever.
        for path in sorted({path.resolve() for path in files.all if path.exists() or path == files.default}):
            locks.enter_context(_locked(path))
        texts = _texts(files)
        for name, text in changed(texts).items():
            if text != texts[name]:
                _write(Path(name).resolve(), text)


def _texts(files: KubeconfigFiles) -> dict[str, str]:
    texts = {}
    for path in files.all:
        try:
            texts[str(path)] = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            texts[str(path)] = ""
        except (OSError, UnicodeDecodeError) as error:
            raise errors.Denied(f"the kubeconfig {path} cannot be read: {error}") from error
    return texts


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = path.with_name(f"{path.name}.lock")
    deadline = time.monotonic() + _WAIT
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while not _taken(lock):
            _clear(lock)
            if time.monotonic() >= deadline:
                raise errors.Busy(f"another program has locked the kubeconfig {path}: if none runs, remove {lock}")
            time.sleep(_PAUSE)
    except OSError as error:
        raise errors.Denied(f"the kubeconfig {path} cannot be written: {error}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _taken(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True


def _clear(lock: Path) -> None:
    """Take a lock away that was left behind. Renamed first: of two who see it, only one does."""
    try:
        seen = lock.stat()
        if time.time() - seen.st_mtime < _STALE:
            return
        aside = lock.with_name(f"{lock.name}.{os.getpid()}")
        lock.rename(aside)
        if aside.stat().st_ino != seen.st_ino:
            # Somebody was quicker, and this is the lock of who came after.
            with contextlib.suppress(FileExistsError):
                os.link(aside, lock)
        aside.unlink()
    except FileNotFoundError:
        return


def _write(path: Path, text: str) -> None:
    before = path.stat() if path.exists() and os.geteuid() == 0 else None
    owner = atomic.SAME if before is None else (before.st_uid, before.st_gid)
    try:
        atomic.write(path, text.encode(), 0o600, owner=owner)
    except OSError as error:
        raise errors.Denied(f"the kubeconfig {path} cannot be written: {error}") from error
