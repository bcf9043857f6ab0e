"""kube-apiserver: facts to a unit. Source of the flags: the `--help` of kube-apiserver 1.34 to 1.37."""

from __future__ import annotations

from roadstead.clusters.components import facts
from roadstead.clusters.components.control import files, issuer, policies
from roadstead.contract import layout
from roadstead.contract.messages import desired

UNIT = "kube-apiserver"
AUDIENCE = "https://kubernetes.default.svc"
"""What tokens of service accounts are for by default, as in EKS."""


def host(letter: str) -> str:
    """The host's name without the cluster's id."""
    return f"api-{letter}"


def unit(plane: facts.ControlPlane, letter: str, digests: facts.Digests) -> desired.Unit:
    """One API server, on its own zone's etcd."""
    member = next(each for each in plane.members if each.letter == letter)
    contents = {
        "audit.yaml": policies.audit(),
        "authentication.yaml": policies.anonymous(),
    }
    # The API server looks at these by itself.
    reloads: dict[str, files.OnChange] = dict.fromkeys(
        ("serving.pem", "serving.key", "encryption.yaml", "authentication.yaml", "authorization.yaml"), "nothing"
    )
    return desired.Unit(
        engine=plane.engines.kubernetes,
        component=UNIT,
        flags={
            **_storage(member, plane.patience),
            **_serving(plane),
            **_who(plane),
            **_others(),
            **_audit(),
        },
        environment={**plane.share, "HTTP2_READ_IDLE_TIMEOUT_SECONDS": "5", "HTTP2_PING_TIMEOUT_SECONDS": "3"},
        files=files.files(digests, contents, reloads),
        folders=("audit",),
        ready=desired.HttpsProbe(port=facts.API_PORT, path="/readyz", ca="ca.pem"),
        group=f"{plane.id}.api",
        stop_timeout=10.0,
    )


def _file(name: str) -> str:
    return files.at(UNIT, name)


def _storage(member: facts.Member, patience: int) -> dict[str, str]:
    return {
        # With all members listed, one that is frozen stalls every API server.
        "etcd-servers": f"https://{member.etcd}:{facts.ETCD_PORT}",
        "etcd-cafile": _file("etcd-ca.pem"),
        "etcd-certfile": _file("etcd-client.pem"),
        "etcd-keyfile": _file("etcd-client.key"),
        # Each is asked by one of the two proxies (edge): a check that fails takes so long.
        "etcd-healthcheck-timeout": f"{500 * patience}ms",
        "etcd-readycheck-timeout": f"{500 * patience}ms",
        "encryption-provider-config": _file("encryption.yaml"),
        "encryption-provider-config-automatic-reload": "true",
    }


def _serving(plane: facts.ControlPlane) -> dict[str, str]:
    return {
        "bind-address": "0.0.0.0",
        "secure-port": str(facts.API_PORT),
        # The `kubernetes` Service leads to the edge, which drops a dead API server for everyone.
        "advertise-address": plane.endpoint.private,
        "tls-cert-file": _file("serving.pem"),
        "tls-private-key-file": _file("serving.key"),
        "tls-min-version": "VersionTLS12",
        "service-cluster-ip-range": plane.service_cidr,
        # Connections walk from one API server to another, so that one can be taken out.
        "goaway-chance": "0.02",
        "shutdown-delay-duration": "0s",
        "shutdown-send-retry-after": "true",
        "profiling": "false",
    }


def _who(plane: facts.ControlPlane) -> dict[str, str]:
    issued_by = issuer.url(plane.region, plane.id)
    return {
        "client-ca-file": _file("ca.pem"),
        "authentication-config": _file("authentication.yaml"),
        "authentication-token-webhook-config-file": _file("authentication.kubeconfig"),
        "authentication-token-webhook-version": "v1",
        "authentication-token-webhook-cache-ttl": "10s",
        "enable-bootstrap-token-auth": "true",
        "service-account-issuer": issued_by,
        "service-account-jwks-uri": f"{issued_by}/keys",
        "service-account-key-file": _file("service-account.pem"),
        "service-account-signing-key-file": _file("service-account.key"),
        "api-audiences": f"{AUDIENCE},{issued_by}",
        "authorization-config": _file("authorization.yaml"),
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
    }


def _others() -> dict[str, str]:
    """How it comes to kubelets, to webhooks and to aggregated API servers."""
    return {
        "kubelet-certificate-authority": _file("ca.pem"),
        "kubelet-client-certificate": _file("kubelet-client.pem"),
        "kubelet-client-key": _file("kubelet-client.key"),
        "kubelet-preferred-address-types": "InternalIP",
        # Webhooks and aggregated servers are called at their pods: addresses of services are translated on nodes only.
        "enable-aggregator-routing": "true",
        "proxy-client-cert-file": _file("front-proxy.pem"),
        "proxy-client-key-file": _file("front-proxy.key"),
        "requestheader-client-ca-file": _file("front-proxy-ca.pem"),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
    }


def _audit() -> dict[str, str]:
    """Rotated at 50 MB, three old ones kept."""
    return {
        "audit-policy-file": _file("audit.yaml"),
        "audit-log-path": f"{layout.state(UNIT)}/audit/audit.log",
        "audit-log-maxsize": "50",
        "audit-log-maxbackup": "3",
        "audit-log-maxage": "30",
        "audit-log-mode": "batch",
    }
