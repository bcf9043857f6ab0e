"""Parts that several system objects are made of."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.kube.resources import Json

NAMESPACE = "kube-system"
RBAC = "rbac.authorization.k8s.io"

_LEAVE_AFTER = 30
"""Seconds that a pod waits for a node that has gone, instead of 300: the cluster waits for these pods."""

TOLERATIONS: tuple[Json, ...] = (
    {"key": "CriticalAddonsOnly", "operator": "Exists"},
    {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
    *(
        {
            "key": f"node.kubernetes.io/{state}",
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": _LEAVE_AFTER,
        }
        for state in ("not-ready", "unreachable")
    ),
)
"""Source of the first two: EKS's own coredns."""


def named(name: str, labels: Mapping[str, str], *, namespaced: bool = True) -> Json:
    """The metadata of an object of Roadstead's own."""
    whole: Json = {"name": name, "labels": {**labels, "app.kubernetes.io/managed-by": "roadstead"}}
    return whole | ({"namespace": NAMESPACE} if namespaced else {})


def account(name: str, labels: Mapping[str, str]) -> Json:
    """A ServiceAccount in `kube-system`."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named(name, labels)}


def role(name: str, labels: Mapping[str, str], *rules: Json, namespaced: bool = False) -> Json:
    """A ClusterRole, or a Role of the system's namespace."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role" if namespaced else "ClusterRole",
        "metadata": named(name, labels, namespaced=namespaced),
        "rules": list(rules),
    }


def binding(name: str, labels: Mapping[str, str], who: str, *, namespaced: bool = False) -> Json:
    """The role of that name, given to a service account of the system's namespace."""
    kind = "Role" if namespaced else "ClusterRole"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": named(name, labels, namespaced=namespaced),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": who, "namespace": NAMESPACE}],
    }


def allow(verbs: str, resources: str, group: str = "") -> Json:
    """A rule; verbs and resources are separated by spaces."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


def confined(**more: object) -> Json:
    """A container that may do nothing but run."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        **more,
    }
