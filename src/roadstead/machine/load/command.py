"""`roadstead load image ARCHIVE... --cluster NAME`, for a human."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from roadstead.agent_client import Client
from roadstead.core import errors, foreign, instance, terminal
from roadstead.machine import caller
from roadstead.machine.load import archives, nodes
from roadstead.machine.services import names

_COPIES = "/var/tmp"
"""Where copies are made: they may be large, and /tmp may be memory. The file hierarchy standard has it for such."""


@click.group()
def load() -> None:
    """Bring something into a cluster from this machine."""


@load.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="ARCHIVE...",
)
@click.option("--cluster", "-c", required=True, help="Name of the cluster.")
@click.option("--region", "-r", help="Its region; needed when two regions have a cluster of that name.")
@click.option("--name", metavar="NAME[:TAG]", help="Name of the image in an ARCHIVE that gives it none, or another.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@caller.instance_option
def image(
    files: tuple[Path, ...], cluster: str, region: str | None, name: str | None, output: str, instance_id: str
) -> None:
    """Load the images in ARCHIVE... into all nodes of a cluster.

    An archive is what docker, podman, skopeo, buildah, ko or ctr save, also compressed. What is said to be loaded is
    what the nodes' runtime has, by the name that pods find it by.
    """
    if name and len(files) > 1:
        raise errors.Invalid("--name is for one archive: load the others by themselves")
    places = instance.Instance.named(instance_id)
    client = Client(places.socket, timeout=600)

    def nodes_of(name: str) -> tuple[str, ...]:
        return nodes.hosts_of(names.cluster_id(names.ids(places), name, region), client.wanted())

    results: list[nodes.Loaded] = []
    with _copies() as folder:
        read = tuple(archives.read(file, Path(folder), name or "") for file in files)
        for result in nodes.into(client, read, cluster, nodes_of):
            results.append(result)
            if output == "text":
                terminal.out(line(result))
    if output == "json":
        terminal.out(json.dumps([asdict(result) for result in results]))
    if failed := [result for result in results if result.state != "done"]:
        raise errors.Failed(
            f"{len(failed)} of {len(results)} imports failed; the first, on {failed[0].node}: {failed[0].reason}",
            output=failed[0].reason,
        )


def _copies() -> tempfile.TemporaryDirectory[str]:
    where = os.environ.get("TMPDIR") or _COPIES
    try:
        return tempfile.TemporaryDirectory(prefix="roadstead-load-", dir=where)
    except OSError as error:
        raise errors.Failed(f"no copy can be made in {where} (TMPDIR chooses another place): {error}") from error


def line(result: nodes.Loaded) -> str:
    """One result for a human."""
    how = f"loaded in {result.seconds:.1f} s" if result.state == "done" else f"failed: {result.reason}"
    return "\t".join(map(foreign.line, (result.node, ", ".join(result.images), how)))
