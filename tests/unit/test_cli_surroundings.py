"""What a person's shell brings along: AWS's own keys, and a kubectl or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit import cloud_for_cli
from tests.unit.test_cli_served import SECRET, Said, cloud, said

from roadstead.core import errors
from roadstead.engine import cache, catalog, install
from roadstead.engine import settings as engine_settings
from roadstead.machine.services import kubectl
from roadstead.machine.supervision import tree

__all__ = ["cloud", "said"]
"""Fixtures."""

CREATE = "create cluster --without-nodegroup dev"


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(file: Path, says: str = "") -> Path:
    file.write_text(f"#!/bin/sh\n{says}\n")
    file.chmod(0o755)
    return file


@pytest.mark.usefixtures("cloud")
def test_awss_own_keys_are_not_asked_with(said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "of-aws")
    code, _, err = said(CREATE)
    assert (code, err) == (0, "")
    written = (tmp_path / ".kube" / "config").read_text()
    assert "- --profile\n      - roadstead\n" in written
    assert "of-aws" not in written


def test_keys_that_are_not_known_are_named(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint = (tmp_path / "config").read_text().split("endpoint_url = ")[1].strip()
    cloud.fail_at, cloud.fail_with = "ListClusters", "UnrecognizedClientException"
    assert "AWS_ACCESS_KEY_ID" not in said("get cluster")[2]
    for name, value in (("ACCESS_KEY_ID", "AKIA"), ("SECRET_ACCESS_KEY", SECRET), ("ENDPOINT_URL", endpoint)):
        monkeypatch.setenv(f"AWS_{name}", value)
    code, _, err = said("get cluster")
    assert code == 1
    assert err == (
        f"Error: {endpoint} does not know the key in AWS_ACCESS_KEY_ID: out of order "
        "To ask with the keys of a profile instead, unset AWS_ACCESS_KEY_ID or give --profile\n"
    )


@pytest.mark.usefixtures("cloud")
def test_where_there_is_no_kubectl_the_last_lines_say_how(
    said: Said, programs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    launcher = program(tmp_path / "roadstead")
    monkeypatch.setenv("ROADSTEAD_CHECKOUT", str(tmp_path))
    monkeypatch.chdir(programs)
    config = tmp_path / ".kube" / "config"
    hint = f'there is no kubectl on PATH for "{config}", try '
    _, out, _ = said(CREATE)
    assert f"{hint}'{launcher} kubectl get nodes'" in out
    monkeypatch.chdir(tmp_path)
    _, out, _ = said(f"{CREATE}-2 --kubeconfig {config}")
    assert f"{hint}'./roadstead kubectl --kubeconfig={config} get nodes'" in out
    program(programs / "roadstead")
    assert f"{hint}'roadstead kubectl get nodes'" in said(f"{CREATE}-3")[1]
    program(programs / "kubectl")
    assert f"kubectl command should work with \"{config}\", try 'kubectl get nodes'" in said(f"{CREATE}-4")[1]


def keep(place: Path, chosen: engine_settings.EngineSettings, version: str, says: str) -> Path:
    """A Kubernetes in a cache, whole; its kubectl."""
    release = catalog.resolve(chosen.catalog, f"kubernetes@{version}", catalog.machine_arch())
    key = install.key_of(release, chosen)
    with cache.locked(place, key.name, lambda _: None), cache.work_folder(place, key.name) as folder:
        entry = folder / "entry"
        entry.mkdir()
        for component in release.engine.components:
            program(entry / component, f"{says}: {version}")
        manifest = cache.Manifest(
            name=release.engine.name,
            version=release.version,
            arch=release.arch,
            recipe=key.recipe,
            source="path",
            origin="a test",
            verified="not verified",
            components=cache.seal(entry, release),
        )
        cache.put(place, key, entry, manifest)
    return key.folder(place) / "kubectl"


def test_the_newest_kubectl_of_the_caches_is_taken(tmp_path: Path) -> None:
    own, services = tmp_path / "own", tmp_path / "services"
    chosen = engine_settings.from_environment({"ROADSTEAD_CACHE": str(own)})
    arch = catalog.machine_arch()
    with pytest.raises(errors.NotFound, match=rf"no kubectl of Roadstead in {own}: `roadstead engine get 1.37` gets"):
        kubectl.newest(chosen, (own,), arch)
    old = keep(own, chosen, "1.35", "own")
    assert kubectl.newest(chosen, (own, services), arch) == old
    new = keep(services, chosen, "1.37", "services")
    assert kubectl.newest(chosen, (own, services), arch) == new
    assert kubectl.newest(chosen, (own,), arch) == old
    ours = keep(own, chosen, "1.37", "own")
    assert kubectl.newest(chosen, (own, services), arch) == ours
    # What is not whole is not run.
    ours.chmod(0o755)
    ours.write_text("#!/bin/sh\n")
    assert kubectl.newest(chosen, (own, services), arch) == new


def test_root_runs_its_own_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    services = tmp_path / "services"
    monkeypatch.setenv("ROADSTEAD_CACHE", str(tmp_path / "own"))
    monkeypatch.setattr(tree, "CACHE", services)
    shared = keep(services, engine_settings.from_environment(os.environ), "1.37", "services")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert kubectl.program() == shared
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(errors.NotFound):
        kubectl.program()


@pytest.mark.parametrize(
    "words",
    [["get", "nodes"], ["--help"], ["-n", "x", "exec", "pod", "--", "ls", "-l"], ["--", "-o", "json"], []],
)
def test_arguments_are_kubectls_as_they_are(words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    became: list[tuple[str, list[str]]] = []
    monkeypatch.setenv("ROADSTEAD_CACHE", str(tmp_path))
    place = keep(tmp_path, engine_settings.from_environment(os.environ), "1.37", "own")
    monkeypatch.setattr(os, "execv", lambda path, argv: became.append((str(path), argv)))
    assert CliRunner().invoke(kubectl.kubectl, words).exit_code == 0
    assert became == [(str(place), ["kubectl", *words])]
