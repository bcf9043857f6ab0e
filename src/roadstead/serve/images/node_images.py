"""Nodes that run are given the images that every node has as this release has them, as new nodes are: by their units.

A nodegroup of which a node was drawn with others has its desired state put anew, as in `renewal`; the reconciler tells
its nodes again, and the agent imports what they lack while they run.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Awaitable, Callable

from roadstead.clusters import events, nodegroups, spec
from roadstead.clusters.allocation import names
from roadstead.contract import naming
from roadstead.contract.messages import desired
from roadstead.core import clock as clocks
from roadstead.core.loops import reconciler
from roadstead.provider import engine_supply, mirror
from roadstead.store import facts, following, interface, writes

log = logging.getLogger(__name__)

ALL = "the images of all nodes"
"""The one key of them."""
_COMING = 2.0
"""Seconds between two looks at images whose engines are fetched or built."""


class NodeImages:
    """`run` until cancelled. `archives`: digests of the images' archives, which the agent has from then on; raises
    engine_supply.Coming until there are any."""

    def __init__(
        self,
        store: interface.Store,
        known: mirror.AgentMirror,
        archives: Callable[[], Awaitable[tuple[str, ...]]],
        now: Callable[[], dt.datetime],
        clock: clocks.Clock,
    ) -> None:
        self._store = store
        self._mirror = known
        self._archives = archives
        self._now = now
        self._reconciler = reconciler.Reconciler(
            self._look,
            (
                following.anything(store, ALL, {nodegroups.KIND}),
                # What the agent has was read anew.
                reconciler.told(known.changes, lambda id: () if id else (ALL,)),
            ),
            log=log,
            clock=clock,
        )

    async def run(self) -> None:
        await self._reconciler.run()

    async def _look(self, _: str) -> float | None:
        await self._mirror.ready.wait()
        groups = (await interface.everything(self._store, kind=nodegroups.KIND)).items
        drawn = {group.key: found for group in groups if (found := await self._drawn(group))}
        if not drawn:
            # Nobody needs images, or what they are made of.
            return None
        try:
            archives = await self._archives()
        except engine_supply.Coming as coming:
            log.debug("the nodes' images: %s", coming.message)
            return _COMING
        for group in groups:
            if drawn.get(group.key, {archives}) != {archives}:
                message = "this release has other images for every node: those that run are given them as they run"
                await self._store.commit(
                    writes.Put(group.key, group.desired.body, writes.At(group.desired.generation)),
                    events.append(group.key, events.Event("NORMAL", "ImagesChanged", message), self._now().timestamp()),
                )
        return None

    async def _drawn(self, group: facts.State) -> set[tuple[str, ...]]:
        """The images that nodes which are to stay were drawn with for the group's current generation.

        One that was told of an earlier alone is told again anyway.
        """
        key, wanted = group.key, nodegroups.read(group.desired.body)
        cluster = await self._store.get(spec.key(key.account, key.region, wanted.cluster))
        if cluster is None:
            return set()
        id, found = names.cluster(cluster.key, cluster.desired.created), set()
        for part in nodegroups.expected(wanted):
            host = naming.host(id, names.instance(key, group.desired.created, part))
            kept = self._mirror.wanted.get(("units", f"{host}/kubelet"))
            if kept is None or kept.deleting or not isinstance(kept.spec, desired.Unit):
                continue
            if names.generation(kept.generation)[0] == group.desired.generation:
                found.add(kept.spec.images)
        return found
