"""A node's pods are asked to leave: cordon, then eviction, which respects PodDisruptionBudgets.

Source: Kubernetes, "API-initiated Eviction" and "Safely Drain a Node". As kubectl does, it leaves pods of DaemonSets
(they would come back), static pods and finished ones. Pods with emptyDir volumes and pods without an owner go, too:
their node goes for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from roadstead.contract import leaving
from roadstead.controllers.nodes import node as nodes
from roadstead.core import clock as clocks
from roadstead.core import concurrency, errors
from roadstead.kube import connection as connections
from roadstead.kube import mirror, resources
from roadstead.kube.resources import Json

_AGAIN = 2.0


class Eviction:
    """Of one node's pods. `run` works for a while, and may be run again; `stop` ends it: the node is to stay, or may go
    now.

    again: seconds until a refused eviction is asked for again, unless a pod of the node goes before.
    """

    def __init__(
        self, connection: connections.Connection, node: Json, clock: clocks.Clock | None = None, again: float = _AGAIN
    ) -> None:
        self._connection = connection
        self._node = node
        self._clock = clock or clocks.SystemClock()
        self._again = again
        self._moved = asyncio.Event()
        self._stopped = False

    def stop(self) -> None:
        """`run` asks no further pod to go, and returns what is left."""
        self._stopped = True
        self._moved.set()

    async def run(
        self, seconds: float, *, leave: leaving.Leave = leaving.Leave.MOVED, dead: bool = False
    ) -> tuple[str, ...]:
        """Cordon the node and have its pods leave, for at most `seconds`. One sentence for each that is left.

        leave: they are evicted to be MOVED, and deleted to be ENDED, each with its own time for it.
        dead: nobody is there to end them. They are asked to go, and not waited for.
        Raises NotFound when there is no such Node, and what the connection raises when the API is away from the start;
        later it is tried until the time is over.
        """
        until = self._clock.now() + seconds
        name = resources.name(self._node)
        if (change := nodes.cordon(self._node)) is not None:
            await self._connection.patch(resources.NODES, name, change)
        pods = mirror.Mirror(
            self._connection,
            resources.PODS,
            select=connections.Select(fields=f"spec.nodeName={name}"),
            changed=lambda _: self._moved.set(),
            clock=self._clock,
        )
        watching = asyncio.create_task(pods.run())
        try:
            await self._clock.wait(pods.synced, until)
            return await self._until(pods, until, leave is leaving.Leave.MOVED, dead)
        finally:
            await concurrency.end(watching)

    async def _until(self, pods: mirror.Mirror, until: float, evict: bool, dead: bool) -> tuple[str, ...]:
        while True:
            self._moved.clear()
            refusals = await self._ask(to_ask(pods.objects.values()), evict)
            left = to_leave(pods.objects.values())
            if pods.synced.is_set() and (dead or not left):
                return ()
            if self._stopped or self._clock.now() >= until:
                held = (refusals.get(resources.key(pod), f"pod {resources.key(pod)} has not ended") for pod in left)
                return tuple(held) or ("its pods could not be listed",)
            await self._clock.wait(self._moved, min(until, self._clock.now() + self._again))

    async def _ask(self, pods: Iterable[Json], evict: bool) -> dict[str, str]:
        """Each to go; by the pod's key one sentence for those that were refused."""
        refusals: dict[str, str] = {}
        for pod in pods:
            if self._stopped:
                break
            key = resources.key(pod)
            try:
                await (self._evict(pod) if evict else self._delete(pod))
            except errors.NotFound:
                continue
            except errors.Error as error:
                refusals[key] = f"pod {key}: {error.facts.get('causes') or error.message}"
        return refusals

    async def _evict(self, pod: Json) -> None:
        meta = {"name": resources.name(pod), "namespace": pod["metadata"]["namespace"]}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        await self._connection.create(eviction, (meta["name"], "eviction"))

    async def _delete(self, pod: Json) -> None:
        meta = pod["metadata"]
        await self._connection.delete(resources.PODS, meta["name"], meta["namespace"], uid=meta["uid"])


def to_leave(pods: Iterable[Json]) -> list[Json]:
    """The pods that a node is drained of."""
    return [pod for pod in pods if _goes(pod)]


def to_ask(pods: Iterable[Json]) -> list[Json]:
    """Those that have not been asked yet."""
    return [pod for pod in pods if _goes(pod) and not pod["metadata"].get("deletionTimestamp")]


def _goes(pod: Json) -> bool:
    meta = pod["metadata"]
    finished = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    static = "kubernetes.io/config.mirror" in (meta.get("annotations") or {})
    owners = {owner.get("kind") for owner in meta.get("ownerReferences") or () if owner.get("controller")}
    return not finished and not static and "DaemonSet" not in owners
