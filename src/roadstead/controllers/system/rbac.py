"""The objects that the house itself needs in a cluster, and the roles that EKS's access policies stand for.

Source of the policies: EKS user guide, "Review access policy permissions". A user who has such a policy on the whole
cluster is answered by the token review with the group `eks:access-policy:NAME`; nobody is ever in system:masters.
"""

from __future__ import annotations

from roadstead.contract import kubernetes
from roadstead.kube.resources import Json

POLICIES = {
    kubernetes.CLUSTER_ADMIN: "cluster-admin",
    kubernetes.ADMIN: "admin",
    kubernetes.ADMIN_VIEW: "eks:admin-view",
    kubernetes.EDIT: "edit",
    kubernetes.VIEW: "view",
}
"""Access policies, and the ClusterRole that each is."""

_RBAC = "rbac.authorization.k8s.io"
_LABELS = {"app.kubernetes.io/managed-by": "roadstead"}


def objects() -> tuple[Json, ...]:
    """Applied whenever a runtime begins: without them no node comes in and nobody reads a log."""
    return (
        _admin_view(),
        _bound("eks:node-bootstrapper", "system:node-bootstrapper", "Group", "system:bootstrappers"),
        _bound(f"{kubernetes.OURS}kubelet-api-admin", "system:kubelet-api-admin", "User", kubernetes.API_SERVER),
        *(_bound(group, role, "Group", group) for group, role in _groups().items()),
    )


def _groups() -> dict[str, str]:
    """The ClusterRole by the group of an access policy."""
    return {kubernetes.policy_group(policy): role for policy, role in POLICIES.items()}


def _admin_view() -> Json:
    """Reads everything, Secrets too; changes nothing."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "eks:admin-view", "labels": _LABELS},
        "rules": [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
            {"nonResourceURLs": ["*"], "verbs": ["get"]},
        ],
    }


def _bound(name: str, role: str, kind: str, who: str) -> Json:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": _LABELS},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": kind, "name": who}],
    }
