"""How a release is built, as data: the arguments of `go build`, and the hash that names the recipe.

The same recipe with the same Go makes the same bytes, wherever the folders are: `-trimpath`, no build id, no
version control stamp, no C. So the hash covers what decides them, and not the place. What has libraries in C is
compiled with the machine's, which it does not cover.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from roadstead.core import errors

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.engine import catalog

FORMAT = 2
"""Of the entries in the cache: a higher number leaves all older ones unused."""


@dataclass(frozen=True)
class Target:
    """One call of `go build`: the package, and the components that are names of its one binary."""

    package: str
    components: tuple[str, ...]


def hash_of(release: catalog.Release, modules: Path | None) -> str:
    """16 hexadecimal digits over everything that decides what a release's entry holds."""
    engine = release.engine
    decides = (
        FORMAT,
        release.version,
        release.arch,
        engine.components,
        engine.download,
        engine.build,
        engine.wheel,
        *((engine.seed,) if engine.seed is not None else ()),
        *((engine.libraries,) if engine.libraries else ()),
    )
    whole = hashlib.sha256(msgspec.json.encode(decides, order="deterministic"))
    if engine.build is not None and modules is not None:
        folder = modules / engine.build.module
        for file in module_files(release, engine.build, folder):
            whole.update(f"\0{file.relative_to(folder)}\0".encode())
            whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def module_files(release: catalog.Release, build: catalog.Build, folder: Path) -> tuple[Path, ...]:
    """The files of a Go module that decide what is built: sources, and the module file with its sums."""
    modfile = folder / release.fill(build.modfile)
    files = (*folder.rglob("*.go"), modfile, modfile.with_suffix(".sum"))
    return tuple(sorted(file for file in files if file.is_file()))


def targets(release: catalog.Release, build: catalog.Build) -> tuple[Target, ...]:
    """The calls that make all components."""
    by_package: dict[str, tuple[str, ...]] = {}
    for component in release.engine.components:
        package = release.fill(build.package, component)
        by_package[package] = (*by_package.get(package, ()), component)
    return tuple(Target(package, components) for package, components in by_package.items())


def arguments(release: catalog.Release, build: catalog.Build, target: Target, output: Path) -> list[str]:
    """The arguments after `go`. `-v` tells the packages as they are compiled, and changes nothing else."""
    # What a debugger reads is not linked (`-s -w`): compiling it would take a fifth of the time.
    words = ["build", "-v", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false"]
    words += _module(release, build)
    words += ["-ldflags", " ".join(release.fill(flag) for flag in build.ldflags)]
    return [*words, "-o", str(output), target.package]


def listing(release: catalog.Release, build: catalog.Build, targets: tuple[Target, ...]) -> list[str]:
    """The arguments after `go` that list every package of these targets, one a line."""
    return ["list", "-deps", *_module(release, build), *(target.package for target in targets)]


def _module(release: catalog.Release, build: catalog.Build) -> list[str]:
    words = [] if build.modfile == "go.mod" else [f"-modfile={release.fill(build.modfile)}"]
    return [*words, "-tags", build.tags] if build.tags else words


def environment(release: catalog.Release, scratch: Path) -> dict[str, str]:
    """The variables that a build needs, over those of the user (whose caches and proxy are used)."""
    return {
        "CGO_ENABLED": "1" if release.engine.libraries else "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
        "GO111MODULE": "on",
        "GOOS": "linux",
        "GOARCH": release.arch,
        "GOAMD64": "v1",
        "GOARM64": "v8.0",
        "GOTMPDIR": str(scratch),
    }


def go_wanted(text: str) -> str:
    """The Go version that a module file asks for, `1.26.8`. Raises Failed for a file without one."""
    found = re.search(r"^go ([0-9]+\.[0-9]+(?:\.[0-9]+)?)", text, re.MULTILINE)
    if found is None:
        raise errors.Failed("a module file of the engines has no `go` line: the checkout is damaged")
    return found[1]
