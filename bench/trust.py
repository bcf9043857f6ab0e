"""Certificates for measuring: a CA of an hour, or a cluster's own, which root can read at its members."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)


class Authority:
    """Signs for an hour. `pem` and `key`: those of a CA that there is; else a new one."""

    def __init__(self, pem: bytes | None = None, key: bytes | None = None) -> None:
        if pem is None or key is None:
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._name = _name("bench")
            always = x509.BasicConstraints(ca=True, path_length=None)
            self.certificate = self._signed(self._name, self._key, always)
        else:
            loaded = serialization.load_pem_private_key(key, None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            self._key, self.certificate = loaded, x509.load_pem_x509_certificate(pem)
            self._name = self.certificate.subject

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key(self) -> bytes:
        return key_pem(self._key)

    def issue(self, name: str, *addresses: str, group: str = "") -> tuple[bytes, bytes]:
        """Certificate and key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        extension: x509.ExtensionType = x509.BasicConstraints(ca=False, path_length=None)
        if addresses:
            extension = x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
            )
        signed = self._signed(_name(name, group), key, extension)
        return signed.public_bytes(serialization.Encoding.PEM), key_pem(key)

    def client(self, name: str, folder: Path, group: str = "") -> ssl.SSLContext:
        """TLS as a client of that name. Servers are asked by many addresses, so only their CA is looked at."""
        made = ssl.create_default_context(cadata=self.pem.decode())
        made.check_hostname = False
        pair = folder / f"client-{name.replace(':', '-')}.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(self.issue(name, group=group)))
        made.load_cert_chain(pair)
        return made

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, more: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(more, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(common: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(oid.NameOID.COMMON_NAME, common)]
    if group:
        parts.insert(0, x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)
