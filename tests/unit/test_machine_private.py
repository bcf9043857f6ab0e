"""What is root's alone on disk is so from its first moment, and is made so where an earlier release left it open."""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadstead.agent import main
from roadstead.agent.records import desired as store
from roadstead.agent.records import host_ids
from roadstead.contract import programs
from roadstead.contract.messages.sections import former, names
from roadstead.core import instance
from roadstead.engine import cache
from roadstead.machine import installation
from roadstead.machine.supervision import make, settings, tree
from roadstead.serve.sections import publisher


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Nothing relies on what the starter's is."""
    before = os.umask(0o000)
    yield
    os.umask(before)


@pytest.fixture
def places(tmp_path: Path) -> instance.Instance:
    return instance.Instance(id="t-one", state=tmp_path / "state", run=tmp_path / "run", log=tmp_path / "log")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_can_open_the_desired_states_or_lock_them(tmp_path: Path) -> None:
    path = tmp_path / "desired.db"
    for _ in range(2):
        records = store.DesiredStore(path)
        host_ids.HostIds(records).uid("h", "t-one")
        assert {each.name: mode(each) for each in tmp_path.iterdir()} == {
            f"desired.db{more}": 0o600 for more in ("", "-wal", "-shm")
        }
        # The next finds them as an earlier release left them, which was killed.
        for each in tmp_path.iterdir():
            each.chmod(0o644)
    records.close()


@pytest.mark.skipif(os.getuid() != 0, reason="folders are root's")
def test_an_instances_folders_and_what_an_earlier_release_left_in_them(places: instance.Instance) -> None:
    for folder in (places.state, places.run, places.log):
        folder.mkdir(mode=0o777)
    for name, open_mode in (("instance.json", 0o644), ("agent.lock", 0o666), ("settings.json", 0o644)):
        (places.state / name).touch()
        (places.state / name).chmod(open_mode)
    (places.state / "registries-1.json").touch()
    os.chown(places.state / "registries-1.json", 0, 64001)
    (places.state / "registries-1.json").chmod(0o640)
    main.prepare(places)
    assert [mode(folder) for folder in (places.state, places.run, places.log)] == [0o711, 0o711, 0o700]
    # The record of the instance is written anew, by a program that has said `program.keep_private`.
    (places.state / "instance.json").unlink()
    assert {each.name: mode(each) for each in places.state.iterdir()} == {
        "agent.lock": 0o600,
        "settings.json": 0o644,
        "registries-1.json": 0o640,
    }


def test_settings_need_no_more_than_the_state(places: instance.Instance) -> None:
    settings.write(places, settings.TreeSettings())
    assert (mode(places.state), mode(places.state / programs.SETTINGS)) == (0o711, 0o644)
    assert not places.run.exists()
    assert not places.log.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="folders are root's")
def test_a_log_is_roots_also_where_it_was_the_services(places: instance.Instance, tmp_path: Path) -> None:
    folder = tree.log_folder(places, "serve")
    folder.mkdir(parents=True)
    shadow = tmp_path / "shadow"
    shadow.write_text("root:secret")
    shadow.chmod(0o640)
    (folder / "current").write_text("said")
    (folder / "@400000006").hardlink_to(shadow)
    (folder / "previous").symlink_to(shadow)
    os.mkfifo(folder / "lock")
    for each in (folder, folder / "current", folder / "lock"):
        os.chown(each, 64001, 64001)
    make.prepare(places, [tree.TreeService("serve", ("/bin/serve",))])
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [("current", "said")]
    for each in (folder, folder / "current"):
        assert (each.stat().st_uid, mode(each) & 0o077) == (0, 0)
    assert (shadow.stat().st_uid, mode(shadow), shadow.read_text()) == (0, 0o640, "root:secret")
    # Run scripts are nobody else's to read, nor their supervisors' locks to hold.
    assert mode(tree.folder(places)) == 0o700


def test_locks_are_held_by_nobody_else(places: instance.Instance, tmp_path: Path) -> None:
    places.run.mkdir()
    (places.run / "tree.lock").touch()
    with make.alone(places):
        assert mode(places.run / "tree.lock") == 0o600
        with (places.run / "tree.lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt" / ".lock").touch()
    with installation.alone(tmp_path / "opt"):
        assert mode(tmp_path / "opt" / ".lock") == 0o600
    (tmp_path / "cache" / "locks").mkdir(parents=True)
    with cache.locked(tmp_path / "cache", "one", lambda _: None):
        assert mode(tmp_path / "cache" / "locks") == 0o700
        assert mode(tmp_path / "cache" / "locks" / "one") == 0o600


def test_an_engine_is_for_all_to_read_whatever_the_umask(tmp_path: Path) -> None:
    os.umask(0o077)
    with cache.work_folder(tmp_path, "one") as folder:
        (folder / "made").mkdir()
        cache.move(tmp_path, "one", folder / "made", tmp_path / "engines" / "demo" / "1.0")
    assert [mode(tmp_path / each) for each in ("engines", "engines/demo")] == [0o755, 0o755]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what belongs to others")
def test_what_serve_writes_for_porter_is_porters_to_read_also_where_both_were_one_user(
    places: instance.Instance, tmp_path: Path
) -> None:
    serve, group = pwd.getpwnam("daemon"), grp.getgrnam("bin").gr_gid
    room, shadow = tree.sections(places), tmp_path / "shadow"
    room.mkdir(parents=True, mode=0o700)
    shadow.write_text("root:secret")
    shadow.chmod(0o600)
    (room / former.FILE).write_text("kept")
    (room / former.FILE).chmod(0o600)
    for each in (room, room / former.FILE):
        os.chown(each, serve.pw_uid, serve.pw_gid)
    (room / "second").hardlink_to(shadow)
    (room / "link").symlink_to(shadow)
    for _ in range(2):
        make.prepare(places, [tree.TreeService("serve", ("/bin/serve",), user="daemon", rooms=((room, "bin"),))])
        facts = room.stat()
        assert (facts.st_uid, facts.st_gid, mode(room)) == (serve.pw_uid, group, 0o2750)
    facts = (room / former.FILE).stat()
    assert (facts.st_uid, facts.st_gid, mode(room / former.FILE)) == (serve.pw_uid, group, 0o640)
    assert (shadow.stat().st_gid, mode(shadow)) == (0, 0o600)
    publisher.write(room, names.SECTION, names.SECTION.empty)
    file = room / names.SECTION.file
    assert (file.stat().st_gid, mode(file)) == (group, 0o640)
