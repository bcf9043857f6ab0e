"""The engines of the services: `/var/cache/roadstead`, which belongs to a user of its own.

Root gives what is already on this machine (in the cache of the person who called, or in root's own) by a copy, so
that nothing is fetched or built twice. Everything in that folder is written by that user: root reads here, packs, and
lets the other side unpack. So root never follows a path that somebody else could have laid.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from roadstead.contract import programs
from roadstead.core import errors
from roadstead.engine import cache, catalog, install
from roadstead.engine import settings as engine_settings
from roadstead.machine.supervision import tree

_COPYING = 300.0
"""Seconds for one engine."""

_UNPACK = """
set -eu
umask 077
exec 9>"$1/incoming.lock"
chmod 600 "$1/incoming.lock"
flock 9
umask 022
rm -rf "$1/incoming"
[ ! -e "$2" ] || { cat >/dev/null; exit 0; }
mkdir -p "$1/incoming/entry" "${2%/*}"
tar -b 2048 -xf - -C "$1/incoming/entry"
sync -f "$1/incoming/entry"
mv -T "$1/incoming/entry" "$2"
"""
"""What is cut off is in `incoming`, and removed by the next one; an entry comes whole, by its name."""


def own(target: Path = tree.CACHE, user: str = programs.ENGINES_USER) -> bool:
    """The folder is that user's alone; what somebody else could write to until now is removed, and True is returned.

    In earlier releases it was of serve's user. What is in it cannot be told from what serve, taken over, would have
    put there.
    """
    place = pwd.getpwnam(user)
    removed = False
    for old in replaced(target):
        shutil.rmtree(old)
    if target.is_dir() and target.stat().st_uid != place.pw_uid:
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        target.rename(old)
        shutil.rmtree(old)
        removed = True
    target.mkdir(parents=True, exist_ok=True, mode=0o755)
    os.chown(target, place.pw_uid, place.pw_gid)
    target.chmod(0o755)
    return removed


def replaced(target: Path = tree.CACHE) -> list[Path]:
    """What was there before, where its removal was cut off."""
    return list(target.parent.glob(f".{target.name}.old-*"))


def ready(target: Path = tree.CACHE, user: str = programs.ENGINES_USER) -> bool:
    """Whether a `start` of this release has made the folder."""
    return target.is_dir() and any(
        entry.pw_name == user and entry.pw_uid == target.stat().st_uid for entry in pwd.getpwall()
    )


def sources(environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Caches that may have engines: that of the command, and root's usual one."""
    own = (Path(environment[programs.CACHE]),) if environment.get(programs.CACHE) else ()
    return tuple(place for place in dict.fromkeys((*own, home / ".cache" / "roadstead")) if place.is_dir())


def share(places: Sequence[Path], target: Path = tree.CACHE, user: str = programs.ENGINES_USER) -> tuple[str, ...]:
    """Copy engines of this version of Roadstead that the services do not have; their ids. Only root can.

    Raises Failed when one cannot be copied.
    """
    chosen = engine_settings.from_environment({programs.CACHE: str(target)})
    given = []
    for release in catalog.releases(chosen.catalog, catalog.machine_arch()):
        if release.engine.distribution is not None:
            continue
        key = install.key_of(release, chosen)
        if isinstance(cache.see(target, key, digests=False), cache.Whole):
            continue
        for place in places:
            if isinstance(cache.see(place, key, digests=False), cache.Whole):
                _copy(key.folder(place), key.folder(target), target, user)
                given.append(release.id)
                break
    return tuple(given)


def _copy(entry: Path, place: Path, target: Path, user: str) -> None:
    unpack = ["s6-setuidgid", user, "sh", "-c", _UNPACK, "sh", str(target), str(place)]
    # Blocks of 1 MiB: with tar's own of 10 KiB most of the time is spent in system calls.
    pack = ["tar", "-b", "2048", "-C", str(entry), "-cf", "-", "."]
    try:
        with subprocess.Popen(pack, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as packing:
            done = subprocess.run(
                unpack, stdin=packing.stdout, capture_output=True, text=True, check=False, timeout=_COPYING, cwd="/"
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise errors.Failed(f"{entry} could not be copied to {place}: {error}", folder=entry) from error
    if done.returncode != 0 or packing.returncode != 0:
        raise errors.Failed(f"{entry} could not be copied to {place}", folder=entry, output=done.stderr)


def missing(version: str | None, target: Path = tree.CACHE) -> tuple[str, ...]:
    """What a cluster of a version of Kubernetes (None: the newest) needs and the services do not have, as specs.

    Raises NotFound or Invalid for a version that there is not.
    """
    chosen = engine_settings.from_environment({**os.environ, programs.CACHE: str(target)})
    arch = catalog.machine_arch()
    of_version = {"kubernetes": version, "seed": f"seed-{version}"} if version else {}
    found = []
    for name in chosen.catalog.needed:
        spec = of_version.get(name) or name
        release = catalog.resolve(chosen.catalog, spec, arch)
        if release.engine.distribution is not None:
            continue
        if not isinstance(cache.see(target, install.key_of(release, chosen), digests=False), cache.Whole):
            found.append(spec)
    return tuple(found)
