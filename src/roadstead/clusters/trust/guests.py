"""What those outside of the control plane are known by: serve, porter, nodes. Single secrets are derived, not kept."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass

from roadstead.clusters.components import facts
from roadstead.clusters.trust import authorities, kubeconfigs, roots
from roadstead.contract import kubernetes

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass(frozen=True)
class WebhookIdentity:
    """What porter serves API servers with, and knows them by: the bearer token of their requests."""

    certificate: bytes
    key: bytes
    bearer: str


def admin(trust: roots.Trust, now: dt.datetime) -> authorities.Credential:
    """The credential of serve: API servers ask porter, which knows this very certificate, and allows it everything."""
    subject = authorities.Subject(name=kubernetes.SERVE, usages=("client",))
    return authorities.leaf(trust.cluster, subject, now)


def webhook(at: facts.Topology, trust: roots.Trust, now: dt.datetime) -> WebhookIdentity:
    """For porter's webhook at `at.webhook`."""
    subject = authorities.Subject(name=kubernetes.WEBHOOK, hosts=(at.webhook,), usages=("server",))
    made = authorities.leaf(trust.cluster, subject, now)
    return WebhookIdentity(made.certificate, made.key, bearer(trust))


def bearer(trust: roots.Trust) -> str:
    """What API servers show at porter's webhook. The same for the life of the trust."""
    return _derived(trust, "doors").hex()


def node_bootstrap(trust: roots.Trust, node_id: str) -> tuple[str, str]:
    """A node's bootstrap token: its id (6 characters) and secret (16). The same for the life of the trust.

    Source of the form: Kubernetes, "Authenticating with bootstrap tokens".
    """
    number = int.from_bytes(_derived(trust, f"node/{node_id}"), "big")
    characters = []
    for _ in range(22):
        number, place = divmod(number, len(_LETTERS))
        characters.append(_LETTERS[place])
    text = "".join(characters)
    return text[:6], text[6:]


def bootstrap_kubeconfig(trust: roots.Trust, node: facts.Node) -> bytes:
    """With what a kubelet asks for its first certificate."""
    token = ".".join(node_bootstrap(trust, node.id))
    return kubeconfigs.of_token(node.api, trust.cluster.certificate, token)


def kube_proxy_kubeconfig(trust: roots.Trust, api: str, now: dt.datetime) -> bytes:
    """For the kube-proxies of all nodes, to the private endpoint; the user is known to Kubernetes' own roles."""
    subject = authorities.Subject(name="system:kube-proxy", usages=("client",))
    return kubeconfigs.of_certificate(api, authorities.leaf(trust.cluster, subject, now))


def _derived(trust: roots.Trust, purpose: str) -> bytes:
    return hmac.new(trust.master, f"{trust.cluster_id}/{purpose}".encode(), hashlib.sha256).digest()
