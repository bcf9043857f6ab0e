"""The file edge and the logs, in a folder."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from roadstead.agent.units import files, logs
from roadstead.core import errors
from roadstead.core.files import inotify

ME = os.getuid()


def test_a_file_is_replaced_whole_or_left_alone(tmp_path: Path) -> None:
    with files.folder(tmp_path) as within:
        assert files.replace(within, "a", b"one", 0o400, ME)
        first = (tmp_path / "a").stat()
        assert stat.S_IMODE(first.st_mode) == 0o400
        assert not files.replace(within, "a", b"one", 0o400, ME)
        assert (tmp_path / "a").stat().st_ino == first.st_ino
        assert files.replace(within, "a", b"one", 0o444, ME)
        (tmp_path / ".a.new").write_text("left by a crash")
        assert files.replace(within, "a", b"on", 0o444, ME)
        assert (tmp_path / "a").read_bytes() == b"on"
        assert files.names(within) == {"a"}
        files.remove(within, "a")
        files.remove(within, "a")
        assert files.names(within) == set()


def test_nothing_that_was_planted_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("secret")
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "to-etc").symlink_to("/etc")
    with files.folder(tmp_path) as within:
        for name in ("link", "fifo", "to-etc", "none"):
            assert files.read(within, name, 10) is None
        assert files.read(within, "target", 3) is not None
        assert files.replace(within, "link", b"x", 0o444, ME)
        assert (tmp_path / "target").read_text() == "secret"
        with pytest.raises(errors.Conflict, match="to-etc is not a folder"):
            files.make_folder(within, "to-etc", 0o700, ME)
        files.make_folder(within, "own", 0o700, ME)
        (tmp_path / "own").chmod(0o777)
        files.make_folder(within, "own", 0o700, ME)
        assert stat.S_IMODE((tmp_path / "own").stat().st_mode) == 0o700


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Nine lines in three files, and things that are none of the log."""
    for name, lines in (("@4000-1.s", (1, 2, 3)), ("@4000-2.s", (4, 5, 6)), ("current", (7, 8, 9))):
        (tmp_path / name).write_text("".join(f"line {line}\n" for line in lines))
    (tmp_path / "lock").touch()
    (tmp_path / "@4000-0.s").symlink_to("/etc/passwd")
    return tmp_path


async def read(log: Path, lines: int | None, until: str = "", act: Callable[[], None] | None = None) -> list[int]:
    """The numbers of the lines read; with `until`, followed to that text; `act` is done after the first block."""
    watcher = inotify.Inotify()
    raw = b""
    try:
        async with asyncio.timeout(10):
            blocks = logs.read(log, lines, bool(until), watcher)
            async for block in blocks:
                raw += block
                if act is not None:
                    act()
                    act = None
                if until and until.encode() in raw:
                    break
            await blocks.aclose()  # type: ignore[attr-defined]
    finally:
        watcher.close()
    return [int(line.split()[1]) for line in raw.decode().splitlines()]


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 4, 6, 8, 9, 20, None])
def test_the_last_lines(log: Path, lines: int | None) -> None:
    wanted = list(range(1, 10)) if lines is None else list(range(1, 10))[max(0, 9 - lines) :]
    assert asyncio.run(read(log, lines)) == wanted


def test_lines_longer_than_a_block(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("".join(f"line {n} {'x' * 100_000}\n" for n in range(5)))
    assert asyncio.run(read(tmp_path, 2)) == [3, 4]


def test_following_through_several_rotations_at_once(log: Path) -> None:
    def act() -> None:
        with (log / "current").open("a") as file:
            file.write("line 10\n")
        (log / "current").rename(log / "@4000-3.s")
        (log / "@4000-4.s").write_text("line 11\n")
        (log / "current").write_text("line 12\n")

    assert asyncio.run(read(log, 1, "line 12", act)) == [9, 10, 11, 12]


def test_following_when_the_oldest_was_taken_away(log: Path) -> None:
    def act() -> None:
        for path in log.glob("@*"):
            path.unlink()
        (log / "current").unlink()
        (log / "@4000-5.s").write_text("line 20\n")
        (log / "current").write_text("line 21\n")

    assert asyncio.run(read(log, 2, "line 21", act)) == [8, 9, 20, 21]


def test_following_an_empty_log(tmp_path: Path) -> None:
    async def follow() -> list[int]:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read(tmp_path, 5, "line 1"))
            await asyncio.sleep(0)
            (tmp_path / "current").write_text("line 1\n")
        return reading.result()

    assert asyncio.run(follow()) == [1]


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        asyncio.run(read(tmp_path / "none", 1))
