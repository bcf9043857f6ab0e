"""What `uninstall` does, as data, and what it leaves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from roadstead.core import errors
from roadstead.machine import uninstall


def test_uninstall_ends_what_runs_before_it_takes_its_folders() -> None:
    places = uninstall.UninstallPlaces()
    seen = uninstall.Seen(("main", "t-1"), (places.state, places.programs), places.units, places.users, settings=True)
    assert uninstall.plan(seen) == (
        uninstall.EndInstance("main"),
        uninstall.EndInstance("t-1"),
        *(uninstall.RemoveUnit(unit) for unit in places.units),
        uninstall.RestoreSettings(),
        uninstall.RemoveFolder(places.state),
        uninstall.RemoveFolder(places.programs),
        uninstall.RemoveUser("roadstead"),
        uninstall.RemoveUser("roadstead-porter"),
        uninstall.RemoveUser("roadstead-engines"),
    )
    assert all(uninstall.explain(step) for step in uninstall.plan(seen))
    assert uninstall.plan(uninstall.Seen((), (), (), (), settings=False)) == ()


def test_uninstall_sees_what_is_there_and_removes_folders(tmp_path: Path) -> None:
    places = uninstall.UninstallPlaces(
        state=tmp_path / "lib",
        run=tmp_path / "run",
        log=tmp_path / "log",
        programs=tmp_path / "opt",
        cache=tmp_path / "cache",
        units=(tmp_path / "x.service",),
        users=("no-such-user-of-ours",),
        doctor=dataclasses.replace(uninstall.UninstallPlaces().doctor, record=tmp_path / "r", conf=tmp_path / "c"),
    )
    assert uninstall.plan(uninstall.see(places)) == ()
    (places.state / "main").mkdir(parents=True)
    (places.state / "doctor-before.json").touch()
    (places.log / "t-2").mkdir(parents=True)
    places.cache.mkdir()
    left = tmp_path / ".cache.old-12"
    left.mkdir()
    seen = uninstall.see(places)
    folders = (places.state, places.log, places.cache, left)
    assert seen == uninstall.Seen(("main", "t-2"), folders, (), (), settings=False)
    for path in seen.folders:
        uninstall.apply(uninstall.RemoveFolder(path), places)
    assert list(tmp_path.iterdir()) == []


def test_uninstall_spares_what_is_mounted(tmp_path: Path) -> None:
    disk = tmp_path / "state" / "disk"
    disk.mkdir(parents=True)
    line = f"36 35 98:0 / {disk} rw,noatime - ext4 /dev/loop0 rw\n"
    with pytest.raises(errors.Failed, match=f"{disk} is mounted"):
        uninstall.remove(tmp_path / "state", line)
    assert disk.is_dir()
    uninstall.remove(tmp_path / "state", line.replace(str(disk), str(tmp_path / "other")))
    assert not disk.exists()
