"""A containerd of the agent's own, for as long as it takes to import archives into a folder.

In namespaces of its own: nobody else sees what it mounts, which goes with it, and it reaches nobody. Source:
containerd 2.3, docs/ops.md (root, state, disabled plugins), docs/PLUGINS.md.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from roadstead.agent.hosts import folders
from roadstead.agent.stores import children
from roadstead.contract import layout
from roadstead.core import errors

KEPT = (
    "io.containerd.content.v1.content",
    "io.containerd.metadata.v1.bolt",
    "io.containerd.snapshotter.v1.overlayfs",
)
"""The folders of images. Beside them is what must differ from node to node: a containerd's own id."""

LONGEST = 60.0
"""Seconds, for all of it."""
_PAUSE = 0.01
"""Between two tries to connect: it tells nobody when it listens."""
_SAID = 400

# No part of it but that which keeps images: what talks to kubelet looks for networks and starts servers, and the other
# snapshotters make what nodes do not use.
_WITHOUT = (
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.grpc.v1.cri",
    "io.containerd.nri.v1.nri",
    "io.containerd.snapshotter.v1.blockfile",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.erofs",
    "io.containerd.snapshotter.v1.native",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)


@dataclass(frozen=True)
class Ingredients:
    """What a store is made of: two programs of one engine, and archives."""

    containerd: Path
    ctr: Path
    archives: tuple[Path, ...]


async def make(of: Ingredients, into: Path, scratch: Path) -> None:
    """Imports all archives into the empty folder `into`. Raises Failed with the words of the program that failed.

    Configuration, socket and log are in the empty folder `scratch`, whose path is short, as those of sockets must be.
    """
    try:
        async with asyncio.timeout(LONGEST):
            await _make(of, into, scratch)
    except TimeoutError as error:
        raise errors.Failed(f"it took more than {LONGEST:g} s", said=_said(scratch)) from error


async def _make(of: Ingredients, into: Path, scratch: Path) -> None:
    config, address = scratch / "config.toml", scratch / "sock"
    config.write_text(configuration(into, scratch, address))
    words = ("unshare", "--mount", "--net", of.containerd, "--config", config)
    with _log(scratch).open("wb") as log:
        async with children.running(words, log.fileno()) as process:
            await _listens(process, address, scratch)
            for archive in of.archives:
                await children.done(import_command(of.ctr, address, archive), LONGEST)
            process.terminate()
            code = await process.wait()
    if code != 0:
        raise errors.Failed(f"containerd ended with {code}: {_said(scratch)}")
    if missing := [name for name in KEPT if not (into / name).is_dir()]:
        raise errors.Failed(f"containerd made no {', '.join(missing)}: {_said(scratch)}")
    for found in into.iterdir():
        if found.name not in KEPT:
            folders.remove(found)


def configuration(root: Path, scratch: Path, address: Path) -> str:
    """config.toml, version 3. Paths are the agent's own, and JSON's strings are TOML's."""
    return f"""version = 3
root = {json.dumps(str(root))}
state = {json.dumps(str(scratch / "state"))}
disabled_plugins = {json.dumps(list(_WITHOUT))}
[grpc]
address = {json.dumps(str(address))}
[plugins."io.containerd.internal.v1.opt"]
path = {json.dumps(str(scratch / "opt"))}
"""


def import_command(ctr: Path, address: Path, archive: Path) -> Sequence[str | Path]:
    """As jobs import, into kubelet's namespace of images."""
    return (ctr, "--address", address, "--namespace", layout.IMAGES, "images", "import", "--local", archive)


async def _listens(process: asyncio.subprocess.Process, address: Path, scratch: Path) -> None:
    while process.returncode is None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
            if tried.connect_ex(str(address)) == 0:
                return
        await asyncio.sleep(_PAUSE)
    raise errors.Failed(f"containerd ended with {process.returncode}: {_said(scratch)}")


def _log(scratch: Path) -> Path:
    return scratch / "log"


def _said(scratch: Path) -> str:
    try:
        return _log(scratch).read_bytes()[-_SAID:].decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
