"""Judges a node's request for a certificate: who asks, for which name, with which addresses.

A node has two certificates. The first is its identity, asked for with its own bootstrap token and later renewed with
itself; whoever has it may read the Secrets of that node's pods. The second is what it serves logs and exec with. So
nobody gets one for another node's name, nor for another's address: with that it could answer in the other's place.

Source of the two forms: Kubernetes, "Certificate Signing Requests", signers kubernetes.io/kube-apiserver-client-kubelet
and kubernetes.io/kubelet-serving. Requests of other signers are none of ours.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cryptography import x509
from cryptography.x509 import oid

from roadstead.controllers.runtime import targets
from roadstead.core import foreign
from roadstead.kube.resources import Json

IDENTITY = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"

_NODE = "system:node:"
_BOOTSTRAP = "system:bootstrap:"
_ALWAYS = frozenset({"digital signature", "key encipherment"})
"""Usages that both may have; the second is RSA's."""
_PURPOSE = {IDENTITY: "client auth", SERVING: "server auth"}


@dataclass(frozen=True)
class Approve:
    """It is the node's own."""

    node: str
    renewal: bool = False
    """The node had an identity before."""


@dataclass(frozen=True)
class Refuse:
    """It can never be right. The reason, which may repeat what was asked for, is written into the request, too."""

    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", foreign.line(foreign.bounded(self.reason)))


@dataclass(frozen=True)
class Wait:
    """Not ours to say, or not yet: it is judged again when other nodes are expected."""

    reason: str


Judgement: TypeAlias = Approve | Refuse | Wait


@dataclass(frozen=True)
class _Asked:
    """What the PEM says."""

    name: str
    """The node's: the common name without its prefix."""
    names: tuple[str, ...]
    addresses: tuple[str, ...]


class _Wrong(Exception):
    """Its text is the reason."""


def judge(request: Json, expected: Mapping[str, targets.ExpectedNode]) -> Judgement:
    """request: a CertificateSigningRequest; expected: the cluster's nodes by name."""
    spec = request["spec"]
    signer = spec.get("signerName")
    if signer not in (IDENTITY, SERVING):
        return Wait(f"signer {signer} is not ours")
    if _decided(request):
        return Wait("decided already")
    try:
        _check_usages(spec, signer)
        asked = _parse(spec.get("request") or "")
        user = str(spec.get("username") or "")
        if signer == IDENTITY:
            _check_identity(asked)
            return _requester(user, asked, expected)
        return _serving(user, asked, expected)
    except _Wrong as wrong:
        return Refuse(str(wrong))


def _decided(request: Json) -> bool:
    status = request.get("status") or {}
    return bool(status.get("certificate")) or any(
        condition.get("type") in ("Approved", "Denied", "Failed") for condition in status.get("conditions") or ()
    )


def _check_usages(spec: Json, signer: str) -> None:
    usages = set(spec.get("usages") or ())
    purpose = _PURPOSE[signer]
    if purpose not in usages or "digital signature" not in usages or usages - _ALWAYS - {purpose}:
        raise _Wrong(f"usages {', '.join(sorted(usages))}: a node's are digital signature and {purpose}")


def _parse(encoded: str) -> _Asked:
    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(encoded, validate=True))
        alternatives = _alternatives(parsed)
        valid = parsed.is_signature_valid
    except (ValueError, binascii.Error, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise _Wrong(f"the request cannot be read: {error}") from None
    except Exception as error:  # An unknown algorithm or curve is cryptography's own exception.
        raise _Wrong(f"the request cannot be checked: {error}") from None
    if not valid:
        raise _Wrong("the request is not signed by its own key")
    subject = [(attribute.oid, attribute.value) for attribute in parsed.subject]
    common = [str(value) for kind, value in subject if kind == oid.NameOID.COMMON_NAME]
    groups = [str(value) for kind, value in subject if kind == oid.NameOID.ORGANIZATION_NAME]
    if len(subject) != 2 or len(common) != 1 or groups != ["system:nodes"]:
        raise _Wrong("the subject is not O=system:nodes, CN=system:node:NAME alone")
    if not common[0].startswith(_NODE) or common[0] == _NODE:
        raise _Wrong(f"the common name {common[0]!r} is not {_NODE}NAME")
    if alternatives is None:
        return _Asked(common[0].removeprefix(_NODE), (), ())
    names = tuple(alternatives.get_values_for_type(x509.DNSName))
    addresses = tuple(str(address) for address in alternatives.get_values_for_type(x509.IPAddress))
    if len(names) + len(addresses) != len(alternatives):
        raise _Wrong("other subject alternative names than DNS names and addresses")
    return _Asked(common[0].removeprefix(_NODE), names, addresses)


def _alternatives(parsed: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    found = None
    for extension in parsed.extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            raise _Wrong(f"extension {extension.oid.dotted_string} is none that a node asks for")
        found = extension.value
    return found


def _check_identity(asked: _Asked) -> None:
    if asked.names or asked.addresses:
        raise _Wrong("an identity has no subject alternative names")


def _requester(user: str, asked: _Asked, expected: Mapping[str, targets.ExpectedNode]) -> Judgement:
    """An identity is given to the node's own token, or to the node."""
    node = expected.get(asked.name)
    if user == _NODE + asked.name:
        return Approve(asked.name, renewal=True) if node is not None else Wait(_unknown(asked.name))
    if not user.startswith(_BOOTSTRAP):
        return Refuse(f"user {user} asks for the identity of node {asked.name}")
    token = user.removeprefix(_BOOTSTRAP)
    if node is None or node.token_id != token:
        owner = next((name for name, other in expected.items() if other.token_id == token), None)
        if owner is not None:
            return Refuse(f"the token of node {owner} asks for the identity of node {asked.name}")
        if node is not None:
            return Refuse(f"a token that is not node {asked.name}'s asks for its identity")
        return Wait(_unknown(asked.name))
    if node.leave is not None:
        return Refuse(f"node {asked.name} is to go")
    return Approve(asked.name)


def _serving(user: str, asked: _Asked, expected: Mapping[str, targets.ExpectedNode]) -> Judgement:
    if user != _NODE + asked.name:
        return Refuse(f"user {user} asks for the serving certificate of node {asked.name}")
    node = expected.get(asked.name)
    if node is None:
        return Wait(_unknown(asked.name))
    if not asked.names and not asked.addresses:
        return Refuse("a serving certificate is for a name or an address")
    strange = sorted({*asked.names, *asked.addresses} - {asked.name, node.address})
    if strange:
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        return Refuse(f"{foreign.bounded(strange[0], 253)}{more} is not node {asked.name}'s, which has {node.address}")
    return Approve(asked.name, renewal=True)


def _unknown(node: str) -> str:
    return f"node {node} is not expected"
