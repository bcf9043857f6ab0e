"""The first command on a machine: what is wrong with it is said before anything is begun, and for whom it is given."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from roadstead.machine import main
from roadstead.machine.services import first

STARTING = "Roadstead does not run here yet: `roadstead start`"
REFUSED = {
    "--name=_bad": "validation for _bad failed, name must satisfy regular expression pattern",
    "-N 5000": "a nodegroup has at most 450 nodes, not 5000",
    "--vpc-cidr=10.0.0.0/28": "10.0.0.0/28 has no room for eight subnets",
    "--version=1.20": "invalid version, 1.20 is not supported: this Roadstead offers 1.34, 1.35, 1.36, 1.37",
    "--region=eu-nowhere-9": "there is no region 'eu-nowhere-9'",
    "--zones=eu-central-1a,eu-central-1x": "there is no zone 'eu-central-1x' in this region",
    "--node-type=m5.tiny": "there is no instance type 'm5.tiny'",
    "--authenticator-role-arn=arn:aws:iam::123456789012:role/r": "roles cannot be assumed yet",
    "--kubeconfig=x --auto-kubeconfig": "cannot be used at the same time",
}

Begun = Callable[[], list[str]]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Begun:
    """A person at a checkout whose launcher only notes what it was called with; the lines of these notes."""
    checkout, notes = tmp_path / "checkout", tmp_path / "notes"
    checkout.mkdir()
    (checkout / "uv.lock").touch()
    launcher = checkout / "roadstead"
    launcher.write_text(f'#!/bin/sh\necho "$*" >>{notes}\nexit 7\n')
    launcher.chmod(0o755)
    for name in [key for key in os.environ if key.startswith(("AWS_", "SUDO_", "ROADSTEAD_")) or key == "KUBECONFIG"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROADSTEAD_CHECKOUT", str(checkout))
    monkeypatch.setenv("ROADSTEAD_INSTANCE", "t-first")
    return lambda: notes.read_text().splitlines() if notes.exists() else []


@pytest.mark.parametrize("flags", REFUSED)
def test_what_can_be_foreseen_is_refused_before_anything_is_begun(
    flags: str, begun: Begun, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["create", "cluster", *flags.split()]) == 1
    said = capfd.readouterr()
    assert begun() == []
    assert REFUSED[flags] in said.err
    assert (said.out, STARTING in said.err) == ("", False)


@pytest.mark.parametrize("flags", [each for each in REFUSED if "kubeconfig" not in each])
def test_what_would_be_refused_is_not_printed_either(
    flags: str, begun: Begun, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["create", "cluster", "--dry-run", *flags.split()]) == 1
    said = capfd.readouterr()
    assert (begun(), said.out) == ([], "")
    assert REFUSED[flags] in said.err


@pytest.mark.parametrize("words", ["create cluster", "create nodegroup --cluster=one"])
def test_a_region_that_there_is_not_is_not_printed_whoever_is_asked(
    words: str, begun: Begun, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://10.255.255.1:4566")
    line = [*words.split(), "--dry-run"]
    assert main.run([*line, "--region=us-west-7"]) == 1
    said = capfd.readouterr()
    assert (begun(), said.out) == ([], "")
    assert "there is no region 'us-west-7'" in said.err
    assert main.run([*line, "--region=us-west-2"]) == 0
    assert "region: us-west-2" in capfd.readouterr().out


def test_a_cluster_that_can_be_made_is_begun(begun: Begun, capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run(["create", "cluster", "--name=good", "-N", "4", "--region=eu-central-1"]) == 1
    assert begun() == ["start --instance t-first"]
    assert STARTING in capfd.readouterr().err


def test_under_sudo_the_profile_is_the_callers(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ann = tmp_path / "ann"
    (ann / ".aws").mkdir(parents=True)
    # Of an endpoint elsewhere: there is nothing to start here for her, whatever root's own files say.
    (ann / ".aws" / "config").write_text("[profile roadstead]\nendpoint_url = https://10.255.255.1:4566\n")
    for name, value in (("SUDO_UID", "12345"), ("SUDO_GID", "12345"), ("SUDO_HOME", str(ann))):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    first.before(["create", "cluster", "--name=good"])
    assert (begun(), capfd.readouterr().err) == ([], "")
