"""Nodes are as they are wanted: those without a host are deleted, the others have what their nodegroup gives them.

Their drain is `drain`'s.
"""

from __future__ import annotations

import functools
import logging
import operator
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from roadstead.controllers.nodes import node as nodes
from roadstead.controllers.runtime import controller, outbox, targets
from roadstead.core import errors
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delete:
    """Its host is gone."""


@dataclass(frozen=True)
class Patch:
    """A JSON merge patch of a Node, or of that part of it."""

    change: Json
    part: str = ""


Step: TypeAlias = Delete | Patch | None


def decide(name: str, node: Json, target: targets.ClusterTarget, now: float) -> Step:
    """What is next for a Node that is there; None: nothing. now: seconds since 1970."""
    if nodes.is_left(name, node, target.nodes):
        return Delete()
    mine = target.nodes.get(name)
    if mine is None:
        return None
    if (change := nodes.change(node, mine)) is not None:
        return Patch(change)
    if (change := nodes.condition(node, mine, now)) is not None:
        return Patch(change, "status")
    return None


async def _work(cluster: controller.Cluster, name: str) -> None:
    node = cluster.objects(resources.NODES).get(name)
    if node is None:
        return
    match step := decide(name, node, cluster.target, cluster.now()):
        case Delete():
            await delete(cluster.connection, node)
            log.info("cluster %s: node %s is deleted: its host is gone", cluster.target.system.name, name)
            message = f"node {name} is deleted: its host is gone"
            cluster.outbox.notice(outbox.Notice(reason="NodeDeleted", message=message, facts={"node": name}))
        case Patch(change, part):
            await cluster.connection.patch(resources.NODES, name, change, part=part)
        case None:
            pass
        case _:
            assert_never(step)


CONTROLLER = controller.Controller(
    named="node {}".format,
    watches=(resources.NODES,),
    wakes=controller.each_object(resources.NODES, operator.attrgetter("nodes")),
    work=lambda cluster: functools.partial(_work, cluster),
)


async def delete(connection: connections.Connection, node: Json) -> None:
    """Delete a Node whose host is gone, and its pods at once.

    Nothing runs there any more, so nothing is waited for. Kubernetes itself would take a minute over it (pod garbage
    collection: 40 s of quarantine, looked at every 20 s).
    """
    name = resources.name(node)
    pods, _ = await connection.list(resources.PODS, connections.Select(fields=f"spec.nodeName={name}"))
    await connection.delete(resources.NODES, name, uid=nodes.uid(node))
    for pod in pods:
        meta = pod["metadata"]
        try:
            await connection.delete(resources.PODS, meta["name"], meta["namespace"], grace=0, uid=meta["uid"])
        except errors.Conflict:
            # Another pod of the same name, as of a StatefulSet, came by already.
            continue
