"""`roadstead uninstall`: takes everything back from this machine. See, plan, make; a second run does what is left."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

import click

from roadstead.contract import programs
from roadstead.core import errors, instance, terminal
from roadstead.machine import installation, start
from roadstead.machine.doctor import mend
from roadstead.machine.services import engines
from roadstead.machine.supervision import make, systemd, tree

_PURGING = 600.0
"""Seconds for one instance: hundreds of hosts."""


@dataclass(frozen=True)
class UninstallPlaces:
    """Where Roadstead is on a machine."""

    state: Path = instance.STATE_ROOT
    run: Path = instance.RUN_ROOT
    log: Path = instance.LOG_ROOT
    programs: Path = installation.ROOT
    cache: Path = tree.CACHE
    units: tuple[Path, ...] = (systemd.UNIT, systemd.HOSTS)
    users: tuple[str, ...] = start.USERS
    doctor: mend.MendPlaces = field(default_factory=mend.MendPlaces)


@dataclass(frozen=True)
class Seen:
    """What of it is there."""

    instances: tuple[str, ...]
    folders: tuple[Path, ...]
    units: tuple[Path, ...]
    users: tuple[str, ...]
    settings: bool
    """The doctor has changed settings of the kernel and remembers the old values."""


@dataclass(frozen=True)
class EndInstance:
    """Stop its tree, then purge it: hosts, disks, networks, rules, records."""

    id: str


@dataclass(frozen=True)
class RemoveUnit:
    """Disable a unit of systemd's and delete its file."""

    path: Path


@dataclass(frozen=True)
class RestoreSettings:
    """Give back the kernel's settings as they were before the doctor's first change."""

    pass


@dataclass(frozen=True)
class RemoveFolder:
    """With all that is in it."""

    path: Path


@dataclass(frozen=True)
class RemoveUser:
    """A system user and its group."""

    name: str


Step = EndInstance | RemoveUnit | RestoreSettings | RemoveFolder | RemoveUser


def see(places: UninstallPlaces) -> Seen:
    """Reads only; does not need that anything runs."""
    roots = (places.state, places.run, places.log)
    ids = {
        path.name
        for root in roots
        if root.is_dir()
        for path in root.iterdir()
        if path.is_dir() and instance.INSTANCE_ID.fullmatch(path.name)
    }
    # Where a `start` was cut off.
    left = sorted(engines.replaced(places.cache))
    return Seen(
        instances=tuple(sorted(ids)),
        folders=tuple(path for path in (*roots, places.programs, places.cache, *left) if path.is_dir()),
        units=tuple(path for path in places.units if path.exists()),
        users=tuple(name for name in places.users if any(entry.pw_name == name for entry in pwd.getpwall())),
        settings=places.doctor.record.exists() or places.doctor.conf.exists(),
    )


def plan(seen: Seen) -> tuple[Step, ...]:
    """What is to be done, in an order in which nothing that still runs loses its folders or its user. Pure.

    Settings before the folders: their record lies in one of them.
    """
    steps: list[Step] = [EndInstance(id) for id in seen.instances]
    steps += [RemoveUnit(path) for path in seen.units]
    if seen.settings:
        steps.append(RestoreSettings())
    steps += [RemoveFolder(path) for path in seen.folders]
    steps += [RemoveUser(name) for name in seen.users]
    return tuple(steps)


def explain(step: Step) -> str:
    """A step for a human, before it is done."""
    match step:
        case EndInstance(id):
            return f"stop instance {id} and delete it: its hosts, their disks, networks, rules and records"
        case RemoveUnit(path):
            return f"disable and delete {path}"
        case RestoreSettings():
            return "give back the settings of the kernel that `roadstead doctor` changed"
        case RemoveFolder(path):
            return f"delete {path}"
        case RemoveUser(name):
            return f"delete the system user {name}"
        case _:
            assert_never(step)


def apply(step: Step, places: UninstallPlaces) -> tuple[str, ...]:
    """Do one step; what a human should know of it beyond that it is done."""
    match step:
        case EndInstance(id):
            _end(instance.Instance.named(id))
        case RemoveUnit(path):
            make.call("systemctl", "disable", "--now", path.name, timeout=60)
            path.unlink(missing_ok=True)
            make.call("systemctl", "daemon-reload", timeout=60)
        case RestoreSettings():
            return mend.restore(places.doctor)
        case RemoveFolder(path):
            remove(path, Path("/proc/self/mountinfo").read_text())
        case RemoveUser(name):
            make.call("userdel", name, timeout=60)
        case _:
            assert_never(step)
    return ()


def _end(places: instance.Instance) -> None:
    make.down(places, unit=start.unit_of(places), timeout=20)
    # The agent's program, not an import of it: programs share the disk, never code.
    command = [sys.executable, "-m", "roadstead.agent.purge", places.id]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PURGING)
    if done.returncode != 0:
        raise errors.Failed(
            f"instance {places.id} could not be deleted whole: mend the cause and run `roadstead uninstall` again",
            command=" ".join(command),
            output=(done.stdout + done.stderr).strip(),
        )


def remove(path: Path, mountinfo: str) -> None:
    """Delete a folder with all in it, unless something is mounted there: that would be someone's files."""
    mounted = [line.split()[4] for line in mountinfo.splitlines()]
    inside = sorted(place for place in mounted if Path(place).is_relative_to(path))
    if inside:
        raise errors.Failed(f"{inside[0]} is mounted: unmount it, then run `roadstead uninstall` again", mounts=inside)
    shutil.rmtree(path)


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def uninstall(yes: bool) -> None:
    """Take everything back: all instances with their data, services, programs, settings, the system users.

    The checkout and the cache in your home (environments, built engines) are yours to delete; it says where they are.
    """
    start.need_root("uninstall")
    places = UninstallPlaces()
    steps = plan(see(places))
    if not steps:
        terminal.out("Nothing of Roadstead is on this machine.")
    else:
        terminal.out("This will:\n" + "\n".join(f"  - {explain(step)}" for step in steps))
        if not yes:
            if not sys.stdin.isatty():
                raise errors.Invalid("`roadstead uninstall` deletes data and there is no terminal to ask: give --yes")
            click.confirm("Go on?", abort=True)
        for step in steps:
            terminal.out("\n".join((f"{explain(step)}: done", *(f"  {line}" for line in apply(step, places)))))
    terminal.out("The AWS profile 'roadstead' in ~/.aws is left; it leads nowhere now.")
    if cache := os.environ.get(programs.CACHE):
        terminal.out(f"The cache is left: rm -rf {cache}")
