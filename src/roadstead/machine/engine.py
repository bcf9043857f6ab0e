"""`roadstead engine`: what engines there are, and how each got here and was verified."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
import msgspec

from roadstead import engine as engines
from roadstead.contract import programs
from roadstead.core import errors, foreign, terminal
from roadstead.engine import cache, catalog, images, install, progress
from roadstead.engine import settings as engine_settings
from roadstead.machine.services import engines as services
from roadstead.machine.services import getting
from roadstead.machine.supervision import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PIPE_SECONDS = 15.0
"""Passing news in a pipe: a line this often."""


class EngineRow(msgspec.Struct, frozen=True):
    """One line of `engine list`. `state` is `ready`, `absent` or `broken`."""

    name: str
    version: str
    arch: str
    state: str
    source: str = ""
    size: int = 0
    origin: str = ""
    verified: str = ""
    folder: str = ""
    components: dict[str, str] = {}
    """`sha256:HEX` by component."""


@click.group("engine")
def engine() -> None:
    """The binaries of Kubernetes, etcd, containerd and the others."""


_arch = click.option("--arch", help="amd64 or arm64; this machine's by default.")
_output = click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table")


@engine.command("list")
@_arch
@_output
def list_(arch: str | None, output: str) -> None:
    """What there is, what is here, where it came from and how it was verified."""
    chosen = engine_settings.from_environment(os.environ)
    releases = catalog.releases(chosen.catalog, arch or catalog.machine_arch())
    rows = [_row(release, chosen, digests=False) for release in releases]
    _print(rows, output)


@engine.command()
@click.argument("specs", nargs=-1, metavar="NAME|MINOR...")
@click.option("--source", type=click.Choice(["cache", "download", "build", "path"]), help="Only from there.")
@click.option(
    "--path",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="A folder with the binaries; alone it means --source path.",
)
@click.option("--all-needed", is_flag=True, help="All that a cluster of the newest version needs.")
@_arch
def get(specs: tuple[str, ...], source: str | None, path: Path | None, all_needed: bool, arch: str | None) -> None:
    """Have an engine here: from the cache, else downloaded, else built. Prints the folder of each."""
    chosen = engine_settings.from_environment(os.environ)
    if path is not None:
        chosen, source = chosen.with_path(path), source or "path"
    wanted = (*specs, *(chosen.catalog.needed if all_needed else ()))
    if not wanted:
        raise click.UsageError("name an engine, e.g. `engine get 1.37`, or say --all-needed")
    job = getting.Job(_choice(source), chosen, arch)
    processors = len(os.sched_getaffinity(0))
    if said := getting.announced(wanted, job, processors):
        terminal.err(said)
    with _ends_on_signals(), Screen(sys.stderr.isatty()) as screen:
        made = getting.get(wanted, job, screen.show, getting.at_once(processors, _available()))
        screen.clear()
        for installed in made:
            terminal.out(f"{installed.id}\t{next(iter(installed.components.values())).parent}")
    if os.geteuid() == 0 and services.ready():
        _share(chosen.cache)


@engine.command()
def share() -> None:
    """Copy what is here into the cache of this machine's services. `start` and root's `engine get` do so, too."""
    if os.geteuid() != 0:
        raise errors.Denied("`roadstead engine share` writes for the services: run it as root or through ./roadstead")
    if not services.ready():
        raise errors.NotFound(f"{tree.CACHE} is not there, or of an earlier release: `roadstead start` makes it")
    _share(engine_settings.from_environment(os.environ).cache)


def _share(own: Path) -> None:
    for id in services.share(services.sources({**os.environ, programs.CACHE: str(own)}, Path.home())):
        terminal.err(f"{id}: copied for the services to {tree.CACHE}")


@engine.command()
@click.argument("specs", nargs=-1, metavar="[NAME...]")
@_arch
@_output
def verify(specs: tuple[str, ...], arch: str | None, output: str) -> None:
    """Compare what is here with the digests of its manifest, and hear the version of each. Exits 1 if one is broken."""
    chosen = engine_settings.from_environment(os.environ)
    arch = arch or catalog.machine_arch()
    wanted = [catalog.resolve(chosen.catalog, spec, arch) for spec in specs]
    rows = [_row(release, chosen, digests=True) for release in wanted or catalog.releases(chosen.catalog, arch)]
    _print(rows if wanted else [row for row in rows if row.state != "absent"], output)
    bad = [f"{row.name}-{row.version} is {row.state}" for row in rows if _is_bad(row, named=bool(wanted))]
    if bad:
        raise click.ClickException("; ".join(bad) + ": `roadstead engine get` makes it again")


@engine.command()
@click.argument("specs", nargs=-1, required=True, metavar="NAME...")
@_arch
def remove(specs: tuple[str, ...], arch: str | None) -> None:
    """Remove engines from the cache; a name without a version stands for all versions."""
    chosen = engine_settings.from_environment(os.environ)
    arch = arch or catalog.machine_arch()
    known = catalog.releases(chosen.catalog, arch)
    for spec in specs:
        one = catalog.resolve(chosen.catalog, spec, arch)
        if one.engine.distribution is not None:
            raise errors.Invalid(f"{spec} belongs to the distribution: remove its package there")
        for release in [release for release in known if release.engine.name == spec] or [one]:
            gone = install.remove(release, chosen)
            terminal.out(f"{release.id}: {'removed' if gone else 'was not here'}")


@engine.command()
@click.argument("name", type=click.Choice(["pause", "coredns", "busybox"]))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
@_arch
def image(name: str, output: Path, arch: str | None) -> None:
    """Write an OCI image archive of an engine; the same bit by bit each time. Prints its digest."""
    with _ends_on_signals(), Screen(sys.stderr.isatty()) as screen:
        installed = engines.get(name, listener=screen.show, arch=arch)
        screen.clear()
        terminal.out(images.write(_image(installed), output.absolute()))


class Screen:
    """Shows progress on stderr: passing news in one line that is rewritten on a terminal, seldom in a pipe."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._passing: dict[str, str] = {}
        """What is new of each that is made just now."""
        self._told: dict[str, float] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, news: progress.Progress) -> None:
        """In a pipe a passing one is told seldom."""
        text = foreign.line(f"{news.engine}: {news.text}")
        now = time.monotonic()
        if not news.passing:
            self._passing.pop(news.engine, None)
            self.clear()
            terminal.err(text)
        elif self._terminal:
            self._passing[news.engine] = text
            width = os.get_terminal_size(sys.stderr.fileno()).columns - 1
            self._draw(shortened(list(self._passing.values()), max(20, width)))
        elif now - self._told.get(news.engine, self._began) >= _PIPE_SECONDS:
            terminal.err(text)
        else:
            return
        self._told[news.engine] = now

    def clear(self) -> None:
        """The passing line goes, so that others can be written."""
        if self._terminal:
            self._draw("")

    def _draw(self, said: str) -> None:
        terminal.drawn(f"\r\x1b[K{said}", terminal.stream(error=True))


def shortened(texts: Sequence[str], width: int) -> str:
    """All of them in one line, each with an equal part of its width. Pure."""
    each = max(1, (width - 3 * (len(texts) - 1)) // max(1, len(texts)))
    return " | ".join(text[:each] for text in texts)[:width]


def _available() -> int:
    """Bytes of memory that new processes can have."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


@contextmanager
def _ends_on_signals() -> Iterator[None]:
    """Let TERM and HUP end us as INT does, so that what was being made is cleaned up at once."""

    def end(number: int, frame: object) -> None:
        del frame
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _choice(source: str | None) -> install.Choice | None:
    return cast("install.Choice | None", source)


def _is_bad(row: EngineRow, *, named: bool) -> bool:
    return row.state == "broken" or (named and row.state == "absent")


def _image(installed: engines.Installed) -> images.Image:
    program = installed.components[installed.name]
    match installed.name:
        case "pause":
            return images.pause(program, installed.version, installed.arch)
        case "coredns":
            return images.coredns(program, installed.version, installed.arch)
        case _:
            applets = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout
            return images.busybox(program, tuple(applets.split()), installed.arch)


def _row(release: catalog.Release, chosen: engine_settings.EngineSettings, *, digests: bool) -> EngineRow:
    name = release.engine.name
    if release.engine.distribution is not None:
        found = install.system(release, chosen)
        if found is None:
            package = release.engine.distribution.package
            return EngineRow(
                name, release.version, release.arch, "absent", origin=f"the distribution's package {package}"
            )
        return _ready(found.manifest, str(next(iter(found.components.values())).parent))
    key = install.key_of(release, chosen)
    folder = key.folder(chosen.cache)
    match cache.see(chosen.cache, key, digests=digests):
        case cache.Whole(manifest):
            if digests:
                try:
                    install.check_version(release, folder, chosen)
                except errors.Error as error:
                    return EngineRow(name, release.version, release.arch, "broken", origin=str(error))
            return _ready(manifest, str(folder))
        case cache.AbsentEntry():
            return EngineRow(name, release.version, release.arch, "absent")
        case cache.Broken(reason):
            return EngineRow(name, release.version, release.arch, "broken", origin=reason, folder=str(folder))


def _ready(manifest: cache.Manifest, folder: str) -> EngineRow:
    return EngineRow(
        name=manifest.name,
        version=manifest.version,
        arch=manifest.arch,
        state="ready",
        source=manifest.source,
        size=sum({part.sha256: part.size for part in manifest.components.values()}.values()),
        origin=manifest.origin,
        verified=manifest.verified,
        folder=folder,
        components={name: f"sha256:{part.sha256}" for name, part in manifest.components.items()},
    )


def _print(rows: list[EngineRow], output: str) -> None:
    if output == "json":
        terminal.out(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    cells = [("ENGINE", "VERSION", "ARCH", "STATE", "SIZE", "SOURCE", "VERIFIED")]
    for row in rows:
        size = progress.size(row.size) if row.size else "-"
        how = row.verified or row.origin or "-"
        cells.append((row.name, row.version, row.arch, row.state, size, row.source or "-", how))
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        terminal.out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
