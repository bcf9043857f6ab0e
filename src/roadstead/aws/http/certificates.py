"""A certificate authority of our own, and the server's certificate by it, where none is given.

In a folder of the state, 0600 each: `ca.pem`, `ca.key`, `server.pem` (certificate and CA), `server.key`. The CA is made
once and lives ten years, so that it is trusted once; the server's is made anew when it does not fit the addresses any
more, or ends within a month.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from roadstead.core import errors
from roadstead.core.files import atomic

_CA_LIFE = dt.timedelta(days=3650)
_SERVER_LIFE = dt.timedelta(days=397)
"""The longest that clients of today accept."""
_RENEWED = dt.timedelta(days=30)
_EARLIER = dt.timedelta(hours=1)
"""Clocks differ: certificates are good from a little before they were made."""


@dataclass(frozen=True)
class Files:
    """What a TLS server is given; `ca`: what clients are to trust, None when whoever gave the others knows."""

    certificate: Path
    key: Path
    ca: Path | None = None


def context(files: Files) -> ssl.SSLContext:
    """Raises Failed for files that do not belong together, or are none."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise errors.Failed(
            f"the certificate {files.certificate} with the key {files.key} cannot be used: {error}",
            path=files.certificate,
        ) from error
    return made


def names(address: str) -> tuple[str, ...]:
    """What clients may call a server that listens on an address: of all addresses those of the machine's name."""
    host = socket.gethostname()
    found = {"localhost", "127.0.0.1", "::1", host, socket.getfqdn()}
    if ipaddress.ip_address(address).is_unspecified:
        with_addresses = _resolved(host)
        return tuple(sorted(found | with_addresses))
    return tuple(sorted(found | {address}))


def _resolved(host: str) -> set[str]:
    try:
        return {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        # A machine whose name nobody knows is called by its addresses, of which then none is known here.
        return set()


def ensure(folder: Path, wanted: Iterable[str], now: dt.datetime) -> Files:
    """The files for a server of these names and addresses, made where they are not there or not good any more."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = Files(folder / "server.pem", folder / "server.key", folder / "ca.pem")
    alternatives = sorted(set(wanted))
    ca_key = folder / "ca.key"
    if not (folder / "ca.pem").is_file() or not ca_key.is_file():
        _make_ca(folder, now)
    elif _fits(files, alternatives, now):
        return files
    _make_server(files, ca_key, alternatives, now)
    return files


def _fits(files: Files, alternatives: list[str], now: dt.datetime) -> bool:
    if not files.certificate.is_file() or not files.key.is_file() or files.ca is None:
        return False
    found = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    issuer = x509.load_pem_x509_certificate(files.ca.read_bytes())
    said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    same = sorted([*said.get_values_for_type(x509.DNSName), *map(str, said.get_values_for_type(x509.IPAddress))])
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    return (
        same == alternatives
        and now < found.not_valid_after_utc - _RENEWED
        and found.issuer == issuer.subject
        and key.public_key() == found.public_key()
    )


def _make_ca(folder: Path, now: dt.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: clients that trust an earlier one must not take this for that.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Roadstead CA {os.urandom(4).hex()}")])
    made = (
        _builder(name, name, key, now, _CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The certificate last: without it a half made pair is made again.
    atomic.write(folder / "ca.key", _pem(key), 0o600)
    atomic.write(folder / "ca.pem", made.public_bytes(serialization.Encoding.PEM), 0o600)


def _make_server(files: Files, ca_key: Path, alternatives: list[str], now: dt.datetime) -> None:
    assert files.ca is not None
    ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
    signer = serialization.load_pem_private_key(ca_key.read_bytes(), password=None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey) or signer.public_key() != ca.public_key():
        raise errors.Failed(f"{ca_key} is not the key of {files.ca}: remove both, and clients must trust a new CA")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Roadstead")])
    made = (
        _builder(name, ca.subject, key, now, _SERVER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general(one) for one in alternatives]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    atomic.write(files.key, _pem(key), 0o600)
    chain = made.public_bytes(serialization.Encoding.PEM) + files.ca.read_bytes()
    atomic.write(files.certificate, chain, 0o600)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
