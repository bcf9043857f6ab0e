"""Ending what is in cgroups of the kernel's own, in the forms that a mistake leaves them in."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.agent.hosts import cgroups, mounts

pytestmark = [pytest.mark.live, pytest.mark.machine]


@pytest.fixture
def top() -> Iterator[Path]:
    """A new cgroup of version 2, which hybrid machines have, too."""
    root = next((mount.point for mount in mounts.see() if mount.kind == "cgroup2"), None)
    if root is None:
        pytest.skip("no cgroup v2 is mounted on this machine")
    made = root / f"roadstead-test-{os.getpid()}"
    made.mkdir()
    yield made
    for folder in cgroups.descendants(made):
        folder.rmdir()


def test_whoever_is_in_a_threaded_cgroup_is_ended(top: Path) -> None:
    """It has no list of processes: read as an empty one, its processes would run for ever and it could not go."""
    host = top / "host"
    host.mkdir()
    (host / "cgroup.type").write_text("threaded")
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            (top / "cgroup.procs").write_text(str(process.pid))
            (host / "cgroup.threads").write_text(str(process.pid))
            with pytest.raises(OSError, match="not supported"):
                (host / "cgroup.procs").read_text()
            assert cgroups.members((host,)) == {process.pid}
            cgroups.kill((host,), time.monotonic() + 10)
            assert process.wait(10) == -9
        finally:
            process.kill()
    assert cgroups.remove((host,), time.monotonic() + 10) == [host]
