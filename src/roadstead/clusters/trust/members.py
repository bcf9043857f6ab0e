"""The files of every unit of a control plane, in one call. Which file is for what: the units in `components`.

Whoever keeps the result keeps it until it is rotated: a second call gives other keys, and units would restart.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Mapping
from typing import TypeAlias

from roadstead.clusters.components import facts
from roadstead.clusters.components.control import issuer, policies
from roadstead.clusters.trust import authorities, guests, kubeconfigs, roots
from roadstead.contract import kubernetes, listeners

Files: TypeAlias = Mapping[str, Mapping[str, bytes]]
"""By the unit's id without the cluster's (`api-a/kube-apiserver`), the bytes of each file by its name."""

LOOPBACK = ("127.0.0.1", "localhost")
ETCD_PEER = "etcd-peer"
"""The name in every peer's certificate; peers accept no other."""
FRONT_PROXY = "front-proxy-client"


def files(at: facts.Topology, trust: roots.Trust, now: dt.datetime) -> Files:
    """All files of all units of a control plane that are made of trust."""
    found: dict[str, Mapping[str, bytes]] = {}
    for member in at.members:
        host = f"api-{member.letter}"
        found[f"etcd-{member.letter}/etcd"] = _etcd(member, trust, now)
        found[f"{host}/kube-apiserver"] = _api_server(at, member, trust, now)
        found[f"{host}/kube-controller-manager"] = _controller_manager(trust, now)
        found[f"{host}/kube-scheduler"] = _scheduler(trust, now)
    for number in (1, 2):
        found[f"edge/proxy-{number}"] = {"ca.pem": trust.cluster.certificate}
    return completed(at, trust, found)


def completed(at: facts.Topology, trust: roots.Trust, made: Files) -> Files:
    """All files, with those that follow from the others and from the facts as this release has them: what an earlier
    one made lacks some, or has others.
    """
    url = f"https://{at.webhook}:{at.webhook_port}{listeners.AUTHORIZE}"
    webhook = kubeconfigs.of_token(url, trust.cluster.certificate, guests.bearer(trust))
    chain = policies.authorization(credentials(made)[kubernetes.API_SERVER]).encode()
    added = {"authorization.kubeconfig": webhook, "authorization.yaml": chain}
    servers = {f"api-{member.letter}/kube-apiserver" for member in at.members}
    return {unit: {**files, **(added if unit in servers else {})} for unit, files in made.items()}


def credentials(made: Files) -> Mapping[str, tuple[str, ...]]:
    """The client certificates of the house's own users among the files, by user."""
    shown = [files["kubelet-client.pem"] for _, files in sorted(made.items()) if "kubelet-client.pem" in files]
    return {kubernetes.API_SERVER: tuple(authorities.credential_id(each) for each in shown)}


def reissued(at: facts.Topology, trust: roots.Trust, now: dt.datetime) -> Files:
    """Only what changes when the endpoint's addresses do: new serving certificates of the API servers."""
    return {
        f"api-{member.letter}/kube-apiserver": _serving(trust, "kube-apiserver", _api_hosts(at, member), now)
        for member in at.members
    }


def _etcd(member: facts.Member, trust: roots.Trust, now: dt.datetime) -> Mapping[str, bytes]:
    # The server's certificate is also a client's: it is what the unit's own probe shows.
    server = authorities.leaf(
        trust.etcd,
        authorities.Subject(name="etcd-server", hosts=(member.etcd, *LOOPBACK), usages=("server", "client")),
        now,
    )
    peer = authorities.leaf(
        trust.etcd,
        authorities.Subject(name=ETCD_PEER, hosts=(member.etcd, *LOOPBACK), usages=("server", "client")),
        now,
    )
    return {
        "ca.pem": trust.etcd.certificate,
        "server.pem": server.certificate,
        "server.key": server.key,
        "peer.pem": peer.certificate,
        "peer.key": peer.key,
    }


def _api_server(at: facts.Topology, member: facts.Member, trust: roots.Trust, now: dt.datetime) -> Mapping[str, bytes]:
    etcd = _client(trust.etcd, f"kube-apiserver-{member.letter}", now)
    kubelet = _client(trust.cluster, kubernetes.API_SERVER, now)
    front = _client(trust.front_proxy, FRONT_PROXY, now)
    return {
        "ca.pem": trust.cluster.certificate,
        **_serving(trust, "kube-apiserver", _api_hosts(at, member), now),
        "etcd-ca.pem": trust.etcd.certificate,
        "etcd-client.pem": etcd.certificate,
        "etcd-client.key": etcd.key,
        "kubelet-client.pem": kubelet.certificate,
        "kubelet-client.key": kubelet.key,
        "front-proxy-ca.pem": trust.front_proxy.certificate,
        "front-proxy.pem": front.certificate,
        "front-proxy.key": front.key,
        "service-account.pem": trust.service_account.public,
        "service-account.key": trust.service_account.private,
        "encryption.yaml": _encryption(trust.encryption_key),
        "authentication.kubeconfig": kubeconfigs.of_token(
            f"https://{at.webhook}:{at.webhook_port}{listeners.AUTHENTICATE}",
            trust.cluster.certificate,
            guests.bearer(trust),
        ),
    }


def _controller_manager(trust: roots.Trust, now: dt.datetime) -> Mapping[str, bytes]:
    name = "system:kube-controller-manager"
    return {
        "ca.pem": trust.cluster.certificate,
        "ca.key": trust.cluster.key,
        "service-account.key": trust.service_account.private,
        "kubeconfig": _own_api_server(trust, name, now),
        "front-proxy-ca.pem": trust.front_proxy.certificate,
        **_serving(trust, "kube-controller-manager", LOOPBACK, now),
    }


def _scheduler(trust: roots.Trust, now: dt.datetime) -> Mapping[str, bytes]:
    return {
        "ca.pem": trust.cluster.certificate,
        "kubeconfig": _own_api_server(trust, "system:kube-scheduler", now),
        "front-proxy-ca.pem": trust.front_proxy.certificate,
        **_serving(trust, "kube-scheduler", LOOPBACK, now),
    }


def _api_hosts(at: facts.Topology, member: facts.Member) -> tuple[str, ...]:
    endpoint = at.endpoint
    return (
        *(member.api, member.api_vpc),
        *(endpoint.control, endpoint.private, endpoint.public),
        str(ipaddress.IPv4Network(at.service_cidr)[1]),
        *LOOPBACK,
        *("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
        issuer.endpoint_name(at),
    )


def _serving(trust: roots.Trust, name: str, hosts: tuple[str, ...], now: dt.datetime) -> Mapping[str, bytes]:
    made = authorities.leaf(trust.cluster, authorities.Subject(name=name, hosts=hosts, usages=("server",)), now)
    return {"serving.pem": made.certificate, "serving.key": made.key}


def _client(by: authorities.Authority, name: str, now: dt.datetime) -> authorities.Credential:
    return authorities.leaf(by, authorities.Subject(name=name, usages=("client",)), now)


def _own_api_server(trust: roots.Trust, user: str, now: dt.datetime) -> bytes:
    """Each talks to the API server of its own host: when that one is lost, another zone's leads."""
    return kubeconfigs.of_certificate(f"https://127.0.0.1:{facts.API_PORT}", _client(trust.cluster, user, now))


def _encryption(key: bytes) -> bytes:
    """Secrets by secretbox; what was written plain stays readable. Source: EncryptionConfiguration v1."""
    box = {"secretbox": {"keys": [{"name": "key-1", "secret": base64.b64encode(key).decode()}]}}
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [box, {"identity": {}}]}],
    }
    return json.dumps(document, indent=1).encode()
