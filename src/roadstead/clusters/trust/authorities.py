"""Certificate authorities and the certificates they give: ECDSA P-256, PEM. Source of the fields: RFC 5280."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import oid

Usage = Literal["server", "client"]

AUTHORITY_DAYS = 3650
LEAF_DAYS = 365
_SKEW = dt.timedelta(hours=1)
"""Certificates are valid from before now: not all clocks are right."""
_USAGES = {
    "server": oid.ExtendedKeyUsageOID.SERVER_AUTH,
    "client": oid.ExtendedKeyUsageOID.CLIENT_AUTH,
}


@dataclass(frozen=True)
class Authority:
    """A certificate that signs others, and its key. Both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Credential:
    """A certificate with its key, and the authority by which the other side is known. All PEM."""

    certificate: bytes
    key: bytes
    authority: bytes


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whom a certificate is for: Kubernetes reads the name as the user, the organizations as groups."""

    name: str
    organizations: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Addresses and names by which a server is reached, mixed."""
    usages: tuple[Usage, ...]


def authority(name: str, now: dt.datetime) -> Authority:
    """A new root; `name` is its subject, and should be no other cluster's."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name, ())
    signs = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signs, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Authority(_pem(builder.sign(key, hashes.SHA256())), private_pem(key))


def leaf(by: Authority, subject: Subject, now: dt.datetime, days: int = LEAF_DAYS) -> Credential:
    """A new key with a certificate of that authority, which does not outlive the authority."""
    signer = serialization.load_pem_private_key(by.key, password=None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    root = x509.load_pem_x509_certificate(by.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    last = (root.not_valid_after_utc - now).days
    builder = (
        _builder(_subject(subject.name, subject.organizations), root.subject, key.public_key(), now, min(days, last))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in subject.usages]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if subject.hosts:
        names = x509.SubjectAlternativeName([_name(host) for host in dict.fromkeys(subject.hosts)])
        builder = builder.add_extension(names, critical=False)
    return Credential(_pem(builder.sign(signer, hashes.SHA256())), private_pem(key), by.certificate)


def credential_id(certificate: bytes) -> str:
    """What API servers call a client's certificate (PEM): no other has the same.

    Source: Kubernetes 1.34 to 1.37, apiserver/pkg/authentication/request/x509, CommonNameUserConversion.
    """
    return f"X509SHA256={x509.load_pem_x509_certificate(certificate).fingerprint(hashes.SHA256()).hex()}"


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """A private key as PKCS#8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _subject(name: str, organizations: Iterable[str]) -> x509.Name:
    parts = [x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*parts, x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
