"""TLS: with a certificate of our own CA or a given one; an address that is not loopback never speaks plain HTTP."""

from __future__ import annotations

import datetime as dt
import os
import ssl
import stat
from pathlib import Path

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from cryptography import x509
from testkit import api_served

from roadstead.aws.http import certificates
from roadstead.core import errors
from roadstead.identity import homes
from roadstead.serve import main

NOW = dt.datetime.now(dt.UTC)


def options(state: Path, address: str, certificate: Path | None = None, key: Path | None = None) -> main.Options:
    return main.Options(state, address, 0, "eu-central-1", certificate, key, None)


def test_boto3_over_tls(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path / "tls", ["127.0.0.1"], NOW)
    given = ("--certificate", str(files.certificate), "--key", str(files.key))
    with api_served.served(tmp_path / "state", tmp_path / "home", *given) as running:
        assert running.endpoint.startswith("https://127.0.0.1:")
        assert running.client("eks", verify=str(files.ca)).list_clusters()["clusters"] == []
        with pytest.raises(botocore.exceptions.SSLError):
            running.client("eks").list_clusters()
        running.endpoint = running.endpoint.replace("https", "http")
        with pytest.raises(botocore.exceptions.BotoCoreError):
            running.client("eks").list_clusters()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.9.9.9"])
def test_loopback_speaks_plain_http(tmp_path: Path, address: str) -> None:
    assert main._trust(options(tmp_path, address)) == main.Trust()


@pytest.mark.parametrize("address", ["192.0.2.1", "0.0.0.0", "::", "2001:db8::1"])
def test_other_addresses_speak_tls(tmp_path: Path, address: str) -> None:
    trust = main._trust(options(tmp_path, address))
    assert trust.tls is not None
    assert trust.ca == tmp_path / "tls" / "ca.pem"
    found = x509.load_pem_x509_certificate((tmp_path / "tls" / "server.pem").read_bytes())
    said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(one) for one in said.get_values_for_type(x509.IPAddress)}
    assert "127.0.0.1" in addresses
    assert address in addresses or address in ("0.0.0.0", "::")


def test_the_ca_lies_where_its_person_can_read_it(tmp_path: Path) -> None:
    trust = main._trust(options(tmp_path / "state", "192.0.2.1"))
    (tmp_path / "home").mkdir()
    place = main._readable_ca(homes.Owner(tmp_path / "home", os.getuid(), os.getgid()), trust)
    assert place == str(tmp_path / "home" / ".aws" / "roadstead-ca.pem")
    ssl.create_default_context(cafile=place)


def test_certificates_are_kept_until_they_do_not_fit(tmp_path: Path) -> None:
    first = certificates.ensure(tmp_path, ["127.0.0.1", "a.example"], NOW)
    content = first.certificate.read_bytes()
    ca = (tmp_path / "ca.pem").read_bytes()
    certificates.ensure(tmp_path, ["a.example", "127.0.0.1"], NOW)
    assert first.certificate.read_bytes() == content
    certificates.ensure(tmp_path, ["127.0.0.1", "b.example"], NOW)
    renamed = first.certificate.read_bytes()
    assert renamed != content
    certificates.ensure(tmp_path, ["127.0.0.1", "b.example"], NOW + dt.timedelta(days=380))
    assert first.certificate.read_bytes() != renamed
    assert (tmp_path / "ca.pem").read_bytes() == ca
    certificates.context(first)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("lost", ["ca.pem", "ca.key", "server.pem", "server.key"])
def test_what_is_lost_is_made_again(tmp_path: Path, lost: str) -> None:
    files = certificates.ensure(tmp_path, ["127.0.0.1"], NOW)
    (tmp_path / lost).unlink()
    certificates.ensure(tmp_path, ["127.0.0.1"], NOW)
    certificates.context(files)
    server = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    server.verify_directly_issued_by(ca)


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("nothing")
    with pytest.raises(errors.Failed, match="cannot be used"):
        main._trust(options(tmp_path, "127.0.0.1", tmp_path / "c", tmp_path / "c"))
