"""What kube-controller-manager and kube-scheduler have in common: one of three leads, all answer probes."""

from __future__ import annotations

from roadstead.clusters.components.control import files
from roadstead.contract.messages import desired

ENVIRONMENT = {"HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "3"}
"""A dead connection is noticed after seconds, not after 45. Source: apimachinery, pkg/util/net/http.go."""


def flags(unit: str, patience: int) -> dict[str, str]:
    """Leadership passes on within 6 to 8 s on a usual machine, and probes need no answer of an API server."""

    def file(name: str) -> str:
        return files.at(unit, name)

    return {
        "kubeconfig": file("kubeconfig"),
        "authentication-kubeconfig": file("kubeconfig"),
        "authorization-kubeconfig": file("kubeconfig"),
        # Else it ends when it starts before its API server.
        "authentication-skip-lookup": "true",
        "client-ca-file": file("ca.pem"),
        "requestheader-client-ca-file": file("front-proxy-ca.pem"),
        "tls-cert-file": file("serving.pem"),
        "tls-private-key-file": file("serving.key"),
        "bind-address": "127.0.0.1",
        "leader-elect": "true",
        "leader-elect-lease-duration": f"{6 * patience}s",
        "leader-elect-renew-deadline": f"{4 * patience}s",
        "leader-elect-retry-period": f"{2 * patience}s",
        "profiling": "false",
    }


def probe(port: int) -> desired.HttpsProbe:
    """Also those that wait for leadership answer well."""
    return desired.HttpsProbe(port=port, path="/healthz", ca="ca.pem")
