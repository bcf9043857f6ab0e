"""Requests of nodes for certificates are approved or denied, as `csr` judges them.

What is denied is told, with why. A node's first certificate waits until an earlier Node of its name is deleted.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import operator
from typing import assert_never

from roadstead.controllers.nodes import csr, lifecycle
from roadstead.controllers.nodes import node as nodes
from roadstead.controllers.runtime import controller, outbox
from roadstead.core import errors
from roadstead.kube import connection as connections
from roadstead.kube import resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)


async def _work(cluster: controller.Cluster, name: str) -> None:
    """Raises Conflict when the request has changed since: it is judged anew."""
    request = cluster.objects(resources.SIGNING_REQUESTS).get(name)
    if request is None:
        return
    expected, where = cluster.target.nodes, cluster.target.system.name
    judgement = csr.judge(request, expected)
    match judgement:
        case csr.Wait():
            pass
        case csr.Refuse(reason):
            await _write(cluster.connection, request, "Denied", reason)
            log.warning("cluster %s: certificate request %s is denied: %s", where, name, reason)
            user = str(request["spec"].get("username") or "somebody")
            message = f"a certificate that {user} asked for is denied: {reason}"
            facts = {"user": user, "request": name}
            cluster.outbox.notice(outbox.Notice(reason="CertificateDenied", message=message, facts=facts))
        case csr.Approve(node, renewal):
            if not renewal:
                # A kubelet registers once, when it starts: an old Node is deleted before that, or never replaced.
                await _delete_earlier(cluster.connection, node, expected[node].instance)
            await _write(cluster.connection, request, "Approved", f"it is node {node}'s own")
            log.info("cluster %s: certificate request %s of node %s is approved", where, name, node)
        case _:
            assert_never(judgement)


CONTROLLER = controller.Controller(
    named="certificate request {}".format,
    watches=(resources.SIGNING_REQUESTS,),
    wakes=controller.each_object(resources.SIGNING_REQUESTS, operator.attrgetter("nodes")),
    work=lambda cluster: functools.partial(_work, cluster),
)


async def _delete_earlier(connection: connections.Connection, name: str, instance: str) -> None:
    try:
        node = await connection.get(resources.NODES, name)
    except errors.NotFound:
        return
    if nodes.another(node, instance):
        await lifecycle.delete(connection, node)


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
