"""The README's first command where nothing runs: it starts Roadstead, with engines, and goes on.

Ten seconds with engines in the cache; no cluster is made.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.live import conftest

from roadstead.agent.links import namespaces
from roadstead.core import instance
from roadstead.machine.services import engines
from roadstead.machine.supervision import see, tree

pytestmark = pytest.mark.live

STARTING = "Roadstead does not run here yet: `roadstead start`"
NO_SUCH_SUBNETS = ("--vpc-private-subnets", "subnet-0123456789abcdef0,subnet-0123456789abcdef1")
"""A cluster in them is refused by serve: it was asked, and makes nothing."""


def test_the_first_create_cluster_starts_roadstead(started_instance: instance.Instance, tmp_path: Path) -> None:
    places = started_instance
    environment = {**conftest.person(tmp_path / "home"), "ROADSTEAD_INSTANCE": places.id}

    def roadstead(*words: str, inside: bool = True) -> subprocess.CompletedProcess[str]:
        """In the namespace that stands for the machine's; outside for what needs the world."""
        command = ["nsenter", f"--net={places.machine_netns}", "--"] if inside else []
        command += [str(conftest.ROOT / "roadstead"), *words]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=900, check=False, cwd="/"
        )

    def runs() -> bool:
        return see.tree(tree.folder(places)).scanner is not None

    # What has to come from the world; the profile and the services are gone again.
    assert roadstead("engine", "get", "--all-needed", inside=False).returncode == 0
    words = ("--machine-netns", str(places.machine_netns), "--port", "4581", "--yes")
    done = roadstead("start", *words, inside=False)
    assert done.returncode == 0, done.stderr
    assert roadstead("stop").returncode == 0
    shutil.rmtree(tmp_path / "home" / ".aws")

    done = roadstead("get", "clusters")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "Error: Roadstead does not run on this machine (nothing answers at http://127.0.0.1:4581): `roadstead start`"
    )
    for nothing in (("--dry-run",), ("--nodse", "3"), ("--help",)):
        assert STARTING not in roadstead("create", "cluster", "--name", "c", *nothing).stderr
    # What can be foreseen to be refused is not begun either.
    done = roadstead("create", "cluster", "--name=_bad")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: validation for _bad failed")
    assert not runs()

    done = roadstead("create", "cluster", "--name", "c", *NO_SUCH_SUBNETS)
    assert done.stderr.splitlines()[0] == STARTING
    assert "InvalidSubnetID.NotFound" in done.stderr
    assert done.returncode == 1
    assert runs()
    # Its answer is its own: what start says goes where messages go.
    assert "instance " not in done.stdout
    assert roadstead("get", "clusters").stdout == "No clusters found\n"

    # Engines that the services have no longer are given to them again, and the rest stays as it is.
    assert engines.missing(None) == ()
    shutil.rmtree(tree.CACHE / "engines" / "pause")
    done = roadstead("create", "cluster", "--name", "c", *NO_SUCH_SUBNETS)
    assert STARTING not in done.stderr
    assert "getting the engines of the cluster: pause" in done.stderr
    assert engines.missing(None) == ()
    owner = (tree.CACHE / "engines" / "pause").stat().st_uid
    assert owner == tree.CACHE.stat().st_uid != 0


def test_namespaces_of_runs_that_were_killed_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / "namespaces"
    living = folder / f"t-1.{conftest.machine_namespace('t').name.partition('.')[2]}"
    # A pid that is somebody else's now: started at another time.
    dead = [folder / "t-2.1.7", folder / "t-3.4194305.1", folder / "t-3.4194305.1-world"]
    try:
        for path in (living, *dead):
            namespaces.create(path)
        conftest.sweep_namespaces(folder)
        assert list(folder.iterdir()) == [living]
        namespaces.delete(living)
        conftest.sweep_namespaces(folder)
        assert not folder.exists()
    finally:
        for path in (living, *dead):
            namespaces.delete(path)
        namespaces.unshare_folder(folder)
