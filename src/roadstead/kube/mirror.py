"""A watched copy of a list: listed once, then followed; listed anew only when the API server has forgotten its place.

The pattern is the reflector of Kubernetes' client-go: a watch is resumed at the last revision seen (bookmarks included)
and answers 410 when that is too old.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import loop
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

_WATCHING = 30
"""Seconds of one watch: a server that is frozen is left after that, and 5 more."""

BACKOFF = loop.Backoff(first=0.1, factor=1.5, most=5.0)
"""While no server answers. The first answer is waited for by people: short at first."""


class Mirror:
    """Objects of one resource by `resources.key`. `run` keeps it up until it is cancelled, and never gives up.

    changed: told the key of each object that came, changed or went, after the copy has it.
    told: None when the list or the watch goes well (again), the error when it does not; each time, but not for one
        failure alone: a watch is cut whenever its API server ends, and the next one goes on with it.
    """

    def __init__(
        self,
        connection: connections.Connection,
        resource: resources.Resource,
        *,
        select: connections.Select = connections.EVERYTHING,
        changed: Callable[[str], None],
        told: Callable[[errors.Error | None], None] = lambda _: None,
        clock: clocks.Clock | None = None,
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._select = select
        self._changed = changed
        self._told = told
        self._clock = clock or clocks.SystemClock()
        self._objects: dict[str, Json] = {}
        self._revision = ""
        self._failures = 0
        self.synced = asyncio.Event()
        """Set when it was listed for the first time."""

    @property
    def objects(self) -> Mapping[str, Json]:
        """By `resources.key`: the objects as they came last. Empty until it is `synced`."""
        return self._objects

    async def run(self) -> None:
        """Until it is cancelled: no failure ends it."""
        while True:
            try:
                if not self._revision:
                    await self._list()
                await self._follow()
            except errors.Gone:
                self._revision = ""
            except errors.Error as error:
                self._failures += 1
                if self._failures > 1:
                    self._told(error)
                await self._clock.wait(asyncio.Event(), self._clock.now() + BACKOFF.delay(self._failures))

    def _well(self) -> None:
        self._failures = 0
        self._told(None)

    async def _list(self) -> None:
        items, revision = await self._connection.list(self._resource, self._select)
        # A list leaves out what each of its items is.
        head = {"apiVersion": self._resource.version, "kind": self._resource.kind}
        now = {resources.key(item): {**head, **item} for item in items}
        before, self._objects, self._revision = self._objects, now, revision
        self.synced.set()
        self._well()
        for key in before.keys() | now.keys():
            if _revision(before.get(key)) != _revision(now.get(key)):
                self._changed(key)

    async def _follow(self) -> None:
        watching = self._connection.watch(self._resource, self._select, self._revision, _WATCHING)
        async with watching as events:
            self._well()
            async for event in events:
                self._take(event["type"], event["object"])

    def _take(self, kind: str, thing: Json) -> None:
        self._revision = thing["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            return
        key = resources.key(thing)
        if kind == "DELETED":
            self._objects.pop(key, None)
        else:
            self._objects[key] = thing
        self._changed(key)


def _revision(thing: Json | None) -> str | None:
    return None if thing is None else str(thing["metadata"].get("resourceVersion"))
