"""In the virtual machine: what there is of Roadstead, as one JSON object.

look.py processes    the processes that hosts were given (their PID 1, what supervises, what is supervised)
look.py machine      what an uninstall must leave as it was
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HOSTS = "/roadstead/main/"
"""In the path of a cgroup: below it are those of the instance's hosts."""


def processes(proc: Path = Path("/proc")) -> dict[str, str]:
    """`PID STARTED` to what it is. What comes and goes, as probes do, is not supervised and not here."""
    seen: dict[int, tuple[int, str, str]] = {}
    ours: set[int] = set()
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            stat = (folder / "stat").read_text()
            inside = HOSTS in (folder / "cgroup").read_text()
        except OSError:
            continue
        name, _, rest = stat.partition("(")[2].rpartition(")")
        fields = rest.split()
        pid = int(folder.name)
        seen[pid] = (int(fields[1]), name, fields[19])
        if inside:
            ours.add(pid)
    return {
        f"{pid} {started}": name
        for pid, (parent, name, started) in seen.items()
        if pid in ours and (name.startswith("s6-s") or seen.get(parent, (0, "", ""))[1] == "s6-supervise")
    }


def machine() -> dict[str, list[str]]:
    """What the live tests look at, and what systemd knows."""
    # The checkout is the working folder.
    sys.path.insert(0, ".")
    from tests.live import machine as live

    found = {kind: sorted(things) for kind, things in live.snapshot().items()}
    units = Path("/etc/systemd/system").rglob("*")
    found["unit files"] = sorted(str(path) for path in units)
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "roadstead*"]
    listed = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
    found["units"] = sorted(line.split()[0] for line in listed.splitlines() if line.split())
    everything = Path("/proc").glob("[0-9]*/cmdline")
    found["processes"] = sorted(line for path in everything if "roadstead" in (line := _read(path)))
    return found


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


if __name__ == "__main__":
    print(json.dumps(processes() if sys.argv[1] == "processes" else machine()))
