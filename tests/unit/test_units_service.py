"""A unit to the files of its service folder."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from roadstead.agent.units import service
from roadstead.contract.messages import desired
from roadstead.core import errors

DIGEST = "sha256:" + "a" * 64
RUN_TAIL = """exec env -i \\
  HOME=/var/lib/etcd \\
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  'GREETING=it'"'"'s $HOME' \\
  /engine/etcd-3.6/etcd \\
  serve \\
  --listen=https://10.0.0.1:2379 \\
  --listen=http://127.0.0.1:2379 \\
  '--name=two words' \\
  -q \\
  -v \\
  3
"""


def unit(**more: object) -> desired.Unit:
    return desired.Unit(engine="etcd-3.6", component="etcd", **more)  # type: ignore[arg-type]


def test_flags_are_sorted_but_a_row_keeps_its_order() -> None:
    flags = {
        "v": "3",
        "q": "",
        "name": "two words",
        "listen": ("https://10.0.0.1:2379", "http://127.0.0.1:2379"),
    }
    environment = {"GREETING": "it's $HOME"}
    asked = unit(subcommand="serve", flags=flags, environment=environment)
    run = service.render("etcd", asked)["run"]
    assert run.content.decode().endswith("cd /\n" + RUN_TAIL)
    turned = unit(subcommand="serve", flags=dict(reversed(flags.items())), environment=environment)
    assert service.render("etcd", turned)["run"] == run


def test_the_small_files() -> None:
    files = service.render("u", unit(stop_timeout=2.5, stop_signal="INT"))
    small = {name: file.content.decode() for name, file in files.items() if file.mode == 0o644}
    assert small == {
        "notification-fd": "3\n",
        "down-signal": "SIGINT\n",
        "timeout-kill": "2500\n",
        "timeout-finish": "10000\n",
        "max-death-tally": "0\n",
    }
    assert {name for name, file in files.items() if file.mode == 0o755} == {"run", "finish", "log/run"}
    assert "s6-log n5 s5242880 T /var/log/units/u\n" in files["log/run"].content.decode()
    assert set(service.render("u", unit(run=False))) - set(files) == {"down"}
    assert set(service.render("u", unit(run=False))) == service.OWN_FILES | {"log/run"}
    assert service.render("u", unit(stop_timeout=0.0))["timeout-kill"].content == b"1\n"


def test_a_unit_that_notifies_itself_is_not_notified_for() -> None:
    own = service.render("u", unit(ready=desired.NotifyProbe(descriptor=5)))
    assert own["notification-fd"].content == b"5\n"
    assert b"echo >&" not in own["run"].content
    assert b"5>&- &" in own["run"].content
    assert b"echo >&3\nexec 3>&-\n" in service.render("u", unit())["run"].content


@pytest.mark.parametrize("descriptor", [0, 2, 10])
def test_a_descriptor_that_a_shell_cannot_hand_on_is_refused(descriptor: int) -> None:
    with pytest.raises(errors.Invalid, match=f"notification descriptor {descriptor}: use 3 to 9"):
        service.render("u", unit(ready=desired.NotifyProbe(descriptor=descriptor)))


def test_programs_of_the_machine_are_a_short_list() -> None:
    proxy = desired.Unit(engine="system", component="haproxy", flags={"f": "/etc/units/edge/haproxy.cfg"})
    assert service.command(proxy) == ("/usr/sbin/haproxy", "-db", "-f", "/etc/units/edge/haproxy.cfg")
    with pytest.raises(errors.NotFound, match="bash is not one of the programs"):
        service.command(desired.Unit(engine="system", component="bash"))


@pytest.mark.parametrize("name", ["run", "finish", "log/run"])
def test_the_scripts_are_shell(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(service.render("u", unit())[name].content)
    subprocess.run(["sh", "-n", script], check=True)


def test_the_file_of_an_environment_is_read_and_is_in_no_argument(tmp_path: Path) -> None:
    (tmp_path / "more.env").write_text("A=1 $(x) '\\n\"\nHTTP_PROXY=http://me:pa55@p:3128\n")
    asked = unit(environment_file="more.env", environment={"B": "2"}, files={"more.env": desired.UnitFile(blob=DIGEST)})
    run = service.render("u", asked)["run"].content.decode()
    begin = run.replace("/etc/units/u/more.env", str(tmp_path / "more.env")).rpartition("exec env -i")[2]
    words = shlex.split(begin.replace("\\\n", " "))
    assert tuple(words[-len(service.command(asked)) :]) == service.command(asked)
    printed = subprocess.run(
        ["env", "-i", *words[: -len(service.command(asked))], "/usr/bin/env"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    own = {f"{name}={value}" for name, value in service.environment("u", asked).items()}
    assert set(printed) - {"_=/usr/bin/env"} == {*own, "A=1 $(x) '\\n\"", "HTTP_PROXY=http://me:pa55@p:3128"}


def ended(folder: Path, lived: float, code: int = 1, signal: int = 0) -> list[int]:
    """`finish` after a life of so many seconds: what it records."""
    up = float(Path("/proc/uptime").read_text().split()[0])
    (folder / "state" / "started").write_text(f"{int(up - lived)}\n")
    subprocess.run(["sh", "./finish", str(code), str(signal), "u"], cwd=folder, check=True)
    return [int(word) for word in (folder / "state" / "record").read_text().split()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "finish").write_bytes(service.render("u", unit())["finish"].content)
    return tmp_path


def test_pauses_grow_from_nothing_to_half_a_minute(folder: Path) -> None:
    pauses = [ended(folder, lived=0)[4] for _ in range(12)]
    assert pauses == [0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]
    assert ended(folder, lived=50) == [1, 0, 13, 13, 30000]
    assert ended(folder, lived=61) == [1, 0, 14, 1, 0]
    assert ended(folder, lived=0, code=256, signal=9) == [256, 9, 15, 2, 100]


def test_a_stop_that_was_asked_for_is_no_death(folder: Path) -> None:
    for _ in range(3):
        ended(folder, lived=0)
    (folder / "down").touch()
    assert ended(folder, lived=0, code=256, signal=15) == [256, 15, 3, 0, 0]


def test_a_record_of_nonsense_does_no_harm(folder: Path) -> None:
    (folder / "state" / "record").write_text("$(touch x) ; a b c d e")
    (folder / "state" / "waiting").touch()
    assert ended(folder, lived=0) == [1, 0, 1, 1, 0]
    assert not (folder / "state" / "waiting").exists()


SEEDED = desired.First(component="etcdutl", arguments=("restore", "a b"), flags={"name": "a"}, folder="data")


def test_what_fills_a_folder_is_run_beside_its_place() -> None:
    assert service.first("etcd", unit(first=SEEDED)) == (
        "/engine/etcd-3.6/etcdutl",
        "restore",
        "a b",
        "--data-dir=/var/lib/etcd/data.new",
        "--name=a",
    )
    assert service.first("etcd", unit()) == ()


@pytest.mark.parametrize(
    ("there", "result"),
    [
        ({}, {"data/log": "filled\n"}),
        ({"data/kept": "old"}, {"data/kept": "old"}),
        # What was cut off is done again from its beginning.
        ({"data.new/half": "half"}, {"data/log": "filled\n"}),
    ],
)
def test_a_folder_is_filled_once_and_whole(tmp_path: Path, there: dict[str, str], result: dict[str, str]) -> None:
    """The script itself, with its paths moved to a folder of the test's."""
    home = tmp_path / "etcd"
    (home / "data").mkdir(parents=True)
    for name, content in there.items():
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(content)
    program = tmp_path / "etcdutl"
    fill = 'mkdir "${word#*=}" && echo filled >"${word#*=}/log"'
    program.write_text(f"#!/bin/sh\nfor word; do case $word in --data-dir=*) {fill} ;; esac; done\n")
    program.chmod(0o755)
    run = service.render("etcd", unit(first=SEEDED))["run"].content.decode()
    filling = run[run.index("cd /\n") : run.rindex("exec env -i")]
    filling = filling.replace("/var/lib/etcd", str(home)).replace("/engine/etcd-3.6", str(tmp_path))
    subprocess.run(["sh", "-eu", "-c", filling], check=True, timeout=10)
    found = {str(path.relative_to(home)): path.read_text() for path in home.rglob("*") if path.is_file()}
    assert found == result


def test_a_start_that_could_not_fill_its_folder_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    run = service.render("etcd", unit(first=SEEDED))["run"].content.decode()
    script = run[run.index("cd /\n") :].replace("/var/lib/etcd", str(tmp_path)).replace("/engine/", "/nowhere/")
    done = subprocess.run(["sh", "-c", script], check=False, timeout=10, capture_output=True)
    assert done.returncode == 127
    assert b"etcdutl" in done.stderr
    assert b"/etcd-3.6/etcd\n" not in done.stderr
