"""What `roadstead start` is told of registries and of the machine's address, and how kubeconfigs follow it."""

from __future__ import annotations

import datetime as dt
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from roadstead.clusters.components import registries
from roadstead.clusters.trust import authorities
from roadstead.core import errors, instance
from roadstead.machine.services import kubeconfigs
from roadstead.machine.services import registries as files
from roadstead.machine.supervision import settings, tree

PEM = authorities.authority("private", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)).certificate.decode()

TOML = """
authorities = ["ca.pem"]
https_proxy = "http://proxy.example:3128"
no_proxy = ["corp.example"]

[mirrors]
"docker.io" = ["https://mirror.example:5000", "https://second.example"]
"*" = "https://all.example"
"""
YAML = """
authorities: ca.pem
https_proxy: http://proxy.example:3128
no_proxy: [corp.example]
mirrors:
  docker.io: [https://mirror.example:5000, https://second.example]
  "*": https://all.example
"""


@pytest.mark.parametrize(("name", "text"), [("r.toml", TOML), ("r.yaml", YAML), ("registries", YAML)])
def test_a_file_of_registries_is_toml_or_yaml(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "ca.pem").write_text(PEM)
    (tmp_path / name).write_text(text)
    assert files.given(tmp_path / name) == registries.Registries(
        mirrors={"docker.io": ("https://mirror.example:5000", "https://second.example"), "*": ("https://all.example",)},
        authorities=PEM,
        https_proxy="http://proxy.example:3128",
        no_proxy=("corp.example",),
    )


def test_authorities_may_stand_in_the_file_itself(tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_text(PEM)
    (tmp_path / "r.toml").write_text(f'authorities = ["""\n{PEM}""", "other.pem"]\n')
    assert files.given(tmp_path / "r.toml").authorities == PEM + PEM


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mirors = {}", "Object contains unknown field `mirors`"),
        ("mirrors = 5", "Expected `object`, got `int` - at `\\$.mirrors`"),
        ("[mirrors\n", "it is not TOML: .* line 1"),
        ('[mirrors]\n"docker.io" = "mirror:5000"', "mirrors of docker.io: 'mirror:5000' is not a URL"),
        ('authorities = "absent.pem"', "authorities: .*/absent.pem cannot be read"),
        ('authorities = "r.toml"', "authorities of registries are not PEM"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused_by_its_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(errors.Invalid, match=f"--registries {tmp_path}/r.toml: {message}"):
        files.given(tmp_path / "r.toml")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"--registries .*/none.yaml: it cannot be read: .*No such file"):
        files.given(tmp_path / "none.yaml")


def test_what_serve_is_given_is_not_for_everyone_and_named_by_its_content(tmp_path: Path) -> None:
    places = replace(instance.Instance.named("t-one"), state=tmp_path / "state")
    one, other = registries.Registries(), registries.Registries(http_proxy="http://name:password@proxy:3128")
    group = os.getegid()
    names = [files.keep(places, of, group) for of in (one, other, other)]
    assert names[0] != names[1] == names[2]
    kept = places.state / names[1]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert registries.read(kept.read_bytes()) == other
    files.prune(places, names[1])
    assert [path.name for path in places.state.iterdir()] == [names[1]]
    files.prune(places, None)
    assert list(places.state.iterdir()) == []


def test_serve_is_told_where_settings_of_registries_are() -> None:
    places, ids = instance.Instance.named("t-one"), tree.Ids(serve=995, porter=994)
    serve = tree.serve(places, Path("/p"), settings.TreeSettings(registries="registries-1.json"), ids)
    assert serve.command[-2:] == ("--registries", "/var/lib/roadstead/t-one/registries-1.json")
    assert "--registries" not in tree.serve(places, Path("/p"), settings.TreeSettings(), ids).command


@pytest.mark.parametrize("address", ["0.0.0.0", "::1", "224.0.0.1"])
def test_clusters_are_reached_at_one_ipv4_address(address: str) -> None:
    with pytest.raises(errors.Invalid, match=f"--advertise-address {address}: one IPv4 address of this machine"):
        settings.merged(settings.TreeSettings(), advertise_address=address)


KUBECONFIG = """# kept as it is
apiVersion: v1
clusters:
- cluster: {certificate-authority-data: QQ==, server: https://127.0.0.1:16443}
  name: one.eu-central-1.eksctl.io
- cluster:
    server: "https://127.0.0.1:1644"
  name: arn:aws:eks:eu-central-1:012345678901:cluster/two
- cluster:
    server: https://127.0.0.1:36443
  name: kind-kind
- cluster:
    server: https://ABCD.gr7.eu-central-1.eks.amazonaws.com
  name: real.eu-central-1.eksctl.io
"""


def test_a_kubeconfig_follows_the_address_and_is_the_same_besides() -> None:
    after = kubeconfigs.readdressed(KUBECONFIG, "127.0.0.1", "192.0.2.7")
    expected = KUBECONFIG.replace("https://127.0.0.1:16443}", "https://192.0.2.7:16443}").replace(
        '"https://127.0.0.1:1644"', '"https://192.0.2.7:1644"'
    )
    assert after == expected
    assert kubeconfigs.readdressed(after, "192.0.2.7", "127.0.0.1") == KUBECONFIG
    assert kubeconfigs.readdressed(KUBECONFIG, "10.0.0.1", "192.0.2.7") == KUBECONFIG


@pytest.mark.parametrize("text", ["", "clusters: 5", "a: [", "clusters:\n- name: 5\n", "- x"])
def test_what_is_no_kubeconfig_stays_as_it_is(text: str) -> None:
    assert kubeconfigs.readdressed(text, "127.0.0.1", "192.0.2.7") == text


def test_the_calling_persons_file_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    environment = {"KUBECONFIG": str(path), "HOME": str(tmp_path)}
    assert kubeconfigs.follow(environment, "127.0.0.1", "192.0.2.7") == kubeconfigs.KubeconfigChange((str(path),))
    assert "server: https://192.0.2.7:16443" in path.read_text()
    assert kubeconfigs.follow(environment, "127.0.0.1", "192.0.2.7") == kubeconfigs.KubeconfigChange()
    absent = {"KUBECONFIG": str(tmp_path / "absent"), "HOME": str(tmp_path)}
    assert kubeconfigs.follow(absent, "127.0.0.1", "192.0.2.7") == kubeconfigs.KubeconfigChange()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config"]
