"""kubelet on a node: configuration, flags, labels and taints as EKS's nodes have them.

Sources: KubeletConfiguration v1beta1 (k8s.io/kubelet/config); Amazon's `nodeadm` for reserved resources and eviction;
kubelet's cmd/kubelet/app/options for the labels that it may set.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping

from roadstead.clusters.components import containerd, facts
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.network import sizes

HEALTH_PORT = 10248
POD_PROCESSES = 4096
"""Processes and threads of one pod. A node may have more, so that one pod leaves some to the others."""
CLUSTER_DOMAIN = "cluster.local"

_FILES = layout.files("kubelet")
_HOME = layout.state("kubelet")

_EFFECTS = {
    "NO_SCHEDULE": "NoSchedule",
    "NO_EXECUTE": "NoExecute",
    "PREFER_NO_SCHEDULE": "PreferNoSchedule",
}

OWN_LABELS = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
"""Those of Kubernetes that kubelet may set, besides the two groups below, and that it sets right whenever it starts.
Source: k8s.io/kubelet well_known_labels; updateDefaultLabels in kubelet's kubelet_node_status.go."""
_OWN_GROUPS = ("kubelet.kubernetes.io", "node.kubernetes.io")


def unit(node: facts.Node, digests: facts.Digests, size: sizes.Size, resolver: str) -> desired.Unit:
    """The unit `kubelet` of a node. `resolver` is the base+2 of the node's subnet.

    A restart of it leaves all pods running. Raises Invalid for a taint's effect that EKS does not have.
    """
    return desired.Unit(
        engine=node.engines.kubernetes,
        component="kubelet",
        flags={
            "config": f"{_FILES}/config.yaml",
            "bootstrap-kubeconfig": f"{_FILES}/bootstrap.kubeconfig",
            "kubeconfig": f"{_HOME}/kubeconfig",
            "cert-dir": f"{_HOME}/pki",
            "root-dir": _HOME,
            "hostname-override": node.name,
            "node-ip": node.address,
            "node-labels": ",".join(f"{name}={value}" for name, value in labels(node).items()),
        },
        # A peer that says nothing any more is given up after 5 s, not after 45.
        environment={"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "3", "HTTP2_PING_TIMEOUT_SECONDS": "2"},
        files={
            "config.yaml": desired.UnitFile(content=config(node, size)),
            "resolv.conf": desired.UnitFile(content=f"nameserver {resolver}\n", on_change="nothing"),
            "ca.pem": desired.UnitFile(blob=digests["ca.pem"]),
            # Read only while there is no kubeconfig: a new token is no reason to restart.
            "bootstrap.kubeconfig": desired.UnitFile(
                blob=digests["bootstrap.kubeconfig"], secret=True, on_change="nothing"
            ),
        },
        folders=("pki", "plugins"),
        ready=desired.TcpProbe(port=HEALTH_PORT),
        # It is refused everything until it has its certificate, and is given that only with the images at hand.
        after=layout.CONTAINERD,
        images=node.images,
    )


def config(node: facts.Node, size: sizes.Size) -> str:
    """config.yaml, written as JSON, which is YAML."""
    parts = (_identity(node), _trust(), _runtime(), _limits(node, size), _pace())
    whole: dict[str, object] = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    for part in parts:
        whole |= part
    return json.dumps(whole, indent=1) + "\n"


def _identity(node: facts.Node) -> dict[str, object]:
    return {
        "providerID": f"aws:///{node.zone}/{node.id}",
        "clusterDomain": CLUSTER_DOMAIN,
        "clusterDNS": [cluster_dns(node.service_cidr)],
        "resolvConf": f"{_FILES}/resolv.conf",
        "registerWithTaints": taints(node),
    }


def _trust() -> dict[str, object]:
    return {
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": "2m0s"},
            "x509": {"clientCAFile": f"{_FILES}/ca.pem"},
        },
        "authorization": {
            "mode": "Webhook",
            "webhook": {"cacheAuthorizedTTL": "5m0s", "cacheUnauthorizedTTL": "30s"},
        },
        "rotateCertificates": True,
        "serverTLSBootstrap": True,
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": HEALTH_PORT,
    }


def _runtime() -> dict[str, object]:
    return {
        "containerRuntimeEndpoint": f"unix://{containerd.SOCKET}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # A node may have users of its own: what belongs to the machine is not for it to set. On since 1.37.
        "featureGates": {"KubeletInUserNamespace": True},
        "seccompDefault": True,
        # The usual -999 would shield it from the memory of a machine that it shares with others.
        "oomScoreAdj": 0,
        "volumePluginDir": f"{_HOME}/plugins/volume",
        "serializeImagePulls": False,
        "maxParallelImagePulls": 4,
        "containerLogMaxSize": "10Mi",
        "containerLogMaxFiles": 5,
        "imageGCHighThresholdPercent": 85,
        "imageGCLowThresholdPercent": 80,
        "makeIPTablesUtilChains": False,
        # A host is ended by its agent, after its pods were drained or with no time for it at all.
        "shutdownGracePeriod": "0s",
        "shutdownGracePeriodCriticalPods": "0s",
    }


def _limits(node: facts.Node, size: sizes.Size) -> dict[str, object]:
    return {
        "maxPods": node.most_pods,
        "podPidsLimit": POD_PROCESSES,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"},
        "kubeReserved": {
            "cpu": f"{reserved_cpu(size.vcpus)}m",
            "memory": f"{reserved_memory(node.most_pods)}Mi",
            "ephemeral-storage": "1Gi",
        },
        "kubeAPIQPS": 50,
        "kubeAPIBurst": 100,
    }


def _pace() -> dict[str, object]:
    # With leases a status is only a report: sooner seen when it changed, and rarely sent when it did not.
    return {
        "nodeStatusUpdateFrequency": "10s",
        "nodeStatusReportFrequency": "5m0s",
        "nodeLeaseDurationSeconds": 40,
        "syncFrequency": "1m0s",
    }


def reserved_cpu(vcpus: int) -> int:
    """Millicores kept from pods: 6 % of the first core, 1 % of the second, 0.5 % of two more, 0.25 % of the rest."""
    tenths = 600 * min(vcpus, 1) + 100 * min(max(vcpus - 1, 0), 1) + 50 * min(max(vcpus - 2, 0), 2)
    return (tenths + 25 * max(vcpus - 4, 0)) // 10


def reserved_memory(most_pods: int) -> int:
    """MiB kept from pods."""
    return 11 * most_pods + 255


def cluster_dns(service_cidr: str) -> str:
    """The tenth address of the services, where CoreDNS answers."""
    return str(ipaddress.ip_network(service_cidr)[10])


def taints(node: facts.Node) -> list[dict[str, str]]:
    """The node's taints in Kubernetes' words."""
    return [{"key": key, "value": value, "effect": effect(word, key)} for key, value, word in node.taints]


def effect(word: str, key: str) -> str:
    """EKS's word for a taint's effect in Kubernetes' words. Raises Invalid for one that EKS does not have."""
    if word not in _EFFECTS:
        raise errors.Invalid(f"taint {key}: effect {word!r} is not one of {', '.join(_EFFECTS)}", effect=word)
    return _EFFECTS[word]


def labels(node: facts.Node) -> dict[str, str]:
    """The labels that kubelet sets when it registers, sorted; what it computes itself is not among them.

    The controllers set those that kubelet refuses to set, and what changes later.
    """
    return {name: value for name, value in _all_labels(node).items() if _settable(name)}


def _all_labels(node: facts.Node) -> dict[str, str]:
    placed = {
        "beta.kubernetes.io/instance-type": node.instance_type,
        "failure-domain.beta.kubernetes.io/region": node.region,
        "failure-domain.beta.kubernetes.io/zone": node.zone,
        "node.kubernetes.io/instance-type": node.instance_type,
        "topology.kubernetes.io/region": node.region,
        "topology.kubernetes.io/zone": node.zone,
    }
    of_group = group_labels(node.labels, nodegroup=node.nodegroup, capacity=node.capacity, image=node.image)
    return dict(sorted({**of_group, **placed}.items()))


def group_labels(given: Mapping[str, str], *, nodegroup: str, capacity: str, image: str) -> dict[str, str]:
    """The labels that a nodegroup's nodes have in common: those that its owner gave, and EKS's own."""
    computed = {
        "eks.amazonaws.com/capacityType": capacity,
        "eks.amazonaws.com/nodegroup": nodegroup,
        "eks.amazonaws.com/nodegroup-image": image,
    }
    return {**given, **{name: value for name, value in computed.items() if value}}


def _settable(name: str) -> bool:
    group, slash, _ = name.partition("/")
    if not slash or not _of(group, "kubernetes.io", "k8s.io"):
        return True
    return name in OWN_LABELS or _of(group, *_OWN_GROUPS)


def _of(group: str, *parents: str) -> bool:
    return any(group == parent or group.endswith(f".{parent}") for parent in parents)
