"""Who is who: what certificates say, that they come from the right authority, and that secrets are derived well."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import re
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import oid
from tests.unit import control_plane_facts

from roadstead.clusters import trust
from roadstead.clusters.components import facts
from roadstead.clusters.components.control import issuer

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
PLANE = control_plane_facts.plane("1.37.2")
API = "api-b/kube-apiserver"


@pytest.fixture(scope="module")
def roots() -> trust.Trust:
    return trust.created(PLANE.id, NOW)


@pytest.fixture(scope="module")
def files(roots: trust.Trust) -> dict[str, dict[str, bytes]]:
    return {unit: dict(names) for unit, names in trust.files(PLANE, roots, NOW).items()}


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(oid.NameOID.COMMON_NAME)[0].value)


def groups(certificate: x509.Certificate) -> list[str]:
    return [str(a.value) for a in certificate.subject.get_attributes_for_oid(oid.NameOID.ORGANIZATION_NAME)]


def hosts(pem: bytes) -> set[str]:
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def shown(kubeconfig: bytes) -> x509.Certificate:
    """The certificate in a kubeconfig."""
    user = json.loads(kubeconfig)["users"][0]["user"]
    return x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"]))


def everyone(files: dict[str, dict[str, bytes]], roots: trust.Trust) -> list[x509.Certificate]:
    """Every certificate that anybody of the cluster is given."""
    pems = [content for names in files.values() for name, content in names.items() if name.endswith(".pem")]
    found = [x509.load_pem_x509_certificate(pem) for pem in pems if b"BEGIN CERTIFICATE" in pem]
    found += [shown(names["kubeconfig"]) for names in files.values() if "kubeconfig" in names]
    api = f"https://{PLANE.endpoint.private}:{facts.API_PORT}"
    found.append(shown(trust.kube_proxy_kubeconfig(roots, api, NOW)))
    found.append(x509.load_pem_x509_certificate(trust.admin(roots, NOW).certificate))
    found.append(x509.load_pem_x509_certificate(trust.webhook(PLANE, roots, NOW).certificate))
    return found


def test_it_is_the_same_after_it_was_kept(roots: trust.Trust) -> None:
    assert trust.read(trust.written(roots)) == roots


def test_authorities_are_three_of_their_own_for_ten_years(roots: trust.Trust) -> None:
    found = [
        x509.load_pem_x509_certificate(each.certificate) for each in (roots.etcd, roots.cluster, roots.front_proxy)
    ]
    assert len({one.subject for one in found}) == 3
    assert all(PLANE.id in common_name(one) for one in found)
    assert {(one.not_valid_after_utc - NOW).days for one in found} == {3650}


def test_the_files_of_every_unit_are_those_of_the_contract(files: dict[str, dict[str, bytes]]) -> None:
    assert {unit: set(names) for unit, names in files.items()} == control_plane_facts.FILES


def test_which_files_are_secret(files: dict[str, dict[str, bytes]]) -> None:
    for names in files.values():
        for name, content in names.items():
            telling = b"PRIVATE KEY" in content or b"secretbox" in content or b'"user"' in content
            assert trust.secret(name) == telling, name


def test_certificates_come_from_the_authority_that_their_readers_know(
    files: dict[str, dict[str, bytes]], roots: trust.Trust
) -> None:
    of = {
        ("etcd-a/etcd", "server.pem"): roots.etcd,
        ("etcd-a/etcd", "peer.pem"): roots.etcd,
        (API, "etcd-client.pem"): roots.etcd,
        (API, "serving.pem"): roots.cluster,
        (API, "kubelet-client.pem"): roots.cluster,
        (API, "front-proxy.pem"): roots.front_proxy,
        ("api-a/kube-scheduler", "serving.pem"): roots.cluster,
    }
    for (unit, name), by in of.items():
        made = x509.load_pem_x509_certificate(files[unit][name])
        made.verify_directly_issued_by(x509.load_pem_x509_certificate(by.certificate))


def test_nobody_is_in_the_group_that_nothing_can_refuse(files: dict[str, dict[str, bytes]], roots: trust.Trust) -> None:
    found = everyone(files, roots)
    assert len(found) > 30
    assert {group for one in found for group in groups(one)} == set()
    assert "roadstead:serve" in {common_name(one) for one in found}


def test_api_servers_say_a_certificates_digest(files: dict[str, dict[str, bytes]]) -> None:
    der = x509.load_pem_x509_certificate(files[API]["kubelet-client.pem"]).public_bytes(serialization.Encoding.DER)
    expected = f"X509SHA256={hashlib.sha256(der).hexdigest()}"
    assert trust.credential_id(files[API]["kubelet-client.pem"]) == expected
    (known,) = trust.credentials(files).items()
    assert known[0] == "roadstead:apiserver"
    assert len(set(known[1])) == 3
    assert expected in known[1]
    # All of them know all: kubelets ask whichever.
    for letter in "abc":
        chain = files[f"api-{letter}/kube-apiserver"]["authorization.yaml"].decode()
        assert all(id in chain for id in known[1])


def test_only_an_etcd_calls_itself_a_peer(files: dict[str, dict[str, bytes]], roots: trust.Trust) -> None:
    peers = [one for one in everyone(files, roots) if common_name(one) == "etcd-peer"]
    assert len(peers) == 3


def test_leaves_are_valid_for_a_year_and_are_no_authorities(files: dict[str, dict[str, bytes]]) -> None:
    made = x509.load_pem_x509_certificate(files[API]["serving.pem"])
    assert (made.not_valid_after_utc - NOW).days == 365
    assert made.not_valid_before_utc < NOW
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_api_server_is_known_by_every_way_to_it(files: dict[str, dict[str, bytes]]) -> None:
    member, endpoint = PLANE.members[1], PLANE.endpoint
    assert hosts(files[API]["serving.pem"]) == {
        *(member.api, member.api_vpc, endpoint.control, endpoint.private, endpoint.public),
        str(ipaddress.ip_network(PLANE.service_cidr)[1]),
        *("127.0.0.1", "localhost", issuer.endpoint_name(PLANE)),
        *("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
    }


def test_another_public_address_changes_only_what_is_shown_there(
    files: dict[str, dict[str, bytes]], roots: trust.Trust
) -> None:
    moved = replace(PLANE, endpoint=replace(PLANE.endpoint, public="kube.example.org"))
    changed = trust.reissued(moved, roots, NOW)
    assert {unit: set(names) for unit, names in changed.items()} == {
        f"api-{letter}/kube-apiserver": {"serving.pem", "serving.key"} for letter in "abc"
    }
    assert hosts(changed[API]["serving.pem"]) == hosts(files[API]["serving.pem"]) - {"127.0.0.9"} | {"kube.example.org"}


def test_a_nodes_token_is_its_own_and_stays(roots: trust.Trust) -> None:
    first, second = trust.node_bootstrap(roots, "i-1"), trust.node_bootstrap(roots, "i-2")
    assert re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", ".".join(first))
    assert trust.node_bootstrap(trust.read(trust.written(roots)), "i-1") == first
    assert first[0] != second[0]
    assert first[1] != second[1]
    assert trust.node_bootstrap(replace(roots, master=bytes(32)), "i-1") != first


def test_api_servers_show_porter_what_it_knows_them_by(files: dict[str, dict[str, bytes]], roots: trust.Trust) -> None:
    config = json.loads(files[API]["authentication.kubeconfig"])
    webhook = trust.webhook(PLANE, roots, NOW)
    assert config["users"][0]["user"] == {"token": webhook.bearer}
    assert config["clusters"][0]["cluster"]["server"] == f"https://{PLANE.webhook}:443/authenticate"
    assert hosts(webhook.certificate) == {PLANE.webhook}
