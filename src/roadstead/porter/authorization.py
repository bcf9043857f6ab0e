"""What names of the house's own may do in a cluster: API servers ask about them alone. Pure.

Source: Kubernetes, "Webhook Mode" of authorization, and the SubjectAccessReview API, v1. A name proves nothing, as who
administers a cluster can approve a certificate for any. What counts is the certificate itself: API servers tell its
digest (`authentication.kubernetes.io/credential-id`, KEP-740), and serve left here which ones it made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from roadstead.contract import kubernetes
from roadstead.contract.messages.sections import webhooks

API = "authorization.k8s.io/v1"


class Attributes(msgspec.Struct, frozen=True):
    """What of a resource is asked for, as far as it is read."""

    verb: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""


class AccessReviewSpec(msgspec.Struct, frozen=True):
    """Who asks, and for what. Without `resourceAttributes` it is a path."""

    user: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}
    resourceAttributes: Attributes | None = None


class AccessReview(msgspec.Struct, frozen=True):
    """A SubjectAccessReview as far as it is read."""

    apiVersion: Literal["authorization.k8s.io/v1"]
    kind: Literal["SubjectAccessReview"]
    spec: AccessReviewSpec = AccessReviewSpec()


@dataclass(frozen=True)
class Decision:
    """Neither allowed nor denied: whoever is asked next decides, which is RBAC."""

    allowed: bool = False
    denied: bool = False
    reason: str = ""


NO_OPINION = Decision()


def decided(asked: AccessReviewSpec, cluster: webhooks.Cluster) -> Decision:
    """What is answered about names of ours; no opinion about all others."""
    what = asked.resourceAttributes
    if what is not None and (name := _impersonated(what, cluster)):
        return Decision(denied=True, reason=f"{name} is Roadstead's own and cannot be impersonated")
    shown = asked.extra.get(kubernetes.CREDENTIAL, ())
    for group in asked.groups:
        if group.startswith(kubernetes.OURS) or (shown and group.startswith(kubernetes.POLICY_GROUP)):
            return Decision(denied=True, reason=f"the group {group} is Roadstead's to give, and no certificate has it")
    if not asked.user.startswith(kubernetes.OURS):
        return NO_OPINION
    if len(shown) != 1 or shown[0] not in cluster.credentials.get(asked.user, ()):
        return Decision(denied=True, reason=f"{asked.user} is Roadstead's own, and this is no credential of it")
    return Decision(allowed=True) if asked.user == kubernetes.SERVE else NO_OPINION


def answered(review: AccessReview, cluster: webhooks.Cluster) -> tuple[Decision, dict[str, object]]:
    """What is decided, and the review with its status."""
    decision = decided(review.spec, cluster)
    status: dict[str, object] = {"allowed": decision.allowed}
    if decision.denied:
        status["denied"] = True
    if decision.reason:
        status["reason"] = decision.reason
    return decision, {"apiVersion": review.apiVersion, "kind": review.kind, "status": status}


def _impersonated(what: Attributes, cluster: webhooks.Cluster) -> str:
    """The name of ours, or what stands for it, that somebody wants to have; empty where it is none.

    Verbs are `impersonate` and, by KEP-5284, `impersonate:MODE`; `impersonate-on:MODE:VERB` is of the object.
    """
    if what.verb != "impersonate" and not what.verb.startswith("impersonate:"):
        return ""
    if what.resource in ("users", "groups", "uids") and what.name.startswith(kubernetes.OURS):
        return what.name
    if (what.resource, what.subresource) == ("userextras", kubernetes.CREDENTIAL):
        return next((user for user, ids in cluster.credentials.items() if what.name in ids), "")
    return ""
