"""The environment that services run from: `/opt/roadstead/HASH`, root's own.

A checkout may lie under a folder that only its owner may enter, and may change at any moment; a service should see
neither. So `roadstead start` copies: an environment from the lock file, made by the launcher (who alone knows uv), with
the project in its site-packages. It is named by a hash over everything that goes into it, made beside its place and
renamed when it is whole, so that it is there or not, and never changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from roadstead.contract import programs
from roadstead.core import errors

ROOT = Path("/opt/roadstead")
OLDEST = (3, 11)
SYSTEM_PYTHON = Path("/usr/bin/python3")
_NAME = re.compile(r"[0-9a-f]{16}")
_MAKING = 900.0
"""Seconds for making an environment: with a slow network and apt before it."""


@dataclass(frozen=True)
class Interpreter:
    """A Python of the machine, `path` with links resolved."""

    path: Path
    version: tuple[int, ...]
    """Empty when it does not run."""
    reachable: bool
    """Any user may run it and read its library."""


def checkout(environment: Mapping[str, str]) -> Path:
    """The checkout that the launcher was called in. Raises Failed where there is none (installed as a package)."""
    told = environment.get(programs.CHECKOUT)
    place = Path(told) if told else Path(__file__).resolve().parents[3]
    if not (place / "uv.lock").is_file() or not (place / "roadstead").is_file():
        raise errors.Failed(
            f"{place} is no checkout of Roadstead: services are installed from one, so run its `./roadstead start`"
        )
    return place


def files(place: Path) -> Iterator[tuple[str, Path]]:
    """What services are made of, as (name, file) in a fixed order: the lock, the package, the engines' modules."""
    yield "uv.lock", place / "uv.lock"
    for top, target in ((place / "src" / "roadstead", "roadstead"), (place / "engines", "roadstead/_engines")):
        for path in sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"{target}/{path.relative_to(top)}", path


def digest(place: Path, interpreter: Interpreter) -> str:
    """The name of the environment: 16 hexadecimal digits."""
    whole = hashlib.sha256(f"{interpreter.path} {interpreter.version}\n".encode())
    for name, path in files(place):
        content = path.read_bytes()
        whole.update(f"{name} {len(content)} {path.stat().st_mode & 0o111:o}\n".encode() + content)
    return whole.hexdigest()[:16]


def choose(candidates: Sequence[Interpreter]) -> Interpreter:
    """The first that is new enough and that every user may run; services do not run as root alone."""
    for candidate in candidates:
        if candidate.version >= OLDEST and candidate.reachable:
            return candidate
    told = "; ".join(
        f"{one.path}: "
        + ("does not run" if not one.version else f"{'.'.join(map(str, one.version))}, ")
        + ("" if not one.version else "for all users" if one.reachable else "not for all users")
        for one in candidates
    )
    raise errors.Failed(
        "services need a Python 3.11 or newer that every user of this machine may run, and there is none "
        f"({told}): install your distribution's python3"
    )


def candidates() -> tuple[Interpreter, ...]:
    """The system's Python, then the one that runs this."""
    own = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    return tuple(_look(path) for path in dict.fromkeys((SYSTEM_PYTHON.resolve(), own)))


def _look(path: Path) -> Interpreter:
    ask = "import sys; print(*sys.version_info[:3]); print(sys.base_prefix)"
    try:
        done = subprocess.run(
            [path, "-I", "-c", ask], capture_output=True, text=True, timeout=30, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        # Not there, or broken: both mean that it is not to be chosen, and `choose` says so.
        return Interpreter(path, (), reachable=False)
    version, prefix = done.stdout.splitlines()
    library = Path(prefix) / "lib" / "python{}.{}".format(*version.split()[:2])
    return Interpreter(path, tuple(map(int, version.split())), reachable=open_to_all(path) and open_to_all(library))


def open_to_all(path: Path) -> bool:
    """Whether any user may enter all folders above a path and execute (or enter) it."""
    try:
        return all(place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents))
    except OSError:
        return False


@contextlib.contextmanager
def alone(root: Path = ROOT) -> Iterator[None]:
    """One process at a time makes, begins to use, or removes environments."""
    root.mkdir(parents=True, exist_ok=True, mode=0o755)
    root.chmod(0o755)
    # Whoever can open the file can hold the lock.
    file = os.open(root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(file, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def install(place: Path, interpreter: Interpreter, root: Path = ROOT) -> Path:
    """The interpreter of the environment for this checkout as it is now; made when it is not there. Under `alone`."""
    final = root / digest(place, interpreter)
    if not final.is_dir():
        for left in root.glob(".partial-*"):
            shutil.rmtree(left)
        partial = root / f".partial-{final.name}"
        _make_environment(place, interpreter, partial)
        # uv's, for all to write; nobody asks for it again.
        (partial / ".lock").unlink(missing_ok=True)
        copy(place, partial)
        # Whole on the disk before it has its name: a power cut may not leave a named half.
        _run("sync", "-f", str(partial), timeout=300)
        partial.rename(final)
    return final / "bin" / "python"


def _make_environment(place: Path, interpreter: Interpreter, partial: Path) -> None:
    command = [str(place / "roadstead"), "--make-environment", str(partial), str(interpreter.path)]
    # Its words (what is fetched, what failed) go straight to the human.
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), timeout=_MAKING, check=False)
    if done.returncode != 0:
        raise errors.Failed("the services' environment could not be made: see above", command=" ".join(command))


def copy(place: Path, partial: Path) -> None:
    """The code of a checkout into an environment, compiled. Raises Failed."""
    (packages,) = partial.glob("lib/python3*/site-packages")
    for name, path in files(place):
        if name == "uv.lock":
            continue
        target = packages / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    _run(str(partial / "bin" / "python"), "-m", "compileall", "-q", str(packages / "roadstead"), timeout=300)


def _run(*command: str, timeout: float) -> None:
    """Raises Failed with what the command said."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise errors.Failed(
            f"the services' environment could not be made: {error}", command=" ".join(command)
        ) from error
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip()
        raise errors.Failed(
            f"the services' environment could not be made: {output[-500:]}", command=" ".join(command), output=output
        )


def prune(in_use: Iterable[str], root: Path = ROOT) -> tuple[Path, ...]:
    """Remove environments that no text in `in_use` (run scripts, the unit file) names. Under `alone`."""
    texts = tuple(in_use)
    removed = []
    for place in sorted(root.iterdir()):
        if _NAME.fullmatch(place.name) and not any(str(place) in text for text in texts):
            # Without its name it is no environment any more, also when this is cut off.
            doomed = place.with_name(f".partial-{place.name}")
            place.rename(doomed)
            shutil.rmtree(doomed)
            removed.append(place)
    return tuple(removed)
