"""`roadstead engine` as a user meets it: tables, JSON, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roadstead.core import errors
from roadstead.engine import catalog, progress
from roadstead.machine import engine as command


def program(says: str) -> str:
    return f"#!/bin/sh\necho {says}\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str | None]:
    """A cache of its own, and a folder that has etcd."""
    folder = tmp_path / "own" / "etcd-3.6.16"
    folder.mkdir(parents=True)
    for name in ("etcd", "etcdctl", "etcdutl"):
        (folder / name).write_text(program(f"etcd Version: 3.6.16 as {name}"))
    return {"ROADSTEAD_CACHE": str(tmp_path / "cache"), "ROADSTEAD_ENGINE_PATH": None}


def call(environment: dict[str, str | None], *arguments: str) -> Result:
    return CliRunner().invoke(command.engine, list(arguments), env=environment)


def test_get_list_verify_remove(environment: dict[str, str | None], tmp_path: Path) -> None:
    got = call(environment, "get", "etcd", "--path", str(tmp_path / "own"))
    assert got.exit_code == 0, got.output
    name, _, folder = got.stdout.strip().partition("\t")
    assert name == "etcd-3.6.16"
    assert sorted(file.name for file in Path(folder).iterdir()) == ["etcd", "etcdctl", "etcdutl", "manifest.json"]
    assert "etcd-3.6.16: ready (path; not verified" in got.stderr

    rows = {row["name"]: row for row in json.loads(call(environment, "list", "-o", "json").stdout)}
    assert rows["etcd"]["state"] == "ready"
    assert rows["etcd"]["source"] == "path"
    assert rows["etcd"]["verified"].startswith("not verified")
    assert rows["etcd"]["components"]["etcd"].startswith("sha256:")
    assert rows["containerd"]["state"] == "absent"

    assert call(environment, "verify", "etcd").exit_code == 0
    file = Path(folder) / "etcdctl"
    file.chmod(0o755)
    file.write_text(program("etcd Version: 3.6.16 as etcdCTL"))
    broken = call(environment, "verify", "etcd")
    assert broken.exit_code == 1
    assert "etcd-3.6.16 is broken" in broken.stderr
    assert "etcdctl has another SHA-256" in broken.stdout

    assert call(environment, "remove", "etcd").stdout == "etcd-3.6.16: removed\n"
    assert not Path(folder).exists()
    assert call(environment, "remove", "etcd").stdout == "etcd-3.6.16: was not here\n"
    assert call(environment, "verify", "etcd").exit_code == 1


def test_the_table_lists_the_whole_catalog(environment: dict[str, str | None]) -> None:
    lines = call(environment, "list", "--arch", "arm64").stdout.splitlines()
    assert lines[0].split() == ["ENGINE", "VERSION", "ARCH", "STATE", "SIZE", "SOURCE", "VERIFIED"]
    assert len(lines) == 1 + len(catalog.releases(catalog.load(), "arm64"))


def test_wrong_usage(environment: dict[str, str | None]) -> None:
    assert call(environment, "get").exit_code == 2
    assert isinstance(call(environment, "get", "nothing").exception, errors.NotFound)
    assert isinstance(call(environment, "remove", "busybox").exception, errors.Invalid)


def test_passing_news_is_seldom_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with command.Screen(terminal=False) as screen:
        screen.show(progress.Progress("x-1", "one of many", passing=True))
        screen.show(progress.Progress("x-1", "done"))
    assert capsys.readouterr().err == "x-1: done\n"
