"""The maker of a seed: has its engines, runs `roadstead.engine.seeds.main`, and takes what that wrote."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.core import errors
from roadstead.engine import catalog, download, process

if TYPE_CHECKING:
    from roadstead.engine import progress
    from roadstead.engine.settings import Settings

_TIMEOUT = 120.0


def make(release: catalog.Release, into: Path, settings: Settings, teller: progress.Teller) -> download.Made:
    """The seed of the release of Kubernetes that has this version. Raises NotFound for another machine's type."""
    # Only here: getting an engine knows all makers.
    from roadstead.engine import install

    seed = release.engine.seed
    assert seed is not None
    if release.arch != catalog.machine_arch():
        raise errors.NotFound(f"a seed is made by running its release, and this machine cannot run {release.arch}")
    kubernetes = install.get(f"kubernetes-{release.version}", listener=teller.listener, given=settings)
    etcd = install.get(seed.etcd, listener=teller.listener, given=settings)
    teller.line(f"running {kubernetes.id} on {etcd.id} for its first objects")
    programs = [
        str(kubernetes.components["kube-apiserver"]),
        *(str(etcd.components[name]) for name in ("etcd", "etcdctl")),
    ]
    # Of its own, since paths of sockets are short.
    folder = Path(tempfile.mkdtemp(prefix="roadstead-seed-"))
    try:
        process.run(
            [sys.executable, "-m", "roadstead.engine.seeds.main", *programs, str(into / release.engine.components[0])],
            folder=folder,
            environment={**settings.environment, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
            line=teller.passing,
            timeout=_TIMEOUT,
        )
    finally:
        shutil.rmtree(folder)
    return download.Made(
        origin=f"{kubernetes.id} on {etcd.id}", verified=f"made on this machine by {kubernetes.id} and {etcd.id}"
    )
