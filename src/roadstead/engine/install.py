"""Getting an engine: the cache, else the first source that has it, told why the others had not."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from roadstead.core import errors
from roadstead.engine import cache, catalog, download, process, progress, recipe, settings, sources
from roadstead.engine.seeds import make as seeds

Choice = Literal["cache"] | sources.Source

_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


@dataclass(frozen=True)
class Installed:
    """A release that is here, whole and compared with its manifest. `components`: the file by name."""

    name: str
    version: str
    arch: str
    components: dict[str, Path]
    manifest: cache.Manifest

    @property
    def id(self) -> str:
        """`kubernetes-1.37.2`, the engine's id in the agent's messages."""
        return f"{self.name}-{self.version}"

    @property
    def digests(self) -> dict[str, str]:
        """`sha256:HEX` by component, as in contract.messages.desired.Engine."""
        return {name: f"sha256:{part.sha256}" for name, part in self.manifest.components.items()}


def get(
    spec: str,
    source: Choice | None = None,
    listener: progress.Listener = progress.silent,
    *,
    given: settings.EngineSettings | None = None,
    arch: str | None = None,
) -> Installed:
    """Have the release that a spec names (see catalog.resolve), from one source or from the first that has it.

    Blocks until it is there; one process at a time makes an entry, others wait for it. Raises Invalid or NotFound
    for a wrong spec, NotFound when the cache alone was asked and has it not, Failed when no source could.
    """
    chosen = given or settings.from_environment(os.environ)
    release = catalog.resolve(chosen.catalog, spec, arch or catalog.machine_arch())
    teller = progress.Teller(release.id, listener)
    if release.engine.distribution is not None:
        return _distribution(release, source, chosen)
    key = key_of(release, chosen)

    def waiting(pid: int) -> None:
        teller.line(f"process {pid} works on {release.id}: waiting for it")

    with cache.locked(chosen.cache, key.name, waiting, chosen.stop):
        kept = _cached(key, source, chosen, teller)
        return kept if kept is not None else _make(key, source, chosen, teller)


def find(spec: str, *, given: settings.EngineSettings | None = None, arch: str | None = None) -> Installed | None:
    """The release when it is here and whole, else None. Reads all of it, to compare the digests."""
    chosen = given or settings.from_environment(os.environ)
    release = catalog.resolve(chosen.catalog, spec, arch or catalog.machine_arch())
    if release.engine.distribution is not None:
        return system(release, chosen)
    key = key_of(release, chosen)
    match cache.see(chosen.cache, key):
        case cache.Whole(manifest):
            return _installed(key, chosen, manifest)
        case cache.AbsentEntry() | cache.Broken():
            return None


def key_of(release: catalog.Release, chosen: settings.EngineSettings) -> cache.EntryKey:
    """The entry that a release has by the recipe of now: another recipe is another entry."""
    return cache.EntryKey(release, recipe.hash_of(release, chosen.modules))


def system(release: catalog.Release, chosen: settings.EngineSettings) -> Installed | None:
    """The distribution's own program, whatever version it has; None when it is not installed."""
    path = chosen.environment.get("PATH", "") + os.pathsep + _SYSTEM_FOLDERS
    found: dict[str, Path] = {}
    for component in release.engine.components:
        program = shutil.which(component, path=path)
        if program is None:
            return None
        found[component] = Path(program)
    digests = cache.Digests()
    manifest = cache.Manifest(
        name=release.engine.name,
        version=release.version,
        arch=release.arch,
        recipe="",
        source="distribution",
        origin=", ".join(str(file) for file in found.values()),
        verified="by the distribution's package manager",
        components={
            name: cache.Component(sha256=digests.of(file), size=file.stat().st_size) for name, file in found.items()
        },
    )
    return Installed(release.engine.name, release.version, release.arch, found, manifest)


def _distribution(release: catalog.Release, source: Choice | None, chosen: settings.EngineSettings) -> Installed:
    assert release.engine.distribution is not None
    package = release.engine.distribution.package
    if source is not None:
        raise errors.Invalid(f"{release.engine.name} comes from the distribution: install its package {package}")
    installed = system(release, chosen)
    if installed is None:
        raise errors.NotFound(
            f"{release.engine.name} is not installed: install the distribution's package {package}", package=package
        )
    return installed


def _cached(
    key: cache.EntryKey, source: Choice | None, chosen: settings.EngineSettings, teller: progress.Teller
) -> Installed | None:
    """The entry when it is whole and from the source that was asked for."""
    match cache.see(chosen.cache, key):
        case cache.Whole(manifest):
            # A folder's files may have changed since they were copied.
            if source in (None, "cache") or (source == manifest.source and source != "path"):
                return _installed(key, chosen, manifest)
        case cache.AbsentEntry():
            pass
        case cache.Broken(reason):
            teller.line(f"the cache's entry is broken and not used: {reason}")
    if source == "cache":
        raise errors.NotFound(f"{key.release.id} for {key.release.arch} is not in the cache {chosen.cache}")
    return None


def _make(
    key: cache.EntryKey, source: Choice | None, chosen: settings.EngineSettings, teller: progress.Teller
) -> Installed:
    """Try the sources in their order. Raises Failed with the reason of each."""
    order = [each for each in sources.ORDER if source in (None, each) and _worth(each, source, key.release, chosen)]
    reasons: dict[str, str] = {}
    for position, each in enumerate(order):
        try:
            return _make_from(each, key, chosen, teller)
        except (errors.Error, OSError) as error:
            reasons[each] = str(error)
            facts = error.facts if isinstance(error, errors.Error) else {}
            for line in facts.get("output", "").splitlines()[-10:]:
                teller.line(f"| {line}")
            following = f"; next: {order[position + 1]}" if position + 1 < len(order) else ""
            teller.line(f"{each} did not work: {error}{following}")
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise errors.Failed(f"{key.release.id} for {key.release.arch} could not be had: {told}", **reasons)


def _worth(
    each: sources.Source, source: Choice | None, release: catalog.Release, chosen: settings.EngineSettings
) -> bool:
    """A source that the release does not have is tried only when it was asked for, to say so."""
    if source is not None:
        return True
    match each:
        case "download":
            return release.engine.download is not None or release.engine.wheel is not None
        case "build":
            return release.engine.build is not None or release.engine.seed is not None
        case "path":
            return chosen.path is not None


def _make_from(
    source: sources.Source, key: cache.EntryKey, chosen: settings.EngineSettings, teller: progress.Teller
) -> Installed:
    release = key.release
    with cache.work_folder(chosen.cache, key.name) as scratch:
        folder = scratch / "entry"
        folder.mkdir()
        make = sources.maker(source, release) if release.engine.seed is None else _seed
        made = make(release, folder, chosen, teller)
        components = cache.seal(folder, release)
        check_version(release, folder, chosen)
        manifest = cache.Manifest(
            name=release.engine.name,
            version=release.version,
            arch=release.arch,
            recipe=key.recipe,
            source=source,
            origin=made.origin,
            verified=made.verified,
            components=components,
        )
        cache.put(chosen.cache, key, folder, manifest)
    teller.line(f"ready ({source}; {made.verified})")
    return _installed(key, chosen, manifest)


def _seed(
    release: catalog.Release, into: Path, chosen: settings.EngineSettings, teller: progress.Teller
) -> download.Made:
    """Made by running what it is the seed of: no source has it, but for the engines that are run."""
    assert release.engine.seed is not None
    if release.arch != catalog.machine_arch():
        raise errors.NotFound(f"a seed is made by running its release, and this machine cannot run {release.arch}")
    kubernetes = get(f"kubernetes-{release.version}", listener=teller.listener, given=chosen, arch=release.arch)
    etcd = get(release.engine.seed.etcd, listener=teller.listener, given=chosen, arch=release.arch)
    teller.line(f"running {kubernetes.id} on {etcd.id} for its first objects")
    programs = (kubernetes.components["kube-apiserver"], etcd.components["etcd"], etcd.components["etcdctl"])
    seeds.make(release, programs, into, chosen, teller)
    made_by = f"{kubernetes.id} on {etcd.id}"
    return download.Made(origin=made_by, verified=f"made on this machine by {made_by}")


def check_version(release: catalog.Release, folder: Path, chosen: settings.EngineSettings) -> None:
    """Run what was made, where this machine can, and hear its version. Raises Failed when it says another."""
    probe = release.engine.probe
    if probe is None or release.arch != catalog.machine_arch():
        return
    text = process.answer([str(folder / probe.component), *probe.arguments], chosen.environment)
    if not re.search(rf"(?<![0-9.]){re.escape(release.version)}(?![0-9.]*[0-9])", text):
        said = " ".join(text.split())[:200]
        raise errors.Failed(f"{probe.component} should be version {release.version}, and says: {said}")


def _installed(key: cache.EntryKey, chosen: settings.EngineSettings, manifest: cache.Manifest) -> Installed:
    folder = key.folder(chosen.cache)
    release = key.release
    components = {name: folder / name for name in release.engine.components}
    return Installed(release.engine.name, release.version, release.arch, components, manifest)


def remove(
    release: catalog.Release, chosen: settings.EngineSettings, listener: progress.Listener = progress.silent
) -> bool:
    """Remove a release from the cache, whatever recipe made it; False when it was not there."""
    teller = progress.Teller(release.id, listener)

    def waiting(pid: int) -> None:
        teller.line(f"process {pid} works on {release.id}: waiting for it")

    removed = False
    for key in cache.entries(chosen.cache, release):
        with cache.locked(chosen.cache, key.name, waiting, chosen.stop):
            removed |= cache.remove(chosen.cache, key)
    return removed
