"""kube-proxy on a node: services by nftables, no masquerading of what comes from the VPC.

Source: KubeProxyConfiguration v1alpha1 (k8s.io/kube-proxy/config).
"""

from __future__ import annotations

import json

from roadstead.clusters.components import facts
from roadstead.contract import layout
from roadstead.contract.messages import desired

HEALTH_PORT = 10256
METRICS_PORT = 10249

_FILES = layout.files("kube-proxy")


def unit(node: facts.Node, digests: facts.Digests) -> desired.Unit:
    """The unit `kube-proxy` of a node. Its rules stay in the kernel while it restarts."""
    return desired.Unit(
        engine=node.engines.kubernetes,
        component="kube-proxy",
        flags={"config": f"{_FILES}/config.yaml"},
        environment={"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "3", "HTTP2_PING_TIMEOUT_SECONDS": "2"},
        files={
            "config.yaml": desired.UnitFile(content=config(node)),
            "kubeconfig": desired.UnitFile(blob=digests["kubeconfig"], secret=True),
        },
        ready=desired.TcpProbe(port=HEALTH_PORT, address=node.address),
        # It looks for its Node after 0, 1, 3 and 7 s: begun before the kubelet has joined, it would be late.
        after="kubelet",
    )


def config(node: facts.Node) -> str:
    """config.yaml, written as JSON, which is YAML."""
    whole = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": f"{_FILES}/kubeconfig"},
        "mode": "nftables",
        # Pods have addresses of the VPC, so everything from it is local: no source is rewritten on its way to a
        # service, and the API server, other nodes and load balancers see and are seen as they are.
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": node.vpc_cidr,
        "nodePortAddresses": ["primary"],
        "nftables": {"syncPeriod": "30s", "minSyncPeriod": "1s"},
        # The table of connections is the machine's, and not for a node to change.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
            "udpTimeout": "0s",
            "udpStreamTimeout": "0s",
        },
        # Load balancers ask a node by its address; figures are for the node's own eyes.
        "healthzBindAddress": f"{node.address}:{HEALTH_PORT}",
        "metricsBindAddress": f"127.0.0.1:{METRICS_PORT}",
        "oomScoreAdj": 0,
    }
    return json.dumps(whole, indent=1) + "\n"
