"""Debian's packages, from the archive that this machine's own apt is set up for, without a word in its lists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm import cabinet

CODENAMES = {12: "bookworm", 13: "trixie"}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
VARIABLE = "ROADSTEAD_DEBIAN"
"""The address of an archive of Debian, where apt's sources name none."""
_LINE = re.compile(r"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")


@dataclass(frozen=True)
class Source:
    """One archive of apt's sources."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def sources(text: str) -> Iterator[Source]:
    """The archives of packages in a file of apt's, in either format."""
    for line in text.splitlines():
        if found := _LINE.match(line.strip()):
            yield Source(found["uri"], (found["suite"],), tuple(found["components"].split()))
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            name.strip().lower(): value.split()
            for name, colon, value in (
                line.partition(":") for line in stanza.splitlines() if line[:1] not in ("#", " ")
            )
            if colon
        }
        if "deb" in fields.get("types", ()) and fields.get("enabled") != ["no"]:
            for uri in fields.get("uris", ()):
                yield Source(uri, tuple(fields.get("suites", ())), tuple(fields.get("components", ())))


def main_archive(found: Iterable[Source]) -> str | None:
    """The address of Debian's own archive: it has a release of Debian, by a plain name, and `main`."""
    names = {*CODENAMES.values(), "stable", "testing", "sid", "unstable", "bullseye", "forky"}
    for source in found:
        if "main" in source.components and names & set(source.suites):
            return source.uri.rstrip("/")
    return None


def archive() -> str:
    """Raises Failed where there is none."""
    if told := os.environ.get(VARIABLE):
        return told
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    texts = (path.read_text() for path in places if path.suffix in (".list", ".sources") and path.is_file())
    address = main_archive(source for text in texts for source in sources(text))
    if address is None:
        raise cabinet.Failed(f"apt's sources here name no archive of Debian: set {VARIABLE} to the address of one")
    if not KEYRING.is_file():
        raise cabinet.Failed(f"{KEYRING} is missing: install the package debian-archive-keyring")
    return address


def download(package: str, suite: str, folder: Path) -> Path:
    """The newest .deb of a package in a suite, into a folder; with lists of its own, which stay there."""
    log = folder / "apt.log"
    # apt-get downloads into the folder that it is in.
    cabinet.call("env", "-C", folder, *_apt(suite, folder / "apt", log), "download", package, seconds=900, log=log)
    (deb,) = folder.glob(f"{package}_*.deb")
    return deb


def download_all(packages: Sequence[str], suite: str, folder: Path) -> tuple[Path, ...]:
    """The newest .debs of packages and of what they depend on, below a folder; with lists of its own."""
    log = folder / "apt.log"
    words = ("install", "-y", "--download-only", "--no-install-recommends", *packages)
    cabinet.call(*_apt(suite, folder / "apt", log), *words, seconds=900, log=log)
    return tuple(sorted((folder / "apt" / "cache" / "archives").glob("*.deb")))


def source(package: str, suite: str, folder: Path) -> Path:
    """The newest source of a package as its project has it, without Debian's changes: a tarball below a folder."""
    log = folder / "apt.log"
    words = ("source", "--download-only", package)
    cabinet.call("env", "-C", folder, *_apt(suite, folder / "apt", log), *words, seconds=900, log=log)
    (tarball,) = folder.glob(f"{package}_*.orig.tar.*z*")
    return tarball


def _apt(suite: str, own: Path, log: Path) -> list[str]:
    """apt-get with lists of its own, which are read, and nothing installed."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (own / name).mkdir(parents=True)
    where = f"[signed-by={KEYRING}] {archive()} {suite} main"
    (own / "sources.list").write_text(f"deb {where}\ndeb-src {where}\n")
    options = {
        "Dir::State": own / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": own / "cache",
        "Dir::Etc::sourcelist": own / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = ["apt-get", "-q", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    cabinet.call(*apt, "update", seconds=300, log=log)
    return apt


def need(*programs: tuple[str, str]) -> None:
    """Has programs (name, package) on this machine; those that are missing are installed, as root."""
    folders = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    packages = [package for program, package in programs if shutil.which(program, path=folders) is None]
    if not packages:
        return
    by_hand = f"apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise cabinet.Failed(f"the virtual machine needs what is not here: {by_hand}")
    print(f"installing {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    # The lists may be missing or old where nothing was installed for long.
    if not (_quiet(install, environment) or (_quiet([*apt, "update"], environment) and _quiet(install, environment))):
        raise cabinet.Failed(f"`{by_hand}` failed")


def _quiet(words: list[str], environment: dict[str, str]) -> bool:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=900, env=environment
    )
    return done.returncode == 0
