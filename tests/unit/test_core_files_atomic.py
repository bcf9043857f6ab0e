"""Files that are seen whole or not at all: what a reader sees, what a killed writer leaves, what is durable."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from roadstead.core.files import atomic

_FOR_EVER = """
import itertools, pathlib, sys
from roadstead.core.files import atomic
place = pathlib.Path(sys.argv[1])
for number in itertools.count():
    atomic.write(place, f"{number % 10}".encode() * 200_000, 0o600, durable=False)
    if number == 3:
        print("going", flush=True)
"""

_FULL = """
import pathlib, resource, signal, sys

from roadstead.core.files import atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic.write(pathlib.Path(sys.argv[1]), b"new" * 1000, 0o600)
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_gets_its_content_and_mode_whatever_the_umask(tmp_path: Path, durable: bool) -> None:
    before = os.umask(0o077)
    try:
        for content, mode in ((b"one", 0o644), (b"", 0o600), (b"two" * 100_000, 0o640)):
            atomic.write(tmp_path / "a", content, mode, durable=durable)
            assert (tmp_path / "a").read_bytes() == content
            assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    finally:
        os.umask(before)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_within_an_open_folder_its_path_may_be_renamed_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    folder = os.open(tmp_path / "old", os.O_RDONLY | os.O_DIRECTORY)
    try:
        (tmp_path / "old").rename(tmp_path / "new")
        atomic.write("a", b"text", 0o600, within=folder)
    finally:
        os.close(folder)
    assert (tmp_path / "new" / "a").read_bytes() == b"text"


def test_what_a_killed_writer_left_is_cleared_and_no_link_is_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / atomic.draft_of("a")).symlink_to(victim)
    (tmp_path / "a").symlink_to(victim)
    atomic.write(tmp_path / "a", b"text", 0o600)
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "a").is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "victim"]


def test_an_error_on_the_way_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def half() -> None:
        with atomic.replacing(tmp_path / "a", 0o600) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a": "old"}


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    command = (sys.executable, "-c", _FULL, str(tmp_path / "a"))
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment()).stdout
    assert said == "OSError\n"
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"a": "old"}


def test_a_folder_in_the_place_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path / "a", b"text", 0o600)
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    with pytest.raises(FileNotFoundError):
        atomic.write(tmp_path / "none" / "a", b"text", 0o600)


def test_a_reader_sees_whole_files_only_and_so_it_stays_when_the_writer_is_killed(tmp_path: Path) -> None:
    place = tmp_path / "a"
    with subprocess.Popen(
        (sys.executable, "-c", _FOR_EVER, str(place)), stdout=subprocess.PIPE, env=_environment()
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"going\n"
        for _ in range(200):
            _whole(place.read_bytes(), 200_000)
        writer.send_signal(signal.SIGKILL)
    _whole(place.read_bytes(), 200_000)
    atomic.write(place, b"next", 0o600)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a": b"next"}


def test_several_who_write_at_once_each_write_whole(tmp_path: Path) -> None:
    place = tmp_path / "a"
    failed: list[BaseException] = []

    def often(letter: bytes) -> None:
        try:
            for _ in range(100):
                atomic.write(place, letter * 300_000, 0o600, durable=False, shared=True)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=often, args=(letter,)) for letter in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if place.exists():
            _whole(place.read_bytes(), 300_000)
    assert failed == []
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_the_content_is_on_the_disk_before_its_name_and_the_name_before_the_return(tmp_path: Path) -> None:
    asked = _asked(lambda: atomic.write(tmp_path / "a", b"text", 0o600))
    assert asked == ["fsync", "replace", "fsync"]
    assert _asked(lambda: atomic.create(tmp_path / "b", b"text", 0o600)) == ["fsync", "link", "fsync"]
    assert _asked(lambda: atomic.write(tmp_path / "a", b"text", 0o600, durable=False)) == ["replace"]


def test_settling_goes_through_all_files_and_folders_but_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "top" / "below").mkdir(parents=True)
    for name in ("one", "below/two"):
        (tmp_path / "top" / name).write_text(name)
    (tmp_path / "top" / "link").symlink_to("/nowhere")
    os.mkfifo(tmp_path / "top" / "pipe")
    assert _asked(lambda: atomic.settle(tmp_path / "top")) == ["fsync"] * 4
    folder = os.open(tmp_path / "top", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert _asked(lambda: atomic.settle(folder)) == ["fsync"] * 4
    finally:
        os.close(folder)


def test_what_is_there_is_not_created_again(tmp_path: Path) -> None:
    atomic.create(tmp_path / "a", b"first", 0o600)
    with pytest.raises(FileExistsError):
        atomic.create(tmp_path / "a", b"second", 0o600)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a": b"first"}


def _asked(done: Any) -> list[str]:
    """What is asked of the kernel about durability, in order: seen by the interpreter's own profiler."""
    seen = []
    names = {id(call): call.__name__ for call in (os.fsync, os.replace, os.link)}

    def look(_: object, event: str, argument: object) -> None:
        if event == "c_call" and id(argument) in names:
            seen.append(names[id(argument)])

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        done()
    finally:
        sys.setprofile(before)
    return seen


def _whole(content: bytes, size: int) -> None:
    assert len(content) == size
    assert content == content[:1] * size


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)}
