"""A node host: privileged, with a disk of its own, running a real containerd that runs a real container.

Cost: about 10 s, one build of containerd when it is not cached.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import conftest, fleet

from roadstead import engine
from roadstead.contract.messages import desired, jobs
from roadstead.engine import images
from roadstead.machine import shell

pytestmark = pytest.mark.live

CONFIG = """
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
"""


@pytest.fixture(scope="module")
def node(agent: conftest.RunningAgent) -> Iterator[conftest.RunningAgent]:
    built = engine.get("containerd").components
    net = fleet.network()
    unit = desired.Unit(
        engine="containerd",
        component="containerd",
        flags={"config": "/etc/units/containerd/config.toml"},
        environment={"PATH": "/engine/containerd:/usr/sbin:/usr/bin:/sbin:/bin"},
        files={"config.toml": desired.UnitFile(content=CONFIG)},
        ready=desired.CommandProbe(engine="containerd", component="ctr", arguments=("version",)),
    )
    host = fleet.host(
        0,
        "net",
        net,
        "node",
        disk=desired.Disk(kind="ext4", size=2 * 2**30),
        shape=desired.Shape(vcpus=4, memory=16 * 2**30),
    )
    put = fleet.put(
        1,
        networks={"net": net},
        engines={"containerd": agent.client.engine(built)},
        hosts={"n0": host},
        units={"n0/containerd": unit},
    )
    agent.client.accept(put)
    agent.client.wait_ready(40)
    yield agent
    fleet.delete_all(agent.client)


def test_an_image_is_imported_by_a_typed_job_and_runs(node: conftest.RunningAgent, tmp_path: Path) -> None:
    pause = engine.get("pause")
    archive = tmp_path / "pause.tar"
    images.write(images.pause(pause.components["pause"], pause.version, pause.arch), archive)
    digest = node.client.keep_blob(archive)
    node.client.start_job("import-pause", jobs.ImageImport(host="n0", engine="containerd", archive=digest))
    deadline = time.monotonic() + 30
    while (result := node.client.job("import-pause")).state == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert result.state == "done", result
    listed = inside(node, "ctr images list -q")
    assert "pause" in listed.stdout, listed
    name = listed.stdout.split()[0]
    ran = inside(node, f"ctr run -d {name} one && ctr task list")
    assert "RUNNING" in ran.stdout, ran
    gone = inside(node, "ctr task delete --force one; ctr container delete one")
    assert gone.returncode == 0, gone


def test_a_node_is_the_computer_that_its_type_says(node: conftest.RunningAgent) -> None:
    seen = inside(
        node, "getconf _NPROCESSORS_ONLN; awk '/MemTotal/ {print $2}' /proc/meminfo; df -k --output=size /var | tail -1"
    )
    processors, memory, disk = map(int, seen.stdout.split())
    assert processors == 4
    assert memory == 16 * 2**20
    assert 1.8 * 2**20 < disk <= 2 * 2**20


def inside(node: conftest.RunningAgent, script: str) -> subprocess.CompletedProcess[str]:
    """A script in the node's shell, as `roadstead shell n0` would run it."""
    script = f"export PATH=/engine/containerd:$PATH CONTAINERD_NAMESPACE=k8s.io; {script}"
    return subprocess.run(
        shell.inside(node.client.shell("n0"), ("/bin/sh", "-c", script), terminal=False),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
