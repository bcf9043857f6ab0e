"""A real registry in the world behind a machine: Debian's docker-registry, with a certificate of a private authority.

The program is found on PATH or where `tests/run` lays it: taken out of the package, which is not installed, since
that would start a registry on this machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import authorities
from tests.live import conftest, network_lab, node_lab, pod_lab

from roadstead import engine
from roadstead.agent.links import namespaces
from roadstead.clusters.components import registries
from roadstead.engine import images
from roadstead.engine import settings as engine_settings

PROGRAM = "docker-registry"
NAME, PORT = "registry.example", 5443


MIRRORED = "registry.test:5000"
"""A registry that has no name anywhere: only its mirror can have given an image of it."""


def program() -> str:
    """Fails where there is none: a test that is left out shows nothing."""
    laid = engine_settings.from_environment(os.environ).cache / "tests" / "usr" / "bin"
    found = shutil.which(PROGRAM, path=f"{os.environ['PATH']}:{laid}")
    if found is None:
        pytest.fail(f"there is no {PROGRAM}: `tests/run live` gets it, and so does installing the package of that name")
    return found


def pause() -> images.Image:
    """What holds a pod's namespaces."""
    made = engine.get("pause")
    return images.pause(made.components["pause"], made.version, made.arch)


def image() -> images.Image:
    """The one that is pushed, as `pause:1`. Another than that: kubelet takes what it once pulled for somebody's alone,
    under all of its names.
    """
    return dataclasses.replace(pause(), environment={"FROM": NAME})


@contextlib.contextmanager
def world(agent: conftest.RunningAgent) -> Iterator[Path]:
    """A namespace behind the machine's."""
    machine = agent.places.machine_netns
    assert machine is not None
    netns = machine.with_name(f"{machine.name}-world")
    try:
        namespaces.create(netns)
        pod_lab.connect(machine, netns)
        yield netns
    finally:
        namespaces.delete(netns)


@contextlib.contextmanager
def registry(netns: Path, authority: authorities.Authority, folder: Path) -> Iterator[list[str]]:
    """A registry in the world; the command by which it is spoken to."""
    leaf = authority.issue(NAME, names=(NAME,))
    for name, content in (("ca", authority.pem), ("pem", leaf.certificate), ("key", leaf.key)):
        (folder / name).write_bytes(content)
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "store")}},
        "http": {"addr": f":{PORT}", "tls": {"certificate": str(folder / "pem"), "key": str(folder / "key")}},
    }
    (folder / "registry.yml").write_text(json.dumps(settings))
    enter = ["nsenter", f"--net={netns}"]
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen([*enter, program(), "serve", folder / "registry.yml"], stdout=log, stderr=log)
    try:
        at = ["--cacert", str(folder / "ca"), "--resolve", f"{NAME}:{PORT}:{network_lab.WORLD}"]
        curl = [*enter, "curl", "-sSf", *at]
        deadline = time.monotonic() + 30
        while subprocess.run(
            [*curl, "--max-time", "5", f"https://{NAME}:{PORT}/v2/"], capture_output=True, check=False
        ).returncode:
            assert time.monotonic() < deadline, (folder / "registry.log").read_text()
            time.sleep(0.05)
        yield curl
    finally:
        process.kill()
        process.wait(10)


@contextlib.contextmanager
def known(folder: Path) -> Iterator[node_lab.Lab]:
    """A node of an agent of its own, with the registry behind its machine as a mirror; the pause image is in both."""
    authority = authorities.Authority("private")
    of = registries.Registries(mirrors={MIRRORED: (f"https://{NAME}:{PORT}",)}, authorities=authority.pem.decode())
    with (
        conftest.running_agent(folder) as agent,
        world(agent) as netns,
        registry(netns, authority, folder) as curl,
    ):
        push(curl, image(), folder)
        with node_lab.running(agent, folder, of=of, names={network_lab.WORLD: (NAME,)}) as lab:
            lab.import_image(pause(), "pause")
            yield lab
        log = agent.log.read_text()
        assert "Traceback" not in log, log[-6000:]


def push(curl: list[str], image: images.Image, folder: Path) -> None:
    """`pause:1`, by the registry's API. Source: OCI distribution specification 1.1, "Push"."""
    archive, layout = folder / "push.tar", folder / "layout"
    images.write(image, archive)
    with tarfile.open(archive) as tar:
        tar.extractall(layout, filter="data")
    at = f"https://{NAME}:{PORT}/v2/pause"
    (top,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = layout / "blobs" / top["digest"].replace(":", "/")
    parts = json.loads(manifest.read_text())
    for digest in (parts["config"]["digest"], *(layer["digest"] for layer in parts["layers"])):
        head = network_lab.run(*curl, "-X", "POST", "-D", "-", "-o", "/dev/null", f"{at}/blobs/uploads/")
        where = next(line.split()[1] for line in head.splitlines() if line.lower().startswith("location:"))
        blob = layout / "blobs" / digest.replace(":", "/")
        kind = ("-H", "Content-Type: application/octet-stream")
        network_lab.run(*curl, "-X", "PUT", *kind, "--data-binary", f"@{blob}", f"{where}&digest={digest}")
    kind = ("-H", f"Content-Type: {parts['mediaType']}")
    network_lab.run(*curl, "-X", "PUT", *kind, "--data-binary", f"@{manifest}", f"{at}/manifests/1")
