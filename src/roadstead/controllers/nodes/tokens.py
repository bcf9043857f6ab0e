"""Bootstrap tokens: by its own, a node without a certificate asks for one.

Source: Kubernetes, "Authenticating with Bootstrap Tokens". The API server refuses a token past its `expiration`; so a
token that we no longer look after ends by itself.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import functools
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from roadstead.controllers.runtime import controller, targets
from roadstead.kube import applying, connection, resources
from roadstead.kube.resources import Json

NAMESPACE = "kube-system"
LABEL = "roadstead.dev/bootstrap"
BOOTSTRAPPERS = "system:bootstrappers:roadstead"
"""The group of nodes that have nothing but their token yet, beside `system:bootstrappers`."""
OURS = connection.Select(namespace=NAMESPACE, labels=LABEL)

LIFE = 24 * 3600.0
"""Seconds that a token is good for from the time it was written."""
RENEWED = LIFE / 2
"""It is written anew when less than this is left."""
_AGAIN = 3600.0


@dataclass(frozen=True)
class Plan:
    """What to do, and what is good already."""

    apply: tuple[Json, ...]
    delete: tuple[str, ...]
    """Names of Secrets in NAMESPACE."""


def plan(nodes: Mapping[str, targets.ExpectedNode], there: Iterable[Json], now: float) -> Plan:
    """From the expected nodes and the Secrets that are there (`OURS`); now: seconds since 1970.

    A node that is to go keeps no token.
    """
    wanted = {
        resources.name(secret): secret
        for name, expected in nodes.items()
        if expected.leave is None
        for secret in (_secret(name, expected, now + LIFE),)
    }
    found = {resources.name(secret): secret for secret in there}
    return Plan(
        apply=tuple(
            secret for name, secret in wanted.items() if name not in found or not _good(found[name], secret, now)
        ),
        delete=tuple(name for name in found if name not in wanted),
    )


async def _work(cluster: controller.Cluster, _: str) -> float:
    there, _ = await cluster.connection.list(resources.SECRETS, OURS)
    todo = plan(cluster.target.nodes, there, cluster.now())
    await applying.apply_all(cluster.connection, todo.apply)
    for name in todo.delete:
        await cluster.connection.delete(resources.SECRETS, name, NAMESPACE)
    return _AGAIN


CONTROLLER = controller.Controller(
    named=lambda _: "bootstrap tokens",
    wakes=controller.all_at_once(operator.attrgetter("nodes")),
    work=lambda cluster: functools.partial(_work, cluster),
)


def _secret(node: str, expected: targets.ExpectedNode, until: float) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": f"bootstrap-token-{expected.token_id}",
            "namespace": NAMESPACE,
            "labels": {LABEL: expected.instance},
        },
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "description": f"Node {node} asks for its certificate by this token.",
            "token-id": expected.token_id,
            "token-secret": expected.token_secret,
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": BOOTSTRAPPERS,
            "expiration": dt.datetime.fromtimestamp(until, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }


def _good(found: Json, wanted: Json, now: float) -> bool:
    has = {name: _text(value) for name, value in (found.get("data") or {}).items()}
    is_to_have: dict[str, str] = wanted["stringData"]
    same = all(has.get(name) == value for name, value in is_to_have.items() if name != "expiration")
    try:
        until = dt.datetime.strptime(has.get("expiration", ""), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return False
    return same and until - now > RENEWED


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
