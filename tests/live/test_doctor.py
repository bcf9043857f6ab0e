"""The doctor on this machine, and on machines made of it by mounts that only the test sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from roadstead.core import errors
from roadstead.machine.doctor import mend, see, wanted

pytestmark = [pytest.mark.live, pytest.mark.machine]

DOCTOR = (sys.executable, "-c", "from roadstead.machine.doctor import command; command.doctor()")
INSTANCES = "fs/inotify/max_user_instances"
START = "from roadstead.machine.doctor import command; command.check_before_start(interactive=False, yes=True{})"
SERVICE = Path("/usr/bin/s6-svc")
APT = Path("/usr/bin/apt-get")


def ran(*argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command without a terminal, in a session of its own, and checks that the session ends with it."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    ) as process:
        output, complaints = process.communicate(timeout=60)
    left = [stat for stat in Path("/proc").glob("[0-9]*/stat") if _session(stat) == process.pid]
    assert not left, "processes were left behind"
    return subprocess.CompletedProcess(argv, process.returncode, output, complaints)


def _session(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return None


def as_it_is() -> dict[str, Any]:
    """What a look must not change. Things of instances, which others may be making, carry their name."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        "sysctls": {setting.name: see.sysctl(setting.name) for setting in wanted.SYSCTLS},
        "rules": subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, check=True, text=True).stdout,
        "mounts": [line.split(" ", 2)[2] for line in mounts if "roadstead" not in line],
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")),
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir() if not path.name.startswith("rs")),
        "files": [path.exists() for path in (mend.MendPlaces().conf, mend.MendPlaces().record)],
    }


def test_a_look_explains_the_machine_and_changes_nothing() -> None:
    before = as_it_is()
    done = ran(*DOCTOR, "-o", "json")
    assert as_it_is() == before
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert done.returncode == (1 if document["blocks"] else 0)
    assert document["failure"] == ""
    found = {finding["id"]: finding for finding in document["findings"]}
    assert len(found) == len(document["findings"]) == sum(document["counts"].values())
    assert document["mended"] == []
    # What other live tests need is there, so the probes must have found it.
    for name in ("kernel/namespace-network", "kernel/veth", "kernel/nft-nat", "kernel/overlay", "programs/runc"):
        assert found[name]["level"] == "ok", found[name]


def test_a_look_takes_less_than_a_second() -> None:
    def look() -> float:
        start = time.perf_counter()
        see.see()
        return time.perf_counter() - start

    assert any(look() < 1.0 for _ in range(10))


def test_a_pipe_gets_lines_without_colour() -> None:
    lines = ran(*DOCTOR).stdout.splitlines()
    assert lines
    assert all(line.split("\t")[0] in ("ok", "warning", "blocks") for line in lines)
    assert "\x1b" not in ran(*DOCTOR, "-o", "table").stdout


def test_a_chain_that_drops_is_seen_in_the_namespace_where_it_is() -> None:
    rules = "add table inet mine; add chain inet mine forward { type filter hook forward priority 0; policy drop; }"
    done = ran("unshare", "--net", "sh", "-c", f'nft "{rules}" && exec "$@"', "sh", *DOCTOR)
    assert "warning\tfirewall/inet-mine-forward\t" in done.stdout


def other_machine(folder: Path, apt: str) -> tuple[str, ...]:
    """Runs a command on this machine with made-up sysctls, without s6-svc, and with another apt-get.

    All by mounts in a namespace that ends with the command; what it writes to /etc and /var/lib comes into `folder`.
    """
    for name in ("sys/fs/inotify", "etc", "etc-work", "lib", "lib-work"):
        (folder / name).mkdir(parents=True)
    (folder / "sys" / INSTANCES).write_text("128\n")
    (folder / "apt-get").write_text(f"#!/bin/sh\n{apt}\n")
    (folder / "apt-get").chmod(0o755)
    (folder / "os-release").write_text('PRETTY_NAME="Debian, made up"\nID=debian\n')
    script = f"""
        mount --bind {folder}/sys /proc/sys
        mount --bind {folder}/apt-get {APT}
        mount --bind {folder}/os-release "$(readlink -f /etc/os-release)"
        mount --bind /dev/null {SERVICE}
        mount -t overlay none -o lowerdir=/etc,upperdir={folder}/etc,workdir={folder}/etc-work /etc
        mount -t overlay none -o lowerdir=/var/lib,upperdir={folder}/lib,workdir={folder}/lib-work /var/lib
        exec "$@"
    """
    return ("unshare", "--mount", "--", "sh", "-euc", script, "sh")


needs_apt = pytest.mark.skipif(not (APT.exists() and SERVICE.exists()), reason="needs apt-get and s6")


@needs_apt
def test_fix_installs_and_sets_and_what_was_there_is_given_back(tmp_path: Path) -> None:
    before = as_it_is()
    apt = f'case "$*" in *install*s6*) umount {SERVICE};; esac'
    done = ran(*other_machine(tmp_path, apt), *DOCTOR, "--fix", "-o", "json", CI="true")
    assert as_it_is() == before
    document = json.loads(done.stdout)
    assert document["mended"] == ["install s6", "set fs.inotify.max_user_instances = 8192"]
    found = {finding["id"]: finding["level"] for finding in document["findings"]}
    assert found["programs/s6-svc"] == "ok"
    assert found["settings/fs.inotify.max_user_instances"] == "ok"
    places = mend.MendPlaces(
        proc_sys=tmp_path / "sys",
        conf=tmp_path / "etc/sysctl.d/60-roadstead.conf",
        record=tmp_path / "lib/roadstead/doctor-before.json",
    )
    assert "fs.inotify.max_user_instances = 8192\n" in places.conf.read_text()
    assert mend.restore(places)[0] == "fs.inotify.max_user_instances is 128 again."
    assert (tmp_path / "sys" / INSTANCES).read_text() == "128\n"


@needs_apt
def test_what_cannot_be_mended_stops_a_start_with_a_clear_message(tmp_path: Path) -> None:
    apt = "echo 'Could not resolve the mirror'; exit 100"
    on = other_machine(tmp_path, apt)
    done = ran(*on, *DOCTOR, "--fix", "--yes")
    assert done.returncode == 1
    assert "Packages (s6) could not be installed" in done.stderr
    assert "Could not resolve the mirror" in done.stderr
    assert "blocks\tprograms/s6-svc\ts6-svc is missing\t" in done.stdout
    start = ran(*on, sys.executable, "-c", START.format(""))
    assert start.returncode == 1
    assert "This machine is not ready to run clusters:\n- s6-svc is missing." in start.stderr
    assert "`sudo apt-get install s6`" in start.stderr


@needs_apt
def test_a_start_that_may_not_mend_only_looks(tmp_path: Path) -> None:
    on = other_machine(tmp_path, f"touch {tmp_path}/asked")
    start = ran(*on, sys.executable, "-c", START.format(", may_mend=False"))
    assert "s6-svc is missing" in start.stderr
    assert not (tmp_path / "asked").exists()
    assert (tmp_path / "sys" / INSTANCES).read_text() == "128\n"


def test_a_package_manager_that_fails_is_quoted(tmp_path: Path) -> None:
    places = mend.MendPlaces(record=tmp_path / "record.json", conf=tmp_path / "none")
    failing = (sys.executable, "-c", "print('no such package'); raise SystemExit(3)")
    with pytest.raises(errors.Failed, match="ended with code 3") as caught:
        mend.make((mend.Install(("s6",), (failing,)),), places)
    assert caught.value.facts["output"] == "no such package"
    with pytest.raises(errors.Failed, match="cannot be run"):
        mend.make((mend.Install(("runc",), (("no-such-program-anywhere",),)),), places)
    assert mend.recorded(places).packages == ["runc", "s6"]
