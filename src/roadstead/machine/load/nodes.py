"""Archives into all nodes of a cluster, and what the nodes have of them then.

The agent does it, on all nodes side by side, by typed jobs. An archive may have 8 GiB, which is what the agent keeps of
one blob, and the time that an import may take grows with it (jobs.longest). An import that ended well is not
believed: when the last one of a node has ended, its containerd is asked which images pods can use.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roadstead.agent_client import Client
from roadstead.contract.messages import jobs, observed
from roadstead.core import errors
from roadstead.machine.load.archives import Archive

_LOOK_EVERY = 0.1
"""Seconds. Jobs cannot be watched."""
_SETTLES = 15.0
"""Seconds until an image must be known to the CRI, which hears of it by an event when it was imported."""

NodesOf = Callable[[str], tuple[str, ...]]
"""A cluster's name to the ids of its nodes' hosts at the agent. Raises NotFound for an unknown cluster."""


@dataclass(frozen=True)
class Loaded:
    """How it went for one archive on one node."""

    node: str
    archive: str
    images: tuple[str, ...]
    """Those that the node has, when it is `done`; else those in the archive."""
    state: str
    """`done` or `failed`."""
    seconds: float
    reason: str


@dataclass
class _Node:
    """One node meanwhile."""

    host: str
    engine: str
    began: float
    importing: dict[str, Archive] = field(default_factory=dict)
    """By the id of the job."""
    imported: list[Archive] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    """Ids of the jobs that asked what the node has; the last may be running."""
    first_look: float = 0.0


def into(client: Client, archives: tuple[Archive, ...], cluster: str, nodes_of: NodesOf) -> Iterator[Loaded]:
    """Start all imports, and answer each when it has ended. Raises NotFound for a cluster without nodes."""
    hosts = nodes_of(cluster)
    if not hosts:
        raise errors.NotFound(f"cluster {cluster} has no nodes: an image needs one to be loaded into", cluster=cluster)
    engines = containerds(hosts, client.wanted())
    # Another call is other jobs: between two an image may have been removed.
    call = secrets.token_hex(4)
    began = time.monotonic()
    waiting = [_Node(host, engines[host], began) for host in hosts]
    for one in archives:
        digest = client.keep_blob(one.plain)
        for node in waiting:
            id = f"load-{call}.{digest.removeprefix('sha256:')[:16]}.{node.host}"
            client.start_job(id, jobs.ImageImport(host=node.host, engine=node.engine, archive=digest))
            node.importing[id] = one
    longest = patience(archives)
    while waiting:
        for node in waiting:
            yield from _ended(client, node)
            yield from _seen(client, node, call)
        waiting = [node for node in waiting if node.importing or node.imported]
        if waiting and time.monotonic() - began > longest:
            late = ", ".join(sorted(node.host for node in waiting))
            raise errors.Busy(
                f"after {longest:.0f} s images are still being loaded into {late}: see `roadstead status`"
            )
        if waiting:
            time.sleep(_LOOK_EVERY)


def patience(archives: Iterable[Archive]) -> float:
    """Seconds for all of one call: twice what the agent gives its jobs: when restarted it begins them again."""
    return 2 * sum(jobs.longest(one.plain.stat().st_size) + jobs.longest() for one in archives)


def _ended(client: Client, node: _Node) -> Iterator[Loaded]:
    """Imports that failed; those that did not are to be seen."""
    for id, one in tuple(node.importing.items()):
        result = client.job(id)
        if result.state != "running":
            del node.importing[id]
            if result.state == "done":
                node.imported.append(one)
            else:
                yield _loaded(node, one, result.reason or "its import failed")


def _seen(client: Client, node: _Node, call: str) -> Iterator[Loaded]:
    """What the node has of what was imported, when all imports have ended and it was heard."""
    if node.importing or not node.imported:
        return
    result = client.job(node.looks[-1]) if node.looks else None
    if result is not None and result.state == "running":
        return
    has = frozenset(() if result is None else (result.output or "").split("\n"))
    lacking = {name for one in node.imported for name in one.images} - has
    if lacking and (result is None or time.monotonic() - node.first_look < _SETTLES):
        node.first_look = node.first_look or time.monotonic()
        node.looks.append(f"look-{call}.{len(node.looks)}.{node.host}")
        client.start_job(node.looks[-1], jobs.ImageList(host=node.host, engine=node.engine))
        return
    for one in node.imported:
        yield _loaded(node, one, lacks(one, has, result))
    node.imported.clear()


def lacks(archive: Archive, has: frozenset[str], look: observed.JobResult | None) -> str:
    """Why an archive that was imported is not there for pods; empty when it is."""
    missing = [name for name in archive.images if name not in has]
    if not missing:
        return ""
    if look is not None and look.state == "failed":
        return f"it was imported, but what the node has is not known: {look.reason}"
    return f"containerd imported it, and has no {', '.join(missing)} that pods could use"


def _loaded(node: _Node, archive: Archive, failure: str) -> Loaded:
    seconds = round(time.monotonic() - node.began, 1)
    return Loaded(node.host, str(archive.file), archive.images, "failed" if failure else "done", seconds, failure)


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
