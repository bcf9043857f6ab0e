"""The images that a suite asks for, in one archive; and a registry that has them, for pods that always pull."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import tarfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.conformance import busybox, contents, debs, programs
from tests.live import registry_lab, world
from tests.vm import cabinet

from roadstead import engine
from roadstead.agent.links import namespaces
from roadstead.engine import catalog
from roadstead.engine import images as oci

MIRRORED = "registry.k8s.io"
PORT = 5000
ADDRESS = f"http://{world.WORLD}:{PORT}"
"""Of the registry, as nodes see it: a mirror of MIRRORED."""


def asked(suite: Path) -> tuple[str, ...]:
    """All names that a suite knows, whether conformance wants them or not."""
    done = subprocess.run([suite, "--list-images"], capture_output=True, text=True, check=True, timeout=120)
    return tuple(sorted({line.strip() for line in done.stdout.splitlines() if "/" in line}))


def have(of: catalog.Release, built: Path) -> Path:
    """An archive with all images of the suite in that folder that there is a recipe for; made once."""
    names = tuple(name for name in asked(built / programs.SUITE) if contents.recipe(name))
    texts = (Path(module).read_text() for module in (contents.__file__, debs.__file__, busybox.__file__))
    key = cabinet.key(built.name, *names, *texts)
    folder = cabinet.have(f"images-{of.fill('{minor}')}", key, lambda into: _make(of, built, names, into))
    return folder / "images.tar"


def _make(of: catalog.Release, built: Path, names: tuple[str, ...], folder: Path) -> None:
    print(f"making {len(names)} images: a minute, once", flush=True)
    engines = (engine.get(name) for name in ("etcd", "coredns", "pause"))
    found = {name: path for one in engines for name, path in one.components.items()}
    sources = contents.Sources(built, found, busybox.have(), folder / "trees")
    made = [image for name in names if (image := contents.image(name, sources, of.arch)) is not None]
    # Not compressed: on two processors that takes longer than all that it would save.
    oci.write_all(made, folder / "images.tar")
    cabinet.remove(folder / "trees")


@contextlib.contextmanager
def registry(netns: Path, archive: Path, folder: Path) -> Iterator[None]:
    """One out in the world, with all images: some cases pull what is there."""
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f":{PORT}"},
    }
    (folder / "registry.yml").write_text(json.dumps(settings))
    enter = ("nsenter", f"--net={netns}", "setpriv", "--pdeathsig=KILL", "--")
    with (folder / "registry.log").open("wb") as log:
        words = (*enter, registry_lab.program(), "serve", folder / "registry.yml")
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        with namespaces.opened(netns) as descriptor, namespaces.entered(descriptor):
            _until_answers(process)
            _push(archive)
        yield
    finally:
        process.kill()
        process.wait(10)


def _until_answers(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _ask("GET", "/v2/")
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise cabinet.Failed(f"the registry does not answer: {error}") from error
        # It says nothing when it begins to listen.
        time.sleep(0.1)


def _ask(method: str, path: str, body: bytes | IO[bytes] | None = None, kind: str = "application/octet-stream") -> str:
    """The address of what was made, for requests that make something. A connection for each."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": kind, **_sized(body)})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise cabinet.Failed(f"the registry: {method} {path}: {answer.status} {said.decode(errors='replace')}")
        return answer.getheader("Location", "")


def _sized(body: bytes | IO[bytes] | None) -> dict[str, str]:
    """A layer may be larger than the memory that one would like to take for it."""
    if body is None or isinstance(body, bytes):
        return {}
    size = body.seek(0, os.SEEK_END)
    body.seek(0)
    return {"Content-Length": str(size)}


def _push(archive: Path) -> None:
    """Source: OCI distribution specification 1.1, "Push"."""
    with tarfile.open(archive) as opened:

        def blob(digest: str) -> IO[bytes]:
            content = opened.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert content is not None
            return content

        index = opened.extractfile("index.json")
        assert index is not None
        for one in json.load(index)["manifests"]:
            name = one["annotations"]["io.containerd.image.name"].removeprefix(f"{MIRRORED}/")
            repository, _, tag = name.rpartition(":")
            manifest = blob(one["digest"]).read()
            parts = json.loads(manifest)
            for digest in (parts["config"]["digest"], *(layer["digest"] for layer in parts["layers"])):
                began = urllib.parse.urlsplit(_ask("POST", f"/v2/{repository}/blobs/uploads/"))
                _ask("PUT", f"{began.path}?{began.query}&digest={digest}", blob(digest))
            _ask("PUT", f"/v2/{repository}/manifests/{tag}", manifest, parts["mediaType"])
