"""What one looks at in the machine, between the steps of a run."""

from __future__ import annotations

import json
import re

from tests.live import machine as live
from tests.vm import cabinet
from tests.vm.machine import Machine, failed_units

LOOK = "cd /home/ann/roadstead && PYTHONDONTWRITEBYTECODE=1 python3 /home/vm/look.py"
DOCTOR = "sudo ROADSTEAD_CACHE=$HOME/.cache/roadstead ./roadstead doctor"
"""As root, who sees everything; with ann's environment, since root has none here and could not get one."""
WELL = "everything is as it is wanted"


def booted(machine: Machine) -> None:
    """Waits until systemd has started everything, and all of that runs."""
    state = machine.run("systemctl is-system-running --wait", 120).output.strip()
    if state != "running":
        listed = machine.run("systemctl --failed --plain --no-legend; systemctl list-jobs --no-legend").output
        raise cabinet.Failed(f"systemd says {state or 'nothing'}: {', '.join(failed_units(listed)) or listed}")


def versions(machine: Machine) -> dict[str, str]:
    """Of what the machine is made of."""
    said = machine.run("cat /etc/debian_version && systemctl --version && uname -r && stat -fc %T /sys/fs/cgroup").ok()
    debian, systemd, *_, linux, cgroup = said.split("\n")[0:2] + said.strip().split("\n")[-2:]
    found = re.search(r"\((.+)\)", systemd)
    if cgroup != "cgroup2fs":
        raise cabinet.Failed(f"/sys/fs/cgroup is {cgroup}")
    return {"Debian": debian, "systemd": found[1] if found else systemd, "Linux": f"{linux}, user-mode, cgroup v2"}


def hosts(machine: Machine) -> dict[str, str]:
    """The processes of hosts, by pid and time of their start."""
    found = json.loads(machine.run(f"{LOOK} processes").ok())
    assert isinstance(found, dict)
    return found


def unharmed(machine: Machine, before: dict[str, str]) -> None:
    """Every process that hosts had is the same one."""
    now = hosts(machine)
    if gone := sorted(f"{name} ({key.split()[0]})" for key, name in before.items() if key not in now):
        raise cabinet.Failed(f"{len(gone)} of {len(before)} processes of hosts are gone: {', '.join(gone)}")
    if not before:
        raise cabinet.Failed("there is no process of a host")


def belongings(machine: Machine) -> dict[str, set[str]]:
    """What an uninstall must leave as it was."""
    found = json.loads(machine.run(f"{LOOK} machine").ok())
    return {kind: set(things) for kind, things in found.items()}


def nothing_left(machine: Machine, before: dict[str, set[str]]) -> None:
    """Waits a while: the kernel takes namespaces and cgroups down in its own time."""
    left: list[str] = []
    for _ in range(10):
        left = live.differences(before, belongings(machine))
        if not left:
            return
        machine.run("sleep 1")
    raise cabinet.Failed("the machine is not as it was:\n" + "\n".join(left))


def until(machine: Machine, shell: str, seconds: float) -> str:
    """Has ann's command again and again until it succeeds; its output then. For what has no event to wait for."""
    again = f"until out=$({shell} 2>&1); do sleep 1; done; printf '%s\\n' \"$out\""
    done = machine.ann(again, seconds)
    if done.code != 0:
        # Once more, for what it says.
        raise cabinet.Failed(f"`{shell}`: not within {seconds:g} s. Now:\n{machine.ann(shell, 60).output[-6000:]}")
    return done.output


def well(machine: Machine, seconds: float) -> None:
    """Waits until `roadstead status` says so."""
    until(machine, f"./roadstead status > /tmp/status && cat /tmp/status && grep -qx '{WELL}' /tmp/status", seconds)


def picture(machine: Machine) -> str:
    """For a person who is to find out why a run failed."""
    looks = (
        "cd /home/ann/roadstead && HOME=/root ./roadstead status --all",
        "systemctl status --no-pager -n 30 'roadstead*'",
        "tail -n 40 /var/log/roadstead/main/agent/current",
        "tail -n 40 /var/log/roadstead/main/serve/current",
        "tail -n 20 /var/log/roadstead/main/hosts/*/*/current",
        "journalctl --no-pager -b -n 60 -p warning",
        "ps -eo pid,ppid,stat,pcpu,rss,etime,comm,cgroup --sort=-pcpu | head -n 60",
    )
    return "\n".join(f"\n--- {look}\n{machine.run(look, 60).output}" for look in looks)
