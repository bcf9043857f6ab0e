"""Where objects of a kind are found: a table of the kinds that are used here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from roadstead.core import errors

Json: TypeAlias = dict[str, Any]
"""An object as the API has it. Never changed in place once it was read."""


@dataclass(frozen=True)
class Resource:
    """A kind of object. `version` is the apiVersion: `v1`, `apps/v1`."""

    version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, name: str = "", namespace: str = "", part: str = "") -> str:
        """Of one object, or without a name of the list; `part` is a subresource: `eviction`."""
        root = f"/apis/{self.version}" if "/" in self.version else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return root + where + "".join(f"/{step}" for step in (self.plural, name, part) if step)


NODES = Resource("v1", "Node", "nodes", namespaced=False)
PODS = Resource("v1", "Pod", "pods")
SECRETS = Resource("v1", "Secret", "secrets")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
BUDGETS = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
SIGNING_REQUESTS = Resource(
    "certificates.k8s.io/v1", "CertificateSigningRequest", "certificatesigningrequests", namespaced=False
)
_RBAC = "rbac.authorization.k8s.io/v1"
CLUSTER_ROLES = Resource(_RBAC, "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "ClusterRoleBinding", "clusterrolebindings", namespaced=False)
SERVICES = Resource("v1", "Service", "services")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
_ADMISSION = "admissionregistration.k8s.io/v1"
VALIDATING_WEBHOOKS = Resource(
    _ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False
)
MUTATING_WEBHOOKS = Resource(
    _ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False
)

_ALL = (
    *(NODES, PODS, SECRETS, CONFIG_MAPS, NAMESPACES, SIGNING_REQUESTS, CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, BUDGETS),
    *(SERVICES, ENDPOINT_SLICES, VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS),
    Resource("v1", "ServiceAccount", "serviceaccounts"),
    Resource("v1", "Endpoints", "endpoints"),
    Resource("v1", "PersistentVolume", "persistentvolumes", namespaced=False),
    Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    Resource("v1", "ResourceQuota", "resourcequotas"),
    Resource("v1", "LimitRange", "limitranges"),
    Resource(_RBAC, "Role", "roles"),
    Resource(_RBAC, "RoleBinding", "rolebindings"),
    Resource("apps/v1", "Deployment", "deployments"),
    Resource("apps/v1", "DaemonSet", "daemonsets"),
    Resource("apps/v1", "StatefulSet", "statefulsets"),
    Resource("batch/v1", "Job", "jobs"),
    Resource("batch/v1", "CronJob", "cronjobs"),
    Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False),
    Resource("storage.k8s.io/v1", "CSIDriver", "csidrivers", namespaced=False),
    Resource("storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses", namespaced=False),
    Resource("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", namespaced=False),
    Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    Resource("networking.k8s.io/v1", "IngressClass", "ingressclasses", namespaced=False),
    Resource("coordination.k8s.io/v1", "Lease", "leases"),
    Resource("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False),
    Resource("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False),
    *(
        Resource(_ADMISSION, kind, plural, namespaced=False)
        for kind, plural in (
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
        )
    ),
)


def of(thing: Json) -> Resource:
    """The resource of an object by its apiVersion and kind. Raises Invalid for a kind that is not in the table."""
    version, kind = thing.get("apiVersion"), thing.get("kind")
    for resource in _ALL:
        if (resource.version, resource.kind) == (version, kind):
            return resource
    raise errors.Invalid(f"objects of {version} {kind} have no line in the table of resources", kind=kind)


def name(thing: Json) -> str:
    """Of an object, by its metadata."""
    return str(thing["metadata"]["name"])


def key(thing: Json) -> str:
    """`NAMESPACE/NAME`, or the name alone."""
    namespace = thing["metadata"].get("namespace")
    return f"{namespace}/{name(thing)}" if namespace else name(thing)
