"""The suite and the programs in its images, by the Go and in the way that engines are built."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.vm import cabinet

from roadstead.engine import build, catalog, progress, recipe
from roadstead.engine import settings as engine_settings

MODULE = Path(__file__).parent / "programs"
SUITE = "e2e.test"
_SUITE = "k8s.io/kubernetes/test/e2e"
_IMAGES = "k8s.io/kubernetes/test/images"
PACKAGES = {
    "agnhost": f"{_IMAGES}/agnhost",
    "nonewprivs": f"{_IMAGES}/nonewprivs",
    "regression-issue-74839": f"{_IMAGES}/regression-issue-74839",
    "resource-consumer": f"{_IMAGES}/resource-consumer",
    "consume-cpu": f"{_IMAGES}/resource-consumer/consume-cpu",
    "sample-apiserver": "k8s.io/sample-apiserver",
}
"""What is built beside the suite, by the name of its file."""
_SECONDS = 7200.0


def release(version: str) -> catalog.Release:
    """Of Kubernetes: `1.37` is the newest patch that Roadstead has. Raises NotFound."""
    return catalog.resolve(catalog.load(), version, catalog.machine_arch())


def have(of: catalog.Release) -> Path:
    """The folder with `e2e.test` and PACKAGES of a release; made once, in a quarter of an hour."""
    modfile = MODULE / of.fill("go-{minor}.mod")
    if not modfile.is_file():
        raise cabinet.Failed(f"{modfile} is missing: there is no suite of Kubernetes {of.version} yet")
    sources = (modfile, modfile.with_suffix(".sum"), MODULE / "suite.go")
    name = cabinet.key(of.version, of.arch, *PACKAGES.values(), *(file.read_text() for file in sources))
    kind = f"suite-{of.fill('{minor}')}"
    return cabinet.have(kind, name, lambda folder: _make(of, modfile, folder))


def _make(of: catalog.Release, modfile: Path, folder: Path) -> None:
    print(f"building the suite of Kubernetes {of.version}: some minutes, once", flush=True)
    chosen = engine_settings.from_environment(os.environ)
    go = build.toolchain(recipe.go_wanted(modfile.read_text()), chosen, progress.Teller(SUITE, progress.silent))
    scratch = folder / ".go"
    scratch.mkdir()
    environment = {**os.environ, **recipe.environment(of, scratch)}
    for name, package in ((SUITE, _SUITE), *PACKAGES.items()):
        words = arguments(of, name, package, folder / name)
        cabinet.call(
            *("env", "-C", MODULE, go.command),
            *words,
            seconds=_SECONDS,
            log=folder / "build.log",
            environment=environment,
        )
    cabinet.remove(scratch)


def arguments(of: catalog.Release, name: str, package: str, output: Path) -> Sequence[str]:
    """After `go`. The engine's own flags: what was compiled for it is used again."""
    engine = of.engine.build
    assert engine is not None
    words = recipe.arguments(of, engine, recipe.Target(package, (name,)), output)
    return ["test", "-c", "-vet=off", *words[1:]] if name == SUITE else words
