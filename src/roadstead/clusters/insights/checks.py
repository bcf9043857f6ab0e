"""All checks, with their words: pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from roadstead.clusters.insights import addresses, budgets, deprecations, facts, finding, health, skew, webhooks

_KUBERNETES = "https://kubernetes.io/docs"
_EKS = "https://docs.aws.amazon.com/eks/latest/userguide"

Inside = Callable[[facts.InCluster, facts.Around, Iterable[facts.ApiHistory]], finding.Finding]
Outside = Callable[[facts.Around], finding.Finding]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One insight. `{next}` in its words is the next minor. It has one of `inside` and `outside`."""

    word: str
    """What it is called in the store, for ever."""
    name: str
    description: str
    recommendation: str
    links: Mapping[str, str] = field(default_factory=dict)
    inside: Inside | None = None
    """From a look into the cluster."""
    outside: Outside | None = None
    """From the store alone."""


def _looked(find: Callable[[facts.InCluster, facts.Around], finding.Finding]) -> Inside:
    return lambda seen, around, _: find(seen, around)


CHECKS = (
    Check(
        word="deprecated-apis",
        name="Deprecated APIs removed in Kubernetes v{next}",
        description="Checks whether the API servers were asked for APIs that Kubernetes v{next} removes. Counts are "
        "read at each refresh: an API that nobody has asked for since is WARNING after 15 minutes, and passes "
        "after a day.",
        recommendation="Use the version of the API that replaces it, in clients and in manifests, before the upgrade.",
        links={
            "Kubernetes: deprecated API migration guide": f"{_KUBERNETES}/reference/using-api/deprecation-guide/",
            "EKS: cluster insights": f"{_EKS}/cluster-insights.html",
        },
        inside=deprecations.find,
    ),
    Check(
        word="kubelet-skew",
        name="Kubelet version skew",
        description="Checks whether the kubelets of all nodes may run with a control plane of v{next}: not newer than "
        "the control plane is now, and at most three minors older than v{next}.",
        recommendation="Replace nodes that are too old by nodes of the control plane's version.",
        links={"Kubernetes: version skew policy": "https://kubernetes.io/releases/version-skew-policy/"},
        inside=_looked(skew.kubelet),
    ),
    Check(
        word="kube-proxy-skew",
        name="kube-proxy version skew",
        description="Checks whether the kube-proxy of all nodes may run with a control plane of v{next}. Nodes of "
        "nodegroups run the kube-proxy of their kubelet's release; of others it is not known.",
        recommendation="Replace nodes that are too old by nodes of the control plane's version.",
        links={"Kubernetes: version skew policy": "https://kubernetes.io/releases/version-skew-policy/"},
        inside=_looked(skew.proxy),
    ),
    Check(
        word="webhooks",
        name="Webhooks that fail closed",
        description="Checks whether admission webhooks with failurePolicy Fail have somebody who answers, and whether "
        "pods of kube-system depend on them.",
        recommendation="Bring the webhook's pods back, delete its configuration, exempt kube-system by a "
        "namespaceSelector, or set failurePolicy to Ignore.",
        links={
            "Kubernetes: good practices for admission webhooks": f"{_KUBERNETES}/concepts/cluster-administration/"
            "admission-webhooks-good-practices/",
        },
        inside=_looked(webhooks.find),
    ),
    Check(
        word="budgets",
        name="Disruption budgets that let no pod go",
        description="Checks whether a PodDisruptionBudget allows no disruption now: nodes with its pods could not be "
        "drained. The control plane is upgraded all the same.",
        recommendation="Run more replicas than the budget needs, or lower minAvailable, before nodes are replaced.",
        links={
            "Kubernetes: disruptions": f"{_KUBERNETES}/concepts/workloads/pods/disruptions/",
            "EKS: managed node update behavior": f"{_EKS}/managed-node-update-behavior.html",
        },
        inside=_looked(budgets.find),
    ),
    Check(
        word="addresses",
        name="Addresses for new nodes",
        description="Checks whether the subnets of nodegroups have room for the nodes that an update makes before old "
        "ones go. The control plane needs none of their addresses.",
        recommendation="Use larger subnets or more of them, smaller instance types, or the update strategy MINIMAL.",
        links={
            "EKS: VPC and subnet requirements": f"{_EKS}/network-reqs.html",
            "EKS: managed node update behavior": f"{_EKS}/managed-node-update-behavior.html",
        },
        outside=addresses.find,
    ),
    Check(
        word="cluster-health",
        name="Cluster health",
        description="Checks whether the cluster is ACTIVE and every part of its control plane is ready.",
        recommendation="Wait until the cluster is ACTIVE. `roadstead get events` says what happens to its parts.",
        links={"EKS: cluster health": f"{_EKS}/troubleshooting.html#cluster-health-status"},
        outside=health.find,
    ),
)
