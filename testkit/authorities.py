"""Certificates of tests, and of what bench makes by hand: one kind of authority, by no code of Roadstead's own."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

_BEFORE, _AFTER = dt.timedelta(minutes=5), dt.timedelta(days=1)


class Pair(NamedTuple):
    """In PEM; the key in the older form that all programs read."""

    certificate: bytes
    key: bytes


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)


def subject(name: str, groups: Iterable[str] = ()) -> x509.Name:
    """A user of an API server: `CN` is its name, `O` are its groups."""
    parts = [x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*parts, x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])


class Authority:
    """Signs for a day. `pem` and `key`: those of an authority that there is; else a new one, with a key on P-256."""

    def __init__(self, name: str = "test", pem: bytes | None = None, key: bytes | None = None) -> None:
        if pem is None or key is None:
            self._key = ec.generate_private_key(ec.SECP256R1())
            always = x509.BasicConstraints(ca=True, path_length=None)
            self.certificate = self._signed(subject(name), subject(name), self._key, always)
        else:
            loaded = serialization.load_pem_private_key(key, None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            self._key, self.certificate = loaded, x509.load_pem_x509_certificate(pem)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        return key_pem(self._key)

    def issue(
        self, name: str, *, groups: Iterable[str] = (), addresses: Iterable[str] = (), names: Iterable[str] = ()
    ) -> Pair:
        """For a client, or for a server that is reached by these IP addresses and DNS names."""
        key = ec.generate_private_key(ec.SECP256R1())
        reached: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
        reached += map(x509.DNSName, names)
        more: x509.ExtensionType = x509.BasicConstraints(ca=False, path_length=None)
        if reached:
            more = x509.SubjectAlternativeName(reached)
        signed = self._signed(self.certificate.subject, subject(name, groups), key, more)
        return Pair(signed.public_bytes(serialization.Encoding.PEM), key_pem(key))

    def client(self, name: str, folder: Path, group: str = "") -> ssl.SSLContext:
        """TLS as a client of that name. Servers are asked by many addresses, so only their authority is looked at."""
        made = ssl.create_default_context(cadata=self.pem.decode())
        made.check_hostname = False
        pair = folder / f"client-{name.replace(':', '-')}.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(self.issue(name, groups=[group] if group else [])))
        made.load_cert_chain(pair)
        return made

    def _signed(
        self, by: x509.Name, of: x509.Name, key: ec.EllipticCurvePrivateKey, more: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(of)
            .issuer_name(by)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BEFORE)
            .not_valid_after(now + _AFTER)
            .add_extension(more, critical=isinstance(more, x509.BasicConstraints) and more.ca)
            .sign(self._key, hashes.SHA256())
        )


def request(
    signer: str, usages: list[str], name: str, groups: Iterable[str] = (), addresses: Iterable[str] = ()
) -> tuple[dict[str, Any], bytes]:
    """A CertificateSigningRequest as a client makes one, and its key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(name, groups))
    reached = [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    if reached:
        builder = builder.add_extension(x509.SubjectAlternativeName(reached), critical=False)
    asked = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"signerName": signer, "request": base64.b64encode(asked).decode(), "usages": usages}
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": spec,
    }, key_pem(key)
