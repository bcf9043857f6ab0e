"""The virtual machine's own parts that decide: apt's sources, the kernel's settings, the line, the table."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vm import cabinet, debian, home, kernel, machine, results
from tests.vm.guest import console, look

ONE_LINE = "# a comment\ndeb [signed-by=/k.gpg] http://mirror.test/debian/ bookworm main contrib\n"
STANZAS = """\
Types: deb
# a comment between
URIs: http://other.test/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.test/debian
Suites: trixie trixie-updates
Components: main
Signed-By: /k.gpg
"""


@pytest.mark.parametrize("text", [ONE_LINE, STANZAS])
def test_the_archive_is_that_of_apts_sources(text: str) -> None:
    assert debian.main_archive(debian.sources(text)) == "http://mirror.test/debian"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb http://mirror.test/ubuntu noble main\n",
        "# deb http://mirror.test/debian bookworm main\n",
        STANZAS.replace("Types: deb deb-src", "Enabled: no\nTypes: deb"),
        STANZAS.replace("Types: deb deb-src", "Types: deb-src"),
    ],
)
def test_what_is_no_archive_of_debian_is_not_taken(text: str) -> None:
    assert debian.main_archive(debian.sources(text)) is None


def test_a_setting_that_the_kernel_undoes_is_seen() -> None:
    wanted = ["# words", "CONFIG_A=y", "CONFIG_B=y", "# CONFIG_C is not set", "# CONFIG_D is not set"]
    made = ["CONFIG_A=y", "# CONFIG_B is not set", "CONFIG_D=y"]
    assert kernel.undone(wanted, made) == ["CONFIG_B=y", "# CONFIG_D is not set"]


def test_an_entry_of_the_cabinet_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROADSTEAD_CACHE", str(tmp_path))

    def cut_off(folder: Path) -> None:
        (folder / "half").touch()
        raise KeyboardInterrupt

    def make(folder: Path) -> None:
        assert list(folder.iterdir()) == []
        (folder / "whole").touch()

    with pytest.raises(KeyboardInterrupt):
        cabinet.have("thing", "1", cut_off)
    assert cabinet.find("thing", "1") is None
    first = cabinet.have("thing", "1", make)
    assert cabinet.have("thing", "1", cut_off) == first == cabinet.find("thing", "1")
    # The next one takes its place, and those of other kinds stay.
    other = cabinet.have("thing else", "1", make)
    assert (cabinet.have("thing", "2", make) / "whole").exists()
    assert not first.exists()
    assert other.exists()


def test_folders_of_runs_that_were_killed_go_and_those_of_living_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROADSTEAD_CACHE", str(tmp_path))
    (cabinet.cabinet() / "run-killed").mkdir()
    with cabinet.run_folder() as living, cabinet.run_folder() as second:
        assert set(cabinet.cabinet().iterdir()) == {living, second}
    assert list(cabinet.cabinet().iterdir()) == []


def test_the_newer_checkout_says_another_version() -> None:
    assert home.newer('"""Words."""\n\n__version__ = "0.1.0"\n') == f'"""Words."""\n\n__version__ = "{home.NEWER}"\n'
    with pytest.raises(cabinet.Failed):
        home.newer("nothing\n")


def test_units_that_failed() -> None:
    listed = "● roadstead.service loaded failed failed Roadstead\nhaproxy.service  loaded failed failed HAProxy\n"
    assert machine.failed_units(listed) == ["roadstead.service", "haproxy.service"]
    assert machine.failed_units("") == []


# --- The line into the machine ------------------------------------------------------------------------------------


class Line:
    """The outer end of a terminal whose inner end a console has."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.waiting = bytearray()
        self.messages: list[dict[str, object]] = []

    def next(self) -> dict[str, object]:
        deadline = time.monotonic() + 30
        while not self.messages:
            ready, _, _ = select.select([self.descriptor], [], [], max(deadline - time.monotonic(), 0))
            assert ready, "it says nothing"
            self.waiting += os.read(self.descriptor, 65536)
            self.messages += console.whole_lines(self.waiting)
        return self.messages.pop(0)

    def ask(self, shell: str, seconds: float = 20) -> tuple[str, object]:
        os.write(self.descriptor, console.message(id=7, user="root", shell=shell, seconds=seconds))
        said = ""
        while "code" not in (told := self.next()):
            said += str(told["out"])
        return said, told["code"]


@pytest.fixture
def line() -> Iterator[Line]:
    outer, inner = pty.openpty()
    program = Path(console.__file__)
    process = subprocess.Popen([sys.executable, program, os.ttyname(inner)])
    try:
        found = Line(outer)
        assert "boot" in found.next()
        yield found
    finally:
        process.kill()
        process.wait(10)
        os.close(inner)
        os.close(outer)


def test_a_command_tells_its_output_and_its_code(line: Line) -> None:
    assert line.ask("echo out; echo err >&2; exit 3") == ("out\nerr\n", 3)
    # More than the line holds, byte for byte, and what looks like the end of a message.
    said, code = line.ask('seq 1 20000; printf \'{"id": 7, "code": 0}\'')
    assert (said, code) == ("".join(f"{n}\n" for n in range(1, 20001)) + '{"id": 7, "code": 0}', 0)
    assert line.ask("kill -9 $$") == ("", -9)


def test_what_a_command_left_running_is_not_waited_for(line: Line) -> None:
    said, code = line.ask("sleep 1000 & echo $!")
    assert code == 0
    # It lives: else this raises.
    os.kill(int(said), signal.SIGKILL)


def test_a_command_that_is_overdue_is_killed_with_what_it_started(line: Line) -> None:
    said, code = line.ask("sleep 60 & echo $!; wait", seconds=1)
    assert code == console.OVERDUE
    gone = threading.Event()
    descriptor = None
    try:
        descriptor = os.pidfd_open(int(said))
    except ProcessLookupError:
        gone.set()
    if descriptor is not None:
        ready, _, _ = select.select([descriptor], [], [], 10)
        os.close(descriptor)
        assert ready
    assert line.ask("echo again") == ("again\n", 0)


def test_a_kernels_word_between_messages_is_no_message() -> None:
    waiting = bytearray(b'[   1.0] random: crng done\n{"id": 1, "code": 0}\n[1, 2]\n{"id"')
    assert list(console.whole_lines(waiting)) == [{"id": 1, "code": 0}]
    assert waiting == b'{"id"'


# --- What is looked at ----------------------------------------------------------------------------------------------


def _process(proc: Path, pid: int, parent: int, name: str, cgroup: str) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", str(parent), *["0"] * 17, str(pid * 100), *["0"] * 30]
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (folder / "cgroup").write_text(f"0::{cgroup}\n")


def test_the_processes_of_hosts_are_those_that_are_supervised_in_them(tmp_path: Path) -> None:
    inside = "/system.slice/roadstead-hosts.service/roadstead/main/c-1.etcd-a"
    _process(tmp_path, 1, 0, "systemd", "/init.scope")
    _process(tmp_path, 20, 1, "s6-svscan", "/system.slice/roadstead.service/tree")
    _process(tmp_path, 30, 1, "s6-svscan", inside)
    _process(tmp_path, 31, 30, "s6-supervise", inside)
    _process(tmp_path, 32, 31, "a (b) c", f"{inside}/units/etcd")
    # A probe, which comes and goes.
    _process(tmp_path, 33, 32, "sh", f"{inside}/units/etcd")
    (tmp_path / "40").mkdir()
    (tmp_path / "self").mkdir()
    assert look.processes(tmp_path) == {"30 3000": "s6-svscan", "31 3100": "s6-supervise", "32 3200": "a (b) c"}


# --- The table --------------------------------------------------------------------------------------------------------


def _results(release: int, **steps: float) -> results.Results:
    return results.Results(release, {"date": "2026-01-02"}, dict(steps))


def test_the_table_has_a_column_for_each_release_and_keeps_the_others() -> None:
    page = f"before\n{results.BEGIN}\n{results.END}\nafter\n"
    page = results.written(page, [_results(12, boot=4.4, old=1.0)])
    page = results.written(page, [_results(13, boot=5.6, uninstall=20.0)])
    assert page == (
        f"before\n{results.BEGIN}\n"
        "|  | Debian 12 | Debian 13 |\n|---|---|---|\n"
        "| date | 2026-01-02 | 2026-01-02 |\n"
        "| boot | 4 s | 6 s |\n"
        "| uninstall | - | 20 s |\n"
        "| old | 1 s | - |\n"
        "| in all | 5 s | 26 s |\n"
        f"{results.END}\nafter\n"
    )
    again = results.written(page, [_results(12, boot=3.0)])
    assert "| boot | 3 s | 6 s |" in again
    assert "old" not in again


def test_a_page_without_a_place_for_it_is_not_touched() -> None:
    with pytest.raises(ValueError, match="has no"):
        results.written("words\n", [_results(12, boot=1.0)])


def test_a_message_is_one_line() -> None:
    assert json.loads(console.message(out="a\nb")) == {"out": "a\nb"}
    assert console.message(out="a\nb").count(b"\n") == 1
