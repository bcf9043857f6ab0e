"""What of the machine a test may not change, read before and after: the suite ends as it began."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import time
from pathlib import Path

SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/all/route_localnet",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
)
_SETTLED = 10.0
FOLDERS = ("/var/lib/roadstead", "/run/roadstead", "/var/log/roadstead", "/opt/roadstead", "/etc/sysctl.d")


def _lines(*command: str) -> set[str]:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return {line.strip() for line in result.stdout.splitlines() if line.strip()}


MARK = "ROADSTEAD_TEST_RUN"
"""An environment variable that all processes of a test run inherit."""


def _orphans() -> set[str]:
    """Processes of this run that nobody owns any more: children of PID 1 with its mark, or in a cgroup of ours."""
    mark = f"{MARK}={os.environ.get(MARK)}".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            stat = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            ours = mark in (folder / "environ").read_bytes().split(b"\0")
            ours = ours or "/roadstead/" in (folder / "cgroup").read_text()
        except OSError:
            continue
        parent = int(stat.rsplit(")", 1)[1].split()[1])
        if parent == 1 and command and ours:
            found.add(f"{folder.name} {command.strip()}")
    return found


def _cgroups() -> set[str]:
    root = Path("/sys/fs/cgroup")
    # Unlike rglob, walk does not mind one that goes meanwhile.
    found = (Path(folder) / name for folder, names, _ in os.walk(root) for name in names)
    return {str(path.relative_to(root)) for path in found if path.name.startswith("roadstead")}


def _mounts() -> set[str]:
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def snapshot() -> dict[str, set[str]]:
    """Everything by the word that a failure names it with."""
    return {
        "orphaned processes": _orphans(),
        "mounts": _mounts(),
        "cgroups": _cgroups(),
        "nft tables": _lines("nft", "list", "tables"),
        "links": {line.split(":")[1] for line in _lines("ip", "-o", "link")},
        "addresses": {" ".join(line.split()[1:4]) for line in _lines("ip", "-o", "-4", "address")},
        "routes": _lines("ip", "route", "show", "table", "all"),
        "loop devices": {line.split(":")[0] for line in _lines("losetup", "-a")},
        "named namespaces": {path.name for path in Path("/run/netns").glob("*")},
        "sysctls": {f"{name}={(Path('/proc/sys') / name).read_text().strip()}" for name in SYSCTLS},
        "users": {user.pw_name for user in pwd.getpwall()},
        "folders": {folder for folder in FOLDERS if Path(folder).is_dir()},
        "files": {str(path) for folder in FOLDERS if Path(folder).is_dir() for path in Path(folder).iterdir()},
    }


def left(before: dict[str, set[str]]) -> list[str]:
    """What is not as it was. The folders above all instances go, where the run's first agent made them."""
    for folder in map(Path, set(FOLDERS) - before["folders"]):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return differences(before, snapshot())


def left_in_time(before: dict[str, set[str]]) -> list[str]:
    """The same, after a moment for the kernel: it takes namespaces and cgroups down on its own time."""
    deadline = time.monotonic() + _SETTLED
    while (found := left(before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def differences(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """One sentence for each thing that came or went."""
    said = []
    for kind, was in before.items():
        said += [f"{kind}: new {thing}" for thing in sorted(after[kind] - was)]
        # Processes of others may end at any time.
        if kind != "orphaned processes":
            said += [f"{kind}: gone {thing}" for thing in sorted(was - after[kind])]
    return said
