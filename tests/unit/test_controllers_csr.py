"""The judge of nodes' requests for certificates: real requests, right ones and every way to be wrong."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid
from hypothesis import given
from hypothesis import strategies as st

from roadstead.contract import leaving
from roadstead.controllers.nodes import csr
from roadstead.controllers.runtime import targets
from roadstead.kube.resources import Json

KEY = ec.generate_private_key(ec.SECP256R1())
ONE = "ip-192-168-1-1.eu-central-1.compute.internal"
TWO = "ip-192-168-1-2.eu-central-1.compute.internal"
NODES: Mapping[str, targets.ExpectedNode] = {
    name: targets.ExpectedNode(
        instance=f"i-{number}",
        address=f"192.168.1.{number}",
        token_id=f"token{number}",
        token_secret="s" * 16,
        nodegroup="workers",
    )
    for number, name in enumerate((ONE, TWO), start=1)
}
PURPOSES = {csr.IDENTITY: "client auth", csr.SERVING: "server auth"}


def pem(
    common: str | None = None,
    groups: tuple[str, ...] = ("system:nodes",),
    names: tuple[x509.GeneralName, ...] = (),
    more: x509.ExtensionType | None = None,
    extra: tuple[x509.NameAttribute[str], ...] = (),
) -> bytes:
    subject = [x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, group) for group in groups]
    if common is not None:
        subject.append(x509.NameAttribute(oid.NameOID.COMMON_NAME, common))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([*subject, *extra]))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if more is not None:
        builder = builder.add_extension(more, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def request(signer: str, user: str, content: bytes, usages: tuple[str, ...] | None = None) -> Json:
    return {
        "metadata": {"name": "csr-1"},
        "spec": {
            "signerName": signer,
            "username": user,
            "request": base64.b64encode(content).decode(),
            "usages": list(
                usages if usages is not None else ("digital signature", PURPOSES.get(signer, "client auth"))
            ),
        },
    }


def identity(user: str, content: bytes | None = None, **more: tuple[str, ...]) -> csr.Judgement:
    return csr.judge(request(csr.IDENTITY, user, content or pem(f"system:node:{ONE}"), **more), NODES)


def serving(*names: x509.GeneralName, user: str = f"system:node:{ONE}", node: str = ONE) -> csr.Judgement:
    return csr.judge(request(csr.SERVING, user, pem(f"system:node:{node}", names=names)), NODES)


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def test_a_nodes_own_requests_are_approved() -> None:
    assert identity("system:bootstrap:token1") == csr.Approve(ONE)
    assert identity(f"system:node:{ONE}") == csr.Approve(ONE, renewal=True)
    assert serving(address("192.168.1.1")) == csr.Approve(ONE, renewal=True)
    assert serving(x509.DNSName(ONE), address("192.168.1.1")) == csr.Approve(ONE, renewal=True)
    rsa = ("key encipherment", "digital signature", "client auth")
    assert identity("system:bootstrap:token1", usages=rsa) == csr.Approve(ONE)


@pytest.mark.parametrize(
    "user",
    [
        "system:bootstrap:token2",
        f"system:node:{TWO}",
        "kubernetes-admin",
        "system:bootstrap:",
        "system:bootstrap:other",
    ],
)
def test_nobody_else_gets_a_nodes_identity(user: str) -> None:
    assert isinstance(identity(user), csr.Refuse)


@pytest.mark.parametrize("user", [f"system:node:{TWO}", "system:bootstrap:token1", "kubernetes-admin"])
def test_a_serving_certificate_is_for_the_node_itself(user: str) -> None:
    assert isinstance(serving(address("192.168.1.1"), user=user), csr.Refuse)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pem(f"system:node:{ONE}", groups=("system:masters",)), "subject"),
        (pem(f"system:node:{ONE}", groups=("system:nodes", "system:masters")), "subject"),
        (pem(f"system:node:{ONE}", groups=()), "subject"),
        (pem(None), "subject"),
        (pem(f"system:node:{ONE}", extra=(x509.NameAttribute(oid.NameOID.COUNTRY_NAME, "DE"),)), "subject"),
        (pem("system:node:"), "common name"),
        (pem("kubernetes-admin"), "common name"),
        (pem("roadstead:serve"), "common name"),
        (pem("roadstead:serve", groups=()), "subject"),
        (pem(f"system:node:{ONE}", groups=("system:nodes", "roadstead:admins")), "subject"),
        (pem(f"system:node:{ONE}", names=(x509.DNSName(ONE),)), "alternative names"),
        (pem(f"system:node:{ONE}", names=(x509.RFC822Name("a@b.example"),)), "alternative names"),
        (pem(f"system:node:{ONE}", more=x509.BasicConstraints(ca=True, path_length=None)), "extension"),
        (b"no certificate request", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_an_identity_may_not_be(content: bytes, words: str) -> None:
    judged = identity("system:bootstrap:token1", content or b"\n")
    assert isinstance(judged, csr.Refuse)
    assert words in judged.reason


@pytest.mark.parametrize(
    "usages",
    [
        (),
        ("client auth",),
        ("digital signature",),
        ("digital signature", "server auth"),
        ("digital signature", "client auth", "server auth"),
        ("digital signature", "client auth", "cert sign"),
    ],
)
def test_usages(usages: tuple[str, ...]) -> None:
    assert isinstance(identity("system:bootstrap:token1", usages=usages), csr.Refuse)


@pytest.mark.parametrize(
    "names",
    [
        (),
        (address("192.168.1.2"),),
        (address("192.168.1.1"), address("10.100.0.1")),
        (x509.DNSName(TWO),),
        (x509.DNSName("kubernetes.default.svc"), address("192.168.1.1")),
        (x509.DNSName(f"*.{ONE}"),),
        (x509.UniformResourceIdentifier("https://node"), address("192.168.1.1")),
        (x509.RFC822Name("a@b.example"),),
    ],
)
def test_what_a_serving_certificate_may_not_be_for(names: tuple[x509.GeneralName, ...]) -> None:
    assert isinstance(serving(*names), csr.Refuse)


def test_a_request_that_another_key_signed_is_refused() -> None:
    good = x509.load_pem_x509_csr(pem(f"system:node:{ONE}")).public_bytes(serialization.Encoding.DER)
    forged = good[:-1] + bytes([good[-1] ^ 1])
    body = (
        b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.b64encode(forged) + b"\n-----END CERTIFICATE REQUEST-----\n"
    )
    judged = identity("system:bootstrap:token1", body)
    assert isinstance(judged, csr.Refuse)


def test_what_is_not_ours_or_not_yet_waits() -> None:
    assert isinstance(csr.judge(request("example.com/other", "someone", b"anything", usages=()), NODES), csr.Wait)
    new = "ip-192-168-1-9.eu-central-1.compute.internal"
    content = pem(f"system:node:{new}")
    assert isinstance(identity("system:bootstrap:token9", content), csr.Wait)
    assert isinstance(identity(f"system:node:{new}", content), csr.Wait)
    decided = request(csr.IDENTITY, "system:bootstrap:token2", pem(f"system:node:{ONE}"))
    for status in ({"conditions": [{"type": "Denied"}]}, {"conditions": [{"type": "Approved"}]}, {"certificate": "x"}):
        assert isinstance(csr.judge({**decided, "status": status}, NODES), csr.Wait)


def test_a_node_that_is_to_go_keeps_what_it_has_and_gets_no_new_identity() -> None:
    going = {**NODES, ONE: replace(NODES[ONE], leave=leaving.Leave.MOVED)}
    content = pem(f"system:node:{ONE}")
    assert isinstance(csr.judge(request(csr.IDENTITY, "system:bootstrap:token1", content), going), csr.Refuse)
    assert isinstance(csr.judge(request(csr.IDENTITY, f"system:node:{ONE}", content), going), csr.Approve)


@given(
    st.sampled_from(list(PURPOSES)),
    st.sampled_from(
        [f"system:{kind}{who}" for kind in ("node:", "bootstrap:") for who in (ONE, TWO, "token1", "token2")]
    ),
    st.sampled_from([ONE, TWO]),
    st.lists(st.sampled_from(["192.168.1.1", "192.168.1.2", ONE, TWO]), unique=True),
)
def test_what_is_approved_names_the_requester_alone(signer: str, user: str, node: str, names: list[str]) -> None:
    general = tuple(address(name) if name[0].isdecimal() else x509.DNSName(name) for name in names)
    judged = csr.judge(request(signer, user, pem(f"system:node:{node}", names=general)), NODES)
    own = {"system:node:" + node} | ({f"system:bootstrap:{NODES[node].token_id}"} if signer == csr.IDENTITY else set())
    allowed = {node, NODES[node].address}
    fits = not names if signer == csr.IDENTITY else bool(names) and set(names) <= allowed
    assert isinstance(judged, csr.Approve) == (user in own and fits)


@given(st.binary(max_size=200))
def test_whatever_the_request_says_it_is_judged(content: bytes) -> None:
    assert isinstance(identity("system:bootstrap:token1", content or b"\0"), csr.Refuse)


def test_what_was_asked_for_is_repeated_bounded_and_escaped() -> None:
    evil = "\x1b]0;owned\x07\x1b[31mroot@host #\n"
    many = [x509.DNSName(f"{evil}{number}") for number in range(500)]
    for judged in (
        serving(*many),
        serving(x509.DNSName(evil * 10_000)),
        serving(*many, user=f"system:node:{evil}"),
        identity(f"system:bootstrap:{evil * 10_000}"),
        identity(evil * 10_000),
        identity(ONE, pem(evil)),
        csr.judge(request(csr.IDENTITY, ONE, pem(f"system:node:{ONE}"), (evil * 10_000,)), NODES),
    ):
        assert isinstance(judged, csr.Refuse)
        assert judged.reason.isprintable()
        assert len(judged.reason) < 6 * 1024
    refused = serving(*many)
    assert isinstance(refused, csr.Refuse)
    assert refused.reason.endswith(f" (and 499 more) is not node {ONE}'s, which has 192.168.1.1")
    assert "\\u001b]0;owned\\u0007" in refused.reason
