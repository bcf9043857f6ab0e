"""The disk with what a run brings: ann's home with the checkout, a newer one, and engines of this machine's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.vm import cabinet, root

from roadstead import engine
from roadstead.engine import settings

ENGINES = ("pause", "cni", "etcd", "containerd", "coredns", "volumes", "1.37", "seed")
ANN = 1000
SIZE = "12G"
NEWER = "0.1.0+newer"
"""The version of the second checkout."""
_VERSION = Path("src/roadstead/__init__.py")
MANIFESTS = Path(__file__).parent / "guest"


def make(entry: Path, folder: Path) -> Path:
    """The image, in a folder of the run. Engines that are not in the cache yet are had first."""
    home = folder / "home"
    ann = home / "ann"
    shutil.copytree(entry / "home", ann, symlinks=True)
    checkout(ann / "roadstead")
    checkout(ann / "newer")
    version = ann / "newer" / _VERSION
    version.write_text(newer(version.read_text()))
    cache = ann / ".cache" / "roadstead"
    for name in (*ENGINES, *(("runc",) if engine.find("runc") else ())):
        lend(engine.get(name), settings.from_environment(os.environ).cache, cache)
    shutil.copytree(MANIFESTS, home / "vm", ignore=shutil.ignore_patterns("__pycache__"))
    # Whose they are in the machine, where ann has another number than here.
    cabinet.call("chown", "-R", f"{ANN}:{ANN}", ann, seconds=60, log=folder / "home.log")
    image = folder / "home.img"
    root.image(home, image, SIZE, folder / "home.log")
    cabinet.remove(home)
    return image


def newer(text: str) -> str:
    """The module with the version, with another one."""
    lines = text.splitlines(keepends=True)
    changed = [f'__version__ = "{NEWER}"\n' if line.startswith("__version__ =") else line for line in lines]
    if changed == lines:
        raise cabinet.Failed(f"{_VERSION} says no version that could be changed")
    return "".join(changed)


def checkout(target: Path) -> None:
    """What a clone would have, with what was changed here and is not committed yet."""
    words = ("git", "-C", root.CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        source, copy = root.CHECKOUT / name, target / name
        if source.is_symlink() or source.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)


def lend(installed: engine.Installed, cache: Path, target: Path) -> None:
    """A copy of an engine in another cache."""
    entry = next(iter(installed.components.values())).parent
    place = target / entry.relative_to(cache)
    if not place.is_dir():
        shutil.copytree(entry, place, symlinks=True)
