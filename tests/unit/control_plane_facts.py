"""A control plane's facts for unit tests, and the files that each of its units has."""

from __future__ import annotations

from roadstead.clusters.components import facts

REGION = "eu-central-1"

_UNIT_FILES = {
    "etcd": {"ca.pem", "server.pem", "server.key", "peer.pem", "peer.key"},
    "kube-apiserver": {
        *("ca.pem", "serving.pem", "serving.key", "etcd-ca.pem", "etcd-client.pem", "etcd-client.key"),
        *("kubelet-client.pem", "kubelet-client.key", "front-proxy-ca.pem", "front-proxy.pem", "front-proxy.key"),
        *("service-account.pem", "service-account.key", "encryption.yaml", "authentication.kubeconfig"),
        *("authorization.kubeconfig", "authorization.yaml"),
    },
    "kube-controller-manager": {
        *("ca.pem", "ca.key", "service-account.key", "kubeconfig", "front-proxy-ca.pem", "serving.pem", "serving.key"),
    },
    "kube-scheduler": {"ca.pem", "kubeconfig", "front-proxy-ca.pem", "serving.pem", "serving.key"},
}
FILES = {
    **{f"etcd-{letter}/etcd": _UNIT_FILES["etcd"] for letter in "abc"},
    **{f"api-{letter}/{unit}": _UNIT_FILES[unit] for letter in "abc" for unit in _UNIT_FILES if unit != "etcd"},
    **{f"edge/proxy-{number}": {"ca.pem"} for number in (1, 2)},
}
"""By the unit's id without the cluster's."""


def plane(release: str) -> facts.ControlPlane:
    """Three members; all addresses differ."""
    return facts.ControlPlane(
        id="c-1a2b3c4d",
        name="cluster-1",
        account="123456789012",
        region=REGION,
        release=release,
        engines=facts.Engines(kubernetes=f"kubernetes-{release}", etcd="etcd-3.6.16", containerd="containerd-2.3.7"),
        members=tuple(
            facts.Member(
                letter=letter,
                zone=f"{REGION}{letter}",
                etcd=f"198.19.0.{16 * n + 4}",
                api=f"198.19.0.{16 * n + 5}",
                api_vpc=f"192.168.{32 * n}.4",
            )
            for n, letter in enumerate("abc")
        ),
        endpoint=facts.Endpoint(control="198.19.0.52", private="192.168.0.5", public="127.0.0.9", port=16443),
        vpc_cidr="192.168.0.0/16",
        service_cidr="10.100.0.0/16",
        webhook="198.19.0.51",
    )
