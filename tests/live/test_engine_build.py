"""Real builds with the machine's Go: the etcd of the catalog, our own pause, and (the longest) Kubernetes."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from roadstead import engine as engines
from roadstead.engine import catalog, images, process, progress, settings

pytestmark = [pytest.mark.live, pytest.mark.machine]

SOURCE = Path(__file__).resolve().parents[2] / "src"
CUT_OFF = """
from roadstead import engine
engine.get("etcd", "build", lambda news: print(news.text, flush=True))
"""
QUIET = """
import os, pathlib, sys
from roadstead.engine import process
process.run(
    ["/bin/sh", "-c", "echo begun; sleep 60 & sleep 60"],
    folder=pathlib.Path("/"), environment=os.environ, line=lambda line: print(line, flush=True), timeout=60.0,
)
"""
CONTAINERD = """
version = 3
disabled_plugins = ["io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images", "io.containerd.grpc.v1.cri"]
root = "{folder}/root"
state = "{folder}/state"
[grpc]
address = "{folder}/grpc.sock"
[ttrpc]
address = "{folder}/ttrpc.sock"
"""


@pytest.fixture
def chosen(tmp_path: Path) -> settings.EngineSettings:
    """A cache of its own; Go's caches are the user's, so that a second run is quick."""
    return settings.from_environment({**os.environ, "ROADSTEAD_CACHE": str(tmp_path / "cache")})


def test_pause_is_the_same_bit_by_bit_wherever_it_is_built(chosen: settings.EngineSettings, tmp_path: Path) -> None:
    assert chosen.modules is not None
    shutil.copytree(chosen.modules / "pause", tmp_path / "elsewhere" / "deep" / "pause")
    other = dataclasses.replace(
        chosen,
        cache=tmp_path / "other",
        modules=tmp_path / "elsewhere" / "deep",
        environment={**chosen.environment, "GOCACHE": str(tmp_path / "go-cache"), "GOAMD64": "v3"},
    )
    one, two = engines.get("pause", "build", given=chosen), engines.get("pause", "build", given=other)
    assert one.components["pause"].read_bytes() == two.components["pause"].read_bytes()
    assert one.manifest == two.manifest
    archives = [tmp_path / "one.tar", tmp_path / "two.tar"]
    digests = {
        images.write(images.pause(built.components["pause"], built.version, built.arch), file)
        for built, file in zip((one, two), archives, strict=True)
    }
    assert len(digests) == 1


def test_pause_ends_when_it_is_told_to(chosen: settings.EngineSettings) -> None:
    with subprocess.Popen([engines.get("pause", given=chosen).components["pause"]]) as pause:
        # It waits for a signal when all of its threads sleep; before, a signal would end it by itself.
        asleep = 0
        deadline = time.monotonic() + 20
        while asleep < 3:
            assert pause.poll() is None
            assert time.monotonic() < deadline
            states = [
                path.read_text().rpartition(")")[2].split()[0]
                for path in Path(f"/proc/{pause.pid}/task").glob("*/stat")
            ]
            asleep = asleep + 1 if set(states) == {"S"} else 0
            time.sleep(0.05)
        pause.send_signal(signal.SIGTERM)
        assert pause.wait(10) == 0


def test_the_other_architecture_is_built_too(chosen: settings.EngineSettings) -> None:
    other = next(arch for arch in chosen.catalog.architectures if arch != catalog.machine_arch())
    built = engines.get("pause", "build", given=chosen, arch=other)
    header = built.components["pause"].read_bytes()[:20]
    machine = {"amd64": 62, "arm64": 183}  # e_machine of the ELF header
    assert int.from_bytes(header[18:20], "little") == machine[other]


def test_etcd_says_the_version_of_the_catalog(chosen: settings.EngineSettings) -> None:
    heard: list[progress.Progress] = []
    installed = engines.get("etcd", "build", heard.append, given=chosen)
    said = process.answer([str(installed.components["etcd"]), "--version"], chosen.environment)
    assert f"etcd Version: {installed.version}" in said
    said = process.answer([str(installed.components["etcdutl"]), "version"], chosen.environment)
    assert f"etcdutl version: {installed.version}" in said
    assert heard[-1].text.startswith("ready (build; sources by go.sum, Go ")
    assert list((chosen.cache / "work").iterdir()) == []


@contextmanager
def killed(code: str, begun: bytes, environment: Mapping[str, str]) -> Iterator[int]:
    """The session of a command whose owner was killed (-9) after a line with `begun`, the command at work."""
    owner = subprocess.Popen(
        [sys.executable, "-c", code], env={**environment, "PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    with owner, owner.stdout as lines:
        try:
            assert any(begun in line for line in lines)
            (guard,) = children_of(owner.pid)
            assert len(session(guard)) > 1
        finally:
            owner.kill()
    try:
        yield guard
    finally:
        for pid in session(guard):
            os.kill(pid, signal.SIGKILL)


def gone(leader: int) -> bool:
    """Whether all of a session ends within seconds."""
    deadline = time.monotonic() + 10
    while session(leader) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not session(leader)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def session(leader: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = stat.read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue
        if int(number) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_command_does_not_outlive_a_killed_owner() -> None:
    """One that says nothing: no broken pipe ends it."""
    with killed(QUIET, b"begun", os.environ) as guard:
        assert gone(guard)


def test_a_killed_build_leaves_nothing(chosen: settings.EngineSettings, tmp_path: Path) -> None:
    """Without Go's cache the build is long enough to be killed in the middle."""
    environment = {**chosen.environment, "GOCACHE": str(tmp_path / "go-cache")}
    with killed(CUT_OFF, b" packages: ", environment) as guard:
        assert gone(guard)
    assert engines.find("etcd", given=chosen) is None
    assert len(list((chosen.cache / "work").iterdir())) == 1
    engines.get("pause", given=chosen)
    assert list((chosen.cache / "work").iterdir()) == []


def test_two_processes_build_once(chosen: settings.EngineSettings) -> None:
    environment = {**chosen.environment, "ROADSTEAD_CACHE": str(chosen.cache), "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "roadstead.machine.main", "engine", "get", "pause"]
    builds = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [build.communicate(timeout=120) for build in builds]
    assert [build.returncode for build in builds] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert sum("building pause" in errors for _, errors in outputs) == 1


def test_kubernetes_prints_its_version(chosen: settings.EngineSettings) -> None:
    """From the user's own cache, and into it: built from nothing it takes minutes."""
    shared = settings.from_environment(os.environ)
    installed = engines.get("1.37", given=shared)
    said = process.answer([str(installed.components["kubelet"]), "--version"], chosen.environment)
    assert said == f"Kubernetes v{installed.version}\n"
    assert installed.version.startswith("1.37.")
    if installed.manifest.source == "build":
        assert installed.components["kubelet"].samefile(installed.components["kube-apiserver"])


def test_containerd_imports_our_images(chosen: settings.EngineSettings, tmp_path: Path) -> None:
    """A containerd in folders of its own; ctr checks each digest and unpacks."""
    shared = settings.from_environment(os.environ)
    containerd = engines.get("containerd", given=shared).components
    pause = engines.get("pause", given=chosen)
    archive = tmp_path / "pause.tar"
    images.write(images.pause(pause.components["pause"], pause.version, pause.arch), archive)
    config = tmp_path / "config.toml"
    config.write_text(CONTAINERD.format(folder=tmp_path))
    ctr = [str(containerd["ctr"]), "--address", str(tmp_path / "grpc.sock"), "--namespace", "test"]
    with (tmp_path / "log").open("wb") as log:
        daemon = subprocess.Popen([containerd["containerd"], "--config", config], stdout=log, stderr=log)
    with daemon:
        try:
            deadline = time.monotonic() + 20
            while not (tmp_path / "grpc.sock").exists() and daemon.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            assert (tmp_path / "grpc.sock").exists(), (tmp_path / "log").read_text()
            process.answer([*ctr, "images", "import", "--local", "--snapshotter", "native", str(archive)], os.environ)
            listed = process.answer([*ctr, "images", "check", "--snapshotter", "native"], os.environ)
        finally:
            daemon.terminate()
    (line,) = [line for line in listed.splitlines() if "roadstead.dev" in line]
    assert line.split()[0] == f"roadstead.dev/pause:{pause.version}"
    assert "complete (2/2)" in line
    assert line.split()[-1] == "true", "unpacked"
