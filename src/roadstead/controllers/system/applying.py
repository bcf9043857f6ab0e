"""The objects that every cluster has from Roadstead are put in place: the house's own, and the system's.

The system's are applied once per content: that is remembered by a digest in a ConfigMap of the cluster, so that a start
of serve changes nothing that its users have changed since. Only a new release of Kubernetes or of Roadstead does.
"""

from __future__ import annotations

import hashlib
import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import msgspec

from roadstead.controllers.runtime import controller, facts
from roadstead.controllers.system import rbac, state
from roadstead.core import errors
from roadstead.kube import applying, resources
from roadstead.kube import connection as connections
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

MARKER = "roadstead-system"
NAMESPACE = "kube-system"

_OWN, _SYSTEM = "own", "system"
"""The keys."""
_COMING = "the system's objects are being applied"

Objects: TypeAlias = Callable[[facts.SystemFacts], tuple[Json, ...]]
"""The system's objects, pure."""


def digest(objects: Sequence[Json], release: str) -> str:
    """Of the whole set; the order does not matter."""
    encoded = sorted(msgspec.json.encode(thing, order="sorted") for thing in objects)
    return hashlib.sha256(b"\n".join([release.encode(), *encoded])).hexdigest()


async def apply_once(connection: connections.Connection, objects: Sequence[Json], release: str) -> bool:
    """Apply a set unless it was applied before; whether it was applied now. Objects that left the set stay."""
    mark = digest(objects, release)
    try:
        seen = await connection.get(resources.CONFIG_MAPS, MARKER, NAMESPACE)
    except errors.NotFound:
        seen = {}
    if (seen.get("data") or {}).get("digest") == mark:
        return False
    await applying.apply_all(connection, objects)
    await connection.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MARKER, "namespace": NAMESPACE},
            "data": {"digest": mark, "release": release},
        }
    )
    return True


def controller_of(objects: Objects) -> controller.Controller:
    """Reports `state.Applied`."""
    return controller.Controller(
        named="{} objects".format,
        wakes=_wakes,
        work=lambda cluster: _Applying(cluster, objects).work,
        # What is there is not what is wanted any more, whoever answers.
        away=True,
    )


def _wakes(change: controller.Change, _: controller.View) -> Iterable[str]:
    if isinstance(change, controller.Began):
        return _OWN, _SYSTEM
    return (_SYSTEM,) if controller.anew(change, operator.attrgetter("system")) else ()


class _Applying:
    """In one cluster."""

    def __init__(self, cluster: controller.Cluster, objects: Objects) -> None:
        self._cluster = cluster
        self._objects = objects
        self._is_own_there = False
        self._there: facts.SystemFacts | None = None
        """What the system's objects that are there were made from."""
        self._told = state.Applied()

    async def work(self, key: str) -> None:
        self._tell()
        if not self._cluster.answering:
            return
        try:
            await (self._own() if key == _OWN else self._system())
        except errors.Error as error:
            self._tell(f"{key} objects: {error}")
            raise
        self._tell()

    async def _own(self) -> None:
        if not self._is_own_there:
            await applying.apply_all(self._cluster.connection, rbac.objects())
            self._is_own_there = True

    async def _system(self) -> None:
        wanted = self._cluster.target.system
        if wanted == self._there:
            return
        if await apply_once(self._cluster.connection, self._objects(wanted), wanted.release):
            log.info("cluster %s: the system's objects of %s are applied", wanted.name, wanted.release)
        self._there = wanted
        self._told = replace(self._told, at=self._cluster.clock.now())

    def _tell(self, reason: str = "") -> None:
        """reason: why it failed; it is told until it is another one, or everything is there."""
        whole = self._is_own_there and self._there == self._cluster.target.system
        self._told = replace(self._told, whole=whole, reason="" if whole else reason or self._told.reason or _COMING)
        self._cluster.outbox.report(self._told)
