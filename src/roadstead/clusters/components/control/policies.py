"""The policy files of an API server: who is let in unknown, who may do what before RBAC, what is written down."""

from __future__ import annotations

import json

HEALTH = ("/healthz", "/livez", "/readyz")
_ABAC = "abac.authorization.kubernetes.io/v1beta1"


def anonymous() -> str:
    """AuthenticationConfiguration: without credentials nothing but health. GA since Kubernetes 1.34 (KEP-4633)."""
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [],
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in HEALTH]},
    }
    return json.dumps(document, indent=1)


def abac(user: str) -> str:
    """One user may do everything, whatever anyone does to RBAC. Source: Kubernetes, "Using ABAC Authorization"."""
    everything = {"user": user, "namespace": "*", "resource": "*", "apiGroup": "*"}
    paths = {"user": user, "nonResourcePath": "*"}
    lines = ({"apiVersion": _ABAC, "kind": "Policy", "spec": spec} for spec in (everything, paths))
    return "".join(json.dumps(line) + "\n" for line in lines)


def audit(serve: str) -> str:
    """The audit policy: the first rule that matches decides. Source: audit.k8s.io/v1.

    Of Secrets, of config maps and of requests with tokens the log has who, what and when, never a body; other bodies
    are written as they were sent. Each read of a Secret and each review of a token is there, whoever asks. What parts
    of the system read of other kinds all the time, and what serve's controllers watch, is left out: it is most of the
    traffic and says nothing.
    """
    system = [
        "system:kube-proxy",
        "system:kube-controller-manager",
        "system:kube-scheduler",
        "system:apiserver",
        serve,
    ]
    reading = ["get", "list", "watch"]
    rules: list[dict[str, object]] = [
        {"level": "None", "nonResourceURLs": [*(f"{path}*" for path in HEALTH), "/version", "/metrics"]},
        {"level": "None", "nonResourceURLs": ["/openapi/*", "/api", "/api/*", "/apis", "/apis/*"], "verbs": ["get"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        # Before what leaves reads of the system out.
        {
            "level": "Metadata",
            "resources": [
                {"group": "", "resources": ["secrets", "serviceaccounts/token"]},
                {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
            ],
        },
        {"level": "None", "users": system, "verbs": reading},
        {"level": "None", "userGroups": ["system:nodes"], "verbs": reading},
        {
            "level": "None",
            "userGroups": ["system:serviceaccounts:kube-system"],
            "verbs": reading,
        },
        {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
        {"level": "None", "resources": [{"group": "events.k8s.io", "resources": ["events"]}]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["configmaps"]}]},
        # Status is written every few seconds by nodes and controllers.
        {"level": "Metadata", "userGroups": ["system:nodes"]},
        {"level": "Metadata", "verbs": reading},
        {"level": "Request"},
    ]
    document = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": rules,
    }
    return json.dumps(document, indent=1)
