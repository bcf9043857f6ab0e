"""Settings of registries: what containerd gets of them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.test_components_node import node

from roadstead.clusters.components import containerd, registries
from roadstead.core import errors

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBTTCB9KADAgECAhQBAgMEBQYHCAkKCwwNDg8QERITFDAKBggqhkjOPQQDAjAA
-----END CERTIFICATE-----
"""


def test_without_settings_nothing_is_added() -> None:
    of = registries.Registries()
    assert registries.files(of) == {}
    assert registries.table(of) == ""
    assert set(containerd.unit(node(), of).environment) == {"PATH"}


def test_proxies_are_passed_by_for_everything_of_the_cluster() -> None:
    of = registries.Registries(http_proxy="http://p:3128", https_proxy="http://p:3129", no_proxy=("corp.example",))
    environment = containerd.unit(node(), of).environment
    assert environment["HTTP_PROXY"] == "http://p:3128"
    assert environment["HTTPS_PROXY"] == "http://p:3129"
    direct = environment["NO_PROXY"].split(",")
    assert {"192.168.0.0/16", "10.100.0.0/16", "169.254.0.0/16", ".svc", "corp.example"} <= set(direct)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mirrors": {"doc ker.io": ("https://m",)}}, "'doc ker.io' is not a registry"),
        ({"mirrors": {"docker.io/library": ("https://m",)}}, "is not a registry"),
        ({"mirrors": {"docker.io": ("m:5000",)}}, "mirrors of docker.io: 'm:5000' is not a URL"),
        ({"mirrors": {"docker.io": ("https://m:99999",)}}, "is not a URL"),
        ({"mirrors": {"docker.io": ('https://m/"]\n[x',)}}, "is not a URL"),
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
