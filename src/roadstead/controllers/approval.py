"""What is done at the API about a request for a certificate, and about a Node whose host is gone."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from typing import assert_never

from roadstead.controllers import csr, nodes, targets
from roadstead.core import errors
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)


async def decide(
    connection: connections.Connection, request: Json, expected: Mapping[str, targets.ExpectedNode], cluster: str
) -> csr.Judgement:
    """Judge a request and write the judgement into it, which is returned. Raises Conflict when it has changed since."""
    name = resources.name(request)
    judgement = csr.judge(request, expected)
    match judgement:
        case csr.Wait():
            pass
        case csr.Refuse(reason):
            await _write(connection, request, "Denied", reason)
            log.warning("cluster %s: certificate request %s is denied: %s", cluster, name, reason)
        case csr.Approve(node, renewal):
            if not renewal:
                # A kubelet registers once, when it starts: an old Node is deleted before that, or never replaced.
                await _delete_earlier(connection, node, expected[node].instance)
            await _write(connection, request, "Approved", f"it is node {node}'s own")
            log.info("cluster %s: certificate request %s of node %s is approved", cluster, name, node)
        case _:
            assert_never(judgement)
    return judgement


async def delete_node(connection: connections.Connection, node: Json) -> None:
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


async def _delete_earlier(connection: connections.Connection, name: str, instance: str) -> None:
    try:
        node = await connection.get(resources.NODES, name)
    except errors.NotFound:
        return
    if nodes.another(node, instance):
        await delete_node(connection, node)


async def _write(connection: connections.Connection, request: Json, kind: str, message: str) -> None:
    status = request.get("status") or {}
    condition = {
        "type": kind,
        "status": "True",
        "reason": f"Roadstead{kind}",
        "message": message,
        "lastUpdateTime": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    decided = {**request, "status": {**status, "conditions": [*(status.get("conditions") or ()), condition]}}
    try:
        await connection.replace(decided, "approval")
    except errors.NotFound:
        return
