"""Settings of registries: what containerd gets of them, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.unit.test_components_node import node

from roadstead.clusters.components import containerd, registries
from roadstead.contract.messages import desired
from roadstead.core import errors

DIGEST = "sha256:" + "a" * 64
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBTTCB9KADAgECAhQBAgMEBQYHCAkKCwwNDg8QERITFDAKBggqhkjOPQQDAjAA
-----END CERTIFICATE-----
"""


def test_without_settings_nothing_is_added() -> None:
    of = registries.Registries()
    assert registries.files(of, {}) == {}
    assert registries.table(of) == ""
    unit = containerd.unit(node(), of, {})
    assert (set(unit.environment), unit.environment_file) == ({"PATH"}, None)


def test_proxies_are_passed_by_for_everything_of_the_cluster() -> None:
    of = registries.Registries(http_proxy="http://p:3128", https_proxy="http://p:3129", no_proxy=("corp.example",))
    direct = containerd.unit(node(), of, {registries.PROXIES: DIGEST}).environment["NO_PROXY"].split(",")
    assert {"192.168.0.0/16", "10.100.0.0/16", "169.254.0.0/16", ".svc", "corp.example"} <= set(direct)


def test_a_proxys_password_is_in_no_desired_state_and_no_complaint() -> None:
    of = registries.Registries(http_proxy="http://me:pa55@p:3128", https_proxy="http://me:pa55@p:3129")
    lines = b"HTTP_PROXY=http://me:pa55@p:3128\nHTTPS_PROXY=http://me:pa55@p:3129\n"
    assert registries.secrets(of) == {registries.PROXIES: lines}
    unit = containerd.unit(node(), of, {registries.PROXIES: DIGEST})
    assert unit.environment_file == registries.PROXIES
    assert unit.files[registries.PROXIES] == desired.UnitFile(blob=DIGEST, secret=True)
    assert b"pa55" not in msgspec.json.encode(unit)
    assert "pa55" not in repr(of)
    with pytest.raises(errors.Invalid, match=r"'\.\.\.@p:x' is not a URL") as caught:
        registries.Registries(http_proxy="http://me:pa55@p:x")
    assert "pa55" not in f"{caught.value.message} {caught.value.facts}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mirrors": {"doc ker.io": ("https://m",)}}, "'doc ker.io' is not a registry"),
        ({"mirrors": {"docker.io/library": ("https://m",)}}, "is not a registry"),
        ({"mirrors": {"docker.io": ("m:5000",)}}, "mirrors of docker.io: 'm:5000' is not a URL"),
        ({"mirrors": {"docker.io": ("https://m:99999",)}}, "is not a URL"),
        ({"mirrors": {"docker.io": ('https://m/"]\n[x',)}}, "is not a URL"),
        ({"mirrors": {"docker.io": ("https://me:pa55@m",)}}, "mirrors of docker.io: a URL with a password"),
        ({"http_proxy": "p:3128"}, "http_proxy: 'p:3128' is not a URL"),
        ({"https_proxy": "socks5://p:1"}, "https_proxy: .* is not a URL"),
        ({"no_proxy": ("a,b",)}, "no_proxy: 'a,b' is not a host"),
        ({"authorities": "no certificate"}, "authorities of registries are not PEM"),
        ({"authorities": CERTIFICATE}, "authorities of registries are not PEM"),
    ],
)
def test_what_cannot_be_right_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.Invalid, match=message):
        registries.Registries(**settings)
