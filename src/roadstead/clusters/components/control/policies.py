"""The policy files of an API server: who is let in unknown, who decides what somebody may do, what is written down."""

from __future__ import annotations

import json
from collections.abc import Iterable

from roadstead.clusters.components.control import files
from roadstead.contract import kubernetes

HEALTH = ("/healthz", "/livez", "/readyz")
_UNIT = "kube-apiserver"
_ID = f"'{kubernetes.CREDENTIAL}'"
_SHOWN = f"{_ID} in request.extra"


def anonymous() -> str:
    """AuthenticationConfiguration: without credentials nothing but health. GA since Kubernetes 1.34 (KEP-4633)."""
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [],
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in HEALTH]},
    }
    return json.dumps(document, indent=1)


def authorization(api_servers: Iterable[str]) -> str:
    """AuthorizationConfiguration: porter is asked first, about names of the house's own alone; then Node and RBAC.

    api_servers: the credential ids by which API servers come to kubelets. With these RBAC decides without porter, so
    that `kubectl logs` of what runs in a cluster does not depend on it. While porter is away, what it would be asked
    about is refused, and nobody else notices. GA since Kubernetes 1.32 (KEP-3221).
    """
    webhook = {
        # Only yes is remembered: a renewed certificate counts as soon as porter knows it.
        "authorizedTTL": "10m",
        "cacheAuthorizedRequests": True,
        "unauthorizedTTL": "1s",
        "cacheUnauthorizedRequests": False,
        "timeout": "5s",
        "subjectAccessReviewVersion": "v1",
        "matchConditionSubjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": files.at(_UNIT, "authorization.kubeconfig")},
        "matchConditions": [{"expression": " || ".join((_name(api_servers), _group(), _impersonation()))}],
    }
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": [
            {"type": "Webhook", "name": "roadstead", "webhook": webhook},
            {"type": "Node", "name": "node"},
            {"type": "RBAC", "name": "rbac"},
        ],
    }
    return json.dumps(document, indent=1)


def _name(api_servers: Iterable[str]) -> str:
    """Whose name is ours, but for API servers at kubelets."""
    ids = ", ".join(f"'{each}'" for each in api_servers)
    known = f"request.user == '{kubernetes.API_SERVER}' && {_SHOWN} && request.extra[{_ID}].exists(id, id in [{ids}])"
    return f"(request.user.startsWith('{kubernetes.OURS}') && !({known}))"


def _group() -> str:
    """Who has a group of ours; those of access policies by a certificate, as tokens come from porter itself."""
    policy = f"group.startsWith('{kubernetes.POLICY_GROUP}') && {_SHOWN}"
    return f"request.groups.exists(group, group.startsWith('{kubernetes.OURS}') || ({policy}))"


def _impersonation() -> str:
    """Who wants to be somebody of ours: by name, or as if with a certificate. Source of the verbs: KEP-5284."""
    asked = "request.resourceAttributes"
    verb = f"({asked}.verb == 'impersonate' || {asked}.verb.startsWith('impersonate:'))"
    name = f"({asked}.resource in ['users', 'groups', 'uids'] && {asked}.name.startsWith('{kubernetes.OURS}'))"
    extra = f"{asked}.resource == 'userextras' && {asked}.subresource == {_ID}"
    return f"(has({asked}) && {verb} && ({name} || ({extra} && {asked}.name.startsWith('X509SHA256='))))"


def audit() -> str:
    """The audit policy: the first rule that matches decides. Source: audit.k8s.io/v1.

    Of Secrets, of config maps and of requests with tokens the log has who, what and when, never a body; other bodies
    are written as they were sent. Nobody is left out by name: who may approve certificates can have any name.
    """
    reading = ["get", "list", "watch"]
    rules: list[dict[str, object]] = [
        {"level": "None", "nonResourceURLs": [*(f"{path}*" for path in HEALTH), "/version", "/metrics"]},
        {"level": "None", "nonResourceURLs": ["/openapi/*", "/api", "/api/*", "/apis", "/apis/*"], "verbs": ["get"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {
            "level": "Metadata",
            "resources": [
                {"group": "", "resources": ["secrets", "serviceaccounts/token"]},
                {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
            ],
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
