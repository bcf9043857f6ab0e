"""`roadstead load image ARCHIVE... --cluster NAME`: images from files into all nodes of a cluster, without a registry.

The agent does it, on all nodes side by side, by typed jobs; serve takes no part. An archive may have 8 GiB, which is
what the agent keeps of one blob, and the time that an import may take grows with it (messages.jobs.longest).
"""

from __future__ import annotations

import json
import secrets
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from roadstead.agent_client import Client
from roadstead.core import errors, instance
from roadstead.machine import caller
from roadstead.machine.services import names
from roadstead.messages import jobs, observed

_LOOK_EVERY = 0.1
"""Seconds. Jobs cannot be watched."""

NodesOf = Callable[[str], tuple[str, ...]]
"""A cluster's name to the ids of its nodes' hosts at the agent. Raises NotFound for an unknown cluster."""


@dataclass(frozen=True)
class Archive:
    """A file that containerd can import, and the names of the images in it."""

    file: Path
    form: str
    """`oci`, or `docker` for what `docker save` writes."""
    images: tuple[str, ...]


@dataclass(frozen=True)
class Loaded:
    """How it went for one archive on one node."""

    node: str
    archive: str
    images: tuple[str, ...]
    state: str
    """`done` or `failed`."""
    seconds: float
    reason: str


@click.group()
def load() -> None:
    """Bring something into a cluster from this machine."""


@load.command()
@click.argument(
    "archives",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="ARCHIVE...",
)
@click.option("--cluster", "-c", required=True, help="Name of the cluster.")
@click.option("--region", "-r", help="Its region; needed when two regions have a cluster of that name.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@caller.instance_option
def image(archives: tuple[Path, ...], cluster: str, region: str | None, output: str, instance_id: str) -> None:
    """Load the images in ARCHIVE... into all nodes of a cluster. An archive is an OCI layout or a `docker save`."""
    places = instance.Instance.named(instance_id)
    client = Client(places.socket, timeout=600)
    read = tuple(archive(file) for file in archives)

    def nodes_of(name: str) -> tuple[str, ...]:
        return hosts_of(names.cluster_id(names.ids(places), name, region), client.wanted())

    results: list[Loaded] = []
    for result in into(client, read, cluster, nodes_of):
        results.append(result)
        if output == "text":
            click.echo(line(result))
    if output == "json":
        click.echo(json.dumps([asdict(result) for result in results]))
    if failed := [result for result in results if result.state != "done"]:
        raise errors.Failed(
            f"{len(failed)} of {len(results)} imports failed; the first, on {failed[0].node}: {failed[0].reason}",
            output=failed[0].reason,
        )


def line(result: Loaded) -> str:
    """One result for a human."""
    how = f"loaded in {result.seconds:.1f} s" if result.state == "done" else f"failed: {result.reason}"
    return f"{result.node}\t{', '.join(result.images)}\t{how}"


def into(client: Client, archives: tuple[Archive, ...], cluster: str, nodes_of: NodesOf) -> Iterator[Loaded]:
    """Start all imports, and answer each when it has ended. Raises NotFound for a cluster without nodes."""
    nodes = nodes_of(cluster)
    if not nodes:
        raise errors.NotFound(f"cluster {cluster} has no nodes: an image needs one to be loaded into", cluster=cluster)
    engines = containerds(nodes, client.wanted())
    call = secrets.token_hex(4)
    began = time.monotonic()
    waiting: dict[str, tuple[str, Archive]] = {}
    for one in archives:
        digest = client.keep_blob(one.file)
        for node in nodes:
            # Another call is another job: between two an image may have been removed.
            id = f"load-{call}.{digest.removeprefix('sha256:')[:16]}.{node}"
            client.start_job(id, jobs.ImageImport(host=node, engine=engines[node], archive=digest))
            waiting[id] = (node, one)
    longest = patience(archives)
    while waiting:
        for id, result in _ended(client, tuple(waiting)):
            node, one = waiting.pop(id)
            seconds = round(time.monotonic() - began, 1)
            yield Loaded(node, str(one.file), one.images, result.state, seconds, result.reason or "")
        if waiting and time.monotonic() - began > longest:
            late = ", ".join(sorted({node for node, _ in waiting.values()}))
            raise errors.Busy(
                f"after {longest:.0f} s images are still being loaded into {late}: see `roadstead status`"
            )
        if waiting:
            time.sleep(_LOOK_EVERY)


def patience(archives: Iterable[Archive]) -> float:
    """Seconds for all of one call: twice what the agent gives its jobs: when restarted it begins them again."""
    return 2 * sum(jobs.longest(one.file.stat().st_size) for one in archives)


def _ended(client: Client, ids: Iterable[str]) -> Iterator[tuple[str, observed.JobResult]]:
    for id in ids:
        result = client.job(id)
        if result.state != "running":
            yield id, result


def archive(file: Path) -> Archive:
    """What is in a file. Raises Invalid when containerd could not import it, or nothing could name what is in it."""
    try:
        with file.open("rb") as plain:
            _prove_plain(file, plain)
            with tarfile.open(fileobj=plain, mode="r:*") as opened:
                form, images = _contents({_clean(member.name): member for member in opened}, opened)
    except (tarfile.TarError, msgspec.DecodeError, msgspec.ValidationError, EOFError, OSError) as error:
        raise errors.Invalid(f"{file} is no archive of images: {error}", file=file) from error
    if not form:
        raise errors.Invalid(
            f"{file} is a tar file, but no archive of images: it has neither index.json nor manifest.json", file=file
        )
    if not images:
        raise errors.Invalid(
            f"{file} names no image: save it again by name and tag, as `docker save NAME:TAG`", file=file
        )
    return Archive(file, form, images)


def _prove_plain(file: Path, opened: IO[bytes]) -> None:
    """Containerd must know the compression: none or gzip. Raises Invalid."""
    start = opened.read(6)
    opened.seek(0)
    for name, magic in (("xz", b"\xfd7zXZ\x00"), ("bzip2", b"BZh"), ("zstd", b"\x28\xb5\x2f\xfd")):
        if start.startswith(magic):
            raise errors.Invalid(f"{file} is compressed by {name}: unpack it first (gzip is understood)", file=file)


def _clean(name: str) -> str:
    return name.removeprefix("./")


class _Entry(msgspec.Struct):
    annotations: dict[str, str] = {}


class _Index(msgspec.Struct):
    manifests: list[_Entry] = []


class _Saved(msgspec.Struct, rename="pascal"):
    repo_tags: list[str] | None = None


def _contents(members: Mapping[str, tarfile.TarInfo], opened: tarfile.TarFile) -> tuple[str, tuple[str, ...]]:
    """The form and the images' names; containerd looks for the layout's index first, too."""

    def read(name: str, type_: Any) -> Any:
        content = opened.extractfile(members[name])
        return msgspec.json.decode(b"" if content is None else content.read(), type=type_)

    saved = read("manifest.json", list[_Saved]) if "manifest.json" in members else []
    tags = [tag for one in saved for tag in one.repo_tags or ()]
    if "index.json" in members and "oci-layout" in members:
        index: _Index = read("index.json", _Index)
        keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
        named = [next((one.annotations[key] for key in keys if key in one.annotations), "") for one in index.manifests]
        return "oci", tuple(dict.fromkeys(tags or filter(None, named)))
    return ("docker", tuple(dict.fromkeys(tags))) if "manifest.json" in members else ("", ())


def hosts_of(id: str, wanted: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    """The nodes' hosts of a cluster among all that the agent is to have."""
    return tuple(sorted(host for host in wanted.get("hosts", {}) if host.startswith(f"{id}.i-")))


def containerds(nodes: Iterable[str], wanted: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """The engine that each node's containerd is of. Raises Busy for a node that is not complete yet."""
    found: dict[str, str] = {}
    for node in nodes:
        unit = wanted.get("units", {}).get(f"{node}/containerd")
        if unit is None:
            raise errors.Busy(f"node {node} is still being made: try again when it is Ready", node=node)
        found[node] = str(unit["spec"]["engine"])
    return found
