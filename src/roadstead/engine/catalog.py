"""The catalog: which engines there are, in which versions, and where each comes from. Data in `catalog.toml`.

    catalog.load() -> Catalog          resolve(catalog, "1.37", "amd64") -> Release

A spec is `NAME`, `NAME@VERSION`, `NAME-VERSION`, or a version of Kubernetes alone; a version may be shortened
(`1.37` is the newest patch of that minor).
"""

from __future__ import annotations

import importlib.resources
import platform
import re
from dataclasses import dataclass

import msgspec

from roadstead.core import errors

_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SPEC = re.compile(r"(?:(?P<name>[a-z]+)(?:[@-](?P<version>[0-9a-z.]+))?)|(?P<alone>[0-9]+(?:\.[0-9]+)*)")


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The root of the catalog's types and of the cache's records: frozen and strict."""


class VersionProbe(Form, frozen=True):
    """A call that answers with the version: what we call by a name is what it says it is."""

    component: str
    arguments: tuple[str, ...]


class Download(Form, frozen=True):
    """Official releases: a file for each component, or an archive (tar, gzip) that has `member` for each."""

    base: str
    file: str
    checksum: str
    member: str | None = None


class Build(Form, frozen=True):
    """A Go module below `engines/`. One package for all components is one binary under several names."""

    module: str
    package: str
    modfile: str = "go.mod"
    tags: str = ""
    ldflags: tuple[str, ...] = ("-s", "-w", "-buildid=")


class Wheel(Form, frozen=True):
    """A wheel of the Python package index. `members`: the path in the wheel by component."""

    project: str
    members: dict[str, str]
    platforms: dict[str, str]
    """The platform tag by architecture."""


class DistributionProgram(Form, frozen=True):
    """A program that the machine's own distribution brings, under its component's name."""

    package: str
    """As Debian calls it."""


class Seed(Form, frozen=True):
    """What the release of Kubernetes with the same version writes at its first start (see engine.seeds)."""

    etcd: str
    """The spec of the etcd that it is made with."""
    form: int = 1
    """A higher number makes all seeds anew."""


class CatalogEngine(Form, frozen=True):
    """All releases of one project."""

    name: str
    versions: tuple[str, ...]
    components: tuple[str, ...]
    probe: VersionProbe | None = None
    download: Download | None = None
    build: Build | None = None
    wheel: Wheel | None = None
    seed: Seed | None = None
    distribution: DistributionProgram | None = None
    instead: str | None = None
    """The distribution's package, as Debian calls it, whose program does where this is not to be had."""
    effort: float = 0.0
    """About how many seconds of one processor building it takes, with nothing built before: all of them together took
    740 on x86-64, two processors, in shares as each took alone."""
    libraries: tuple[str, ...] = ()
    """Those in C, by pkg-config's names, that it is built with; with any the machine's C compiler is used."""
    digests: dict[str, str] = {}
    """SHA-256 in hexadecimal, by the file's path below `base`, or `VERSION/ARCH` of a wheel."""


class Go(Form, frozen=True):
    """The Go that is fetched where none is found."""

    version: str
    wheel: Wheel
    digests: dict[str, str] = {}


class Catalog(Form, frozen=True):
    """All of `catalog.toml`."""

    architectures: tuple[str, ...]
    needed: tuple[str, ...]
    """Specs of what one cluster of the newest version needs."""
    engines: tuple[CatalogEngine, ...]
    go: Go


@dataclass(frozen=True)
class Release:
    """One version of one engine for one architecture."""

    engine: CatalogEngine
    version: str
    arch: str

    @property
    def id(self) -> str:
        """`kubernetes-1.37.2`: also a spec, and an id in the agent's messages."""
        return f"{self.engine.name}-{self.version}"

    def fill(self, template: str, component: str = "") -> str:
        """A template of the catalog with this release's facts."""
        parts = (*self.version.split("."), "")
        facts = {
            "version": self.version,
            "minor": ".".join(parts[:2]),
            "minor-part": parts[1],
            "arch": self.arch,
            "component": component,
        }
        return re.sub(r"\{([a-z-]+)\}", lambda found: facts[found[1]], template)


def load() -> Catalog:
    """The catalog of this Roadstead."""
    text = importlib.resources.files("roadstead.engine").joinpath("catalog.toml").read_bytes()
    return msgspec.toml.decode(text, type=Catalog)


def machine_arch() -> str:
    """This machine's architecture as the releases call it. Raises Invalid for one that has no engines."""
    machine = platform.machine()
    if machine not in _MACHINES:
        raise errors.Invalid(f"there are no engines for a machine of type {machine}: amd64 and arm64 are known")
    return _MACHINES[machine]


def resolve(catalog: Catalog, spec: str, arch: str) -> Release:
    """The release that a spec names. Raises Invalid (its form) or NotFound (not in the catalog)."""
    form = _SPEC.fullmatch(spec)
    if form is None:
        raise errors.Invalid(f"engine {spec!r}: write NAME, NAME@VERSION or a version of Kubernetes, e.g. 1.37")
    if arch not in catalog.architectures:
        raise errors.NotFound(f"there are no engines for {arch}: known are {', '.join(catalog.architectures)}")
    name = form["name"] or "kubernetes"
    engine = next((engine for engine in catalog.engines if engine.name == name), None)
    if engine is None:
        known = ", ".join(engine.name for engine in catalog.engines)
        raise errors.NotFound(f"no engine is called {name}: known are {known}", name=name)
    wanted = form["alone"] or form["version"] or ""
    fitting = [version for version in engine.versions if _fits(version, wanted)]
    if not fitting:
        raise errors.NotFound(
            f"the catalog has no {name} {wanted}: it has {', '.join(engine.versions)}",
            name=name,
            version=wanted,
        )
    return Release(engine=engine, version=max(fitting, key=order), arch=arch)


def releases(catalog: Catalog, arch: str) -> tuple[Release, ...]:
    """All of the catalog for one architecture, in its order."""
    return tuple(Release(engine, version, arch) for engine in catalog.engines for version in engine.versions)


def order(version: str) -> tuple[int, ...]:
    """A key that sorts versions by their numbers; text counts as nothing."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


def _fits(version: str, wanted: str) -> bool:
    return not wanted or version == wanted or version.startswith(f"{wanted}.")
