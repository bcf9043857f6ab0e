"""A node's pods are asked to leave: cordon, then eviction, which respects PodDisruptionBudgets.

Source: Kubernetes, "API-initiated Eviction" and "Safely Drain a Node". As kubectl does, it leaves pods of DaemonSets
(they would come back), static pods and finished ones. Pods with emptyDir volumes and pods without an owner go, too:
their node goes for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.kube import connection as telephone
from roadstead.kube import mirror, resources
from roadstead.kube.resources import Json

_AGAIN = 2.0
"""Seconds until a refused eviction is asked for again, unless a pod of the node goes before."""


@dataclass(frozen=True)
class Drained:
    """How it ended. `blocked`: one sentence for each pod that is still there; none: nothing is left."""

    evicted: int
    blocked: tuple[str, ...] = ()


async def cordon(connection: telephone.Connection, node: str) -> None:
    """No new pods there. Raises NotFound when there is no such Node."""
    await connection.patch(resources.NODES, node, {"spec": {"unschedulable": True}})


async def drain(
    connection: telephone.Connection,
    node: str,
    seconds: float,
    *,
    alive: bool = True,
    clock: clocks.Clock | None = None,
) -> Drained:
    """Cordon the node and evict its pods, for at most `seconds`.

    alive: whether its kubelet answers; when not, pods that are asked to end never will, and are not waited for.
    Raises what the connection raises when the API is away from the start; later it is tried until the time is over.
    """
    clock = clock or clocks.SystemClock()
    until = clock.now() + seconds
    await cordon(connection, node)
    moved = asyncio.Event()
    pods = mirror.Mirror(
        connection,
        resources.PODS,
        select=telephone.Select(fields=f"spec.nodeName={node}"),
        changed=lambda _: moved.set(),
        clock=clock,
    )
    watching = asyncio.create_task(pods.run())
    try:
        await clock.wait(pods.synced, until)
        return await _evict(connection, pods, moved, until, alive, clock)
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _evict(
    connection: telephone.Connection,
    pods: mirror.Mirror,
    moved: asyncio.Event,
    until: float,
    alive: bool,
    clock: clocks.Clock,
) -> Drained:
    evicted: set[str] = set()
    while True:
        moved.clear()
        refusals = await _ask(connection, to_evict(pods.objects.values()), evicted)
        left = to_leave(pods.objects.values(), alive)
        if pods.synced.is_set() and not left:
            return Drained(len(evicted))
        if clock.now() >= until:
            blocked = [refusals.get(resources.key(pod), f"pod {resources.key(pod)} has not ended") for pod in left]
            return Drained(len(evicted), tuple(blocked) or ("its pods could not be listed",))
        await clock.wait(moved, min(until, clock.now() + _AGAIN))


async def _ask(connection: telephone.Connection, pods: Iterable[Json], evicted: set[str]) -> dict[str, str]:
    """Evict each; by the pod's key one sentence for those that were refused."""
    refusals: dict[str, str] = {}
    for pod in pods:
        key = resources.key(pod)
        meta = {"name": resources.name(pod), "namespace": pod["metadata"]["namespace"]}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        try:
            await connection.create(eviction, (meta["name"], "eviction"))
        except errors.NotFound:
            continue
        except errors.Error as error:
            refusals[key] = f"pod {key}: {error.facts.get('causes') or error.message}"
        else:
            evicted.add(str(pod["metadata"]["uid"]))
    return refusals


def to_leave(pods: Iterable[Json], alive: bool = True) -> list[Json]:
    """The pods that a node is drained of."""
    return [pod for pod in pods if _goes(pod) and (alive or not _ending(pod))]


def to_evict(pods: Iterable[Json]) -> list[Json]:
    """Those that have not been asked yet."""
    return [pod for pod in pods if _goes(pod) and not _ending(pod)]


def _goes(pod: Json) -> bool:
    meta = pod["metadata"]
    finished = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    static = "kubernetes.io/config.mirror" in (meta.get("annotations") or {})
    owners = {owner.get("kind") for owner in meta.get("ownerReferences") or () if owner.get("controller")}
    return not finished and not static and "DaemonSet" not in owners


def _ending(pod: Json) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))
