"""The places and limits of this room, from the environment.

| variable | means |
|---|---|
| ROADSTEAD_CACHE | the cache; else `$XDG_CACHE_HOME/roadstead`, else `~/.cache/roadstead` |
| ROADSTEAD_DOWNLOAD_NAME | another base address for an engine's releases, with the same layout below it |
| ROADSTEAD_ENGINE_PATH | a folder with `NAME-VERSION/COMPONENT`: the last source |
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.contract import programs
from roadstead.core import errors
from roadstead.engine import catalog as catalogs

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOWNLOAD = "ROADSTEAD_DOWNLOAD_"


@dataclass(frozen=True)
class EngineSettings:
    """Times are seconds."""

    cache: Path
    catalog: catalogs.Catalog
    modules: Path | None
    """The folder of the Go modules, `engines/`; None where there is none."""
    path: Path | None = None
    downloads: Mapping[str, str] = field(default_factory=dict)
    """Base addresses by engine, in place of the catalog's."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the commands that are run; PATH in it is where Go and pip are looked for."""
    connect_timeout: float = 6.0
    """From the name to the first answer, over all addresses of a server."""
    stall_timeout: float = 30.0
    """Without one byte."""
    command_timeout: float = 7200.0
    """One build, or one download by pip."""
    stop: int | None = None
    """A descriptor that can be read from when all commands are to end."""

    def with_path(self, path: Path) -> EngineSettings:
        return dataclasses.replace(self, path=path)


def from_environment(environment: Mapping[str, str]) -> EngineSettings:
    """The settings of a process with these variables. Raises Invalid when there is no place for a cache."""
    path = environment.get(programs.ENGINE_PATH)
    return EngineSettings(
        cache=_cache(environment),
        catalog=catalogs.load(),
        modules=_modules(Path(__file__).resolve()),
        path=Path(path) if path else None,
        downloads={
            name.removeprefix(_DOWNLOAD).lower(): value.rstrip("/")
            for name, value in environment.items()
            if name.startswith(_DOWNLOAD) and value
        },
        environment=dict(environment),
    )


def _cache(environment: Mapping[str, str]) -> Path:
    """The base directory specification of freedesktop.org says that relative paths are to be ignored."""
    if chosen := environment.get(programs.CACHE):
        if not Path(chosen).is_absolute():
            raise errors.Invalid(f"ROADSTEAD_CACHE is {chosen!r}: give a full path", ROADSTEAD_CACHE=chosen)
        return Path(chosen)
    base = environment.get("XDG_CACHE_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "roadstead"
    home = environment.get("HOME", "")
    if not Path(home).is_absolute():
        raise errors.Invalid("there is no place for the engines: set ROADSTEAD_CACHE (or HOME) to a full path")
    return Path(home) / ".cache" / "roadstead"


def _modules(here: Path) -> Path | None:
    """`roadstead/_engines` of an installed wheel, or `engines` beside `src` of a checkout."""
    package = here.parents[1]
    candidates = (package / "_engines", package.parents[1] / "engines")
    return next((place for place in candidates if (place / "kubernetes" / "main.go").is_file()), None)
