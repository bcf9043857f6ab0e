"""Several objects put in place by server-side apply, those that others name first."""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.core import concurrency
from roadstead.kube import connection as connections
from roadstead.kube.resources import Json

_AT_ONCE = 12
_FIRST = frozenset({"Namespace", "CustomResourceDefinition", "PriorityClass", "ServiceAccount"})
"""Kinds that others name: pods are refused while these are missing."""


async def apply_all(connection: connections.Connection, objects: Iterable[Json]) -> None:
    """Side by side, those that others name first. Raises the first error when all were tried."""
    things = tuple(objects)
    await concurrency.each(connection.apply, [thing for thing in things if thing["kind"] in _FIRST], _AT_ONCE)
    await concurrency.each(connection.apply, [thing for thing in things if thing["kind"] not in _FIRST], _AT_ONCE)
