"""Cluster DNS, with the names and labels that EKS gives it: two pods behind the service `kube-dns`.

Where the two go: in different zones, as soon as the cluster has nodes in two. The first node alone would get both, and
nothing would ever move one away; so `node-zones` of the facts' settings says in how many zones nodes are expected, and
from two on the scheduler waits for the second. With one, both run on what there is.

Names outside the cluster are asked at the resolver of the VPC.
"""

from __future__ import annotations

from roadstead.controllers.runtime import facts
from roadstead.controllers.system import parts
from roadstead.engine import images
from roadstead.kube.resources import Json

NAME = "coredns"
SERVICE = "kube-dns"
NODE_ZONES = "node-zones"
"""The setting of the facts: in how many zones nodes are expected."""

AT_ONCE = 1
"""Pods that may be away at the same time."""

_SELECTOR = {"eks.amazonaws.com/component": NAME, "k8s-app": "kube-dns"}
_LABELS = {**_SELECTOR, "kubernetes.io/name": "CoreDNS"}

_COREFILE = """\
.:53 {{
    errors
    health {{
        lameduck 5s
    }}
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }}
    prometheus :9153
    forward . {upstream}
    cache 30
    loop
    reload
    loadbalance
}}
"""


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    """Its rights, configuration, service, budget and pods."""
    return (
        parts.account(NAME, _LABELS),
        parts.role(
            f"system:{NAME}",
            _LABELS,
            parts.allow("list watch", "services pods namespaces"),
            parts.allow("list watch", "endpointslices", "discovery.k8s.io"),
        ),
        parts.binding(f"system:{NAME}", _LABELS, NAME),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": parts.named(NAME, _LABELS),
            "data": {"Corefile": corefile(of.resolvers)},
        },
        _service(of),
        _budget(),
        _deployment(of),
    )


def corefile(resolvers: tuple[str, ...]) -> str:
    """CoreDNS's configuration. Without resolvers: those of the node's own /etc/resolv.conf."""
    return _COREFILE.format(upstream=" ".join(resolvers) or "/etc/resolv.conf")


def _service(of: facts.SystemFacts) -> Json:
    metadata = parts.named(SERVICE, {**_LABELS, "kubernetes.io/cluster-service": "true"})
    metadata["labels"]["eks.amazonaws.com/component"] = SERVICE
    metadata["annotations"] = {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": of.dns,
            "selector": {"k8s-app": "kube-dns"},
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
            ],
        },
    }


def _budget() -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": parts.named(NAME, _LABELS),
        "spec": {"maxUnavailable": AT_ONCE, "selector": {"matchLabels": _SELECTOR}},
    }


def _deployment(of: facts.SystemFacts) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parts.named(NAME, _LABELS),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": _SELECTOR},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {"metadata": {"labels": _SELECTOR}, "spec": _pod(of)},
        },
    }


def _pod(of: facts.SystemFacts) -> Json:
    return {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "tolerations": list(parts.TOLERATIONS),
        "affinity": _apart(),
        "topologySpreadConstraints": [_spread(expected_zones(of))],
        # Port 53 for a user who is not root, whatever the runtime's configuration says.
        "securityContext": {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]},
        "containers": [_container(of.images.coredns)],
        "volumes": [
            {"name": "config", "configMap": {"name": NAME, "items": [{"key": "Corefile", "path": "Corefile"}]}}
        ],
    }


def expected_zones(of: facts.SystemFacts) -> int:
    """In how many zones nodes are expected; 1 where nobody says."""
    return int(dict(of.settings).get(NODE_ZONES, "1"))


def _spread(zones: int) -> Json:
    """`minDomains` counts zones that have no node yet; it goes only with DoNotSchedule."""
    constraint = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "labelSelector": {"matchLabels": _SELECTOR},
        # A roll out spreads the new pods, whatever the old ones do.
        "matchLabelKeys": ["pod-template-hash"],
    }
    if zones < 2:
        return constraint | {"whenUnsatisfiable": "ScheduleAnyway"}
    return constraint | {"whenUnsatisfiable": "DoNotSchedule", "minDomains": 2, "nodeTaintsPolicy": "Honor"}


def _apart() -> Json:
    """Preferred: on a single node both run."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": _SELECTOR}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _container(image: str) -> Json:
    ready = {"httpGet": {"path": "/ready", "port": 8181, "scheme": "HTTP"}, "timeoutSeconds": 2}
    return {
        "name": NAME,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "70Mi"}, "limits": {"memory": "170Mi"}},
        # The first answer is looked for every second. A kubelet that has started within the period of a probe waits for
        # a random part of it before it asks for the first time (kubelet, pkg/kubelet/prober/worker.go).
        "startupProbe": ready | {"periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": ready | {"periodSeconds": 2, "failureThreshold": 5},
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080, "scheme": "HTTP"},
            "timeoutSeconds": 5,
            "failureThreshold": 5,
            "periodSeconds": 10,
        },
        "securityContext": parts.confined(runAsNonRoot=True, runAsUser=images.NOBODY),
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
