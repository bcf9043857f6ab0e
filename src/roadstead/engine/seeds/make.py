"""The maker of a seed: runs `roadstead.engine.seeds.main` in a folder of its own, and takes what that wrote."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.engine import catalog, process

if TYPE_CHECKING:
    from roadstead.engine import progress
    from roadstead.engine.settings import EngineSettings

_TIMEOUT = 120.0


def make(
    release: catalog.Release,
    programs: tuple[Path, Path, Path],
    into: Path,
    settings: EngineSettings,
    teller: progress.Teller,
) -> None:
    """The seed of the release of Kubernetes that has this version, by its kube-apiserver, an etcd and an etcdctl.

    Raises Failed.
    """
    # Paths of sockets are short, and a cache may be deep.
    folder = Path(tempfile.mkdtemp(prefix="roadstead-seed-"))
    words = [*(str(program) for program in programs), str(into / release.engine.components[0])]
    try:
        process.run(
            [sys.executable, "-m", "roadstead.engine.seeds.main", *words],
            folder=folder,
            environment={**settings.environment, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
            line=teller.passing,
            timeout=_TIMEOUT,
        )
    finally:
        shutil.rmtree(folder)
