"""Objects put in place by server-side apply; the system's once per content, remembered in the cluster itself.

What was applied is remembered by a digest in a ConfigMap, so that a start of serve changes nothing that its users have
changed since: only a new release of Kubernetes or of Roadstead does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from roadstead.core import concurrency, errors
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

MARKER = "roadstead-system"
NAMESPACE = "kube-system"

_AT_ONCE = 12
_FIRST = frozenset({"Namespace", "CustomResourceDefinition", "PriorityClass", "ServiceAccount"})
"""Kinds that others name: pods are refused while these are missing."""


def digest(objects: Sequence[Json], release: str) -> str:
    """Of the whole set; the order does not matter."""
    encoded = sorted(msgspec.json.encode(thing, order="sorted") for thing in objects)
    return hashlib.sha256(b"\n".join([release.encode(), *encoded])).hexdigest()


async def apply_all(connection: connections.Connection, objects: Iterable[Json]) -> None:
    """Side by side, those that others name first. Raises the first error when all were tried."""
    things = tuple(objects)
    await concurrency.each(connection.apply, [thing for thing in things if thing["kind"] in _FIRST], _AT_ONCE)
    await concurrency.each(connection.apply, [thing for thing in things if thing["kind"] not in _FIRST], _AT_ONCE)


async def apply_once(connection: connections.Connection, objects: Sequence[Json], release: str) -> bool:
    """Apply a set unless it was applied before; whether it was applied now. Objects that left the set stay."""
    mark = digest(objects, release)
    try:
        seen = await connection.get(resources.CONFIG_MAPS, MARKER, NAMESPACE)
    except errors.NotFound:
        seen = {}
    if (seen.get("data") or {}).get("digest") == mark:
        return False
    await apply_all(connection, objects)
    await connection.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MARKER, "namespace": NAMESPACE},
            "data": {"digest": mark, "release": release},
        }
    )
    return True
