"""Mends what can be mended: packages that are missing, and sysctls that are too low.

`plan` says as data what would be done; `make` does it; `restore` gives the sysctls back. Before a sysctl is changed
its value is recorded, once: what was there before the first mending is what `restore` gives back. Each step can be
cut off and done again.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, assert_never

import msgspec

from roadstead.core import errors, instance
from roadstead.core.files import atomic
from roadstead.machine.doctor import distributions, findings, see

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roadstead.machine.doctor import facts

DEADLINE = 900.0
"""Seconds for one command of a package manager."""

FORWARDING = "net.ipv4.ip_forward"


@dataclass(frozen=True)
class MendPlaces:
    """Where sysctls are written and remembered."""

    proc_sys: Path = Path("/proc/sys")
    conf: Path = Path("/etc/sysctl.d/60-roadstead.conf")
    record: Path = instance.SETTINGS_RECORD
    links: Path = Path("/sys/class/net")


@dataclass(frozen=True)
class Install:
    """Packages, and the commands that install them."""

    packages: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Set:
    """Sysctls and the values they get, now and at each boot."""

    values: tuple[tuple[str, int], ...]


Step = Install | Set
Only = Literal["packages", "settings"]
"""What `--fix` may be kept to."""


class MendChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sysctl: what it was before the doctor's first change, and what the doctor set."""

    before: int
    set: int


class MendRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the doctor changed on this machine, ever since it was last restored."""

    sysctls: dict[str, MendChange] = {}
    packages: list[str] = []


def plan(found: Iterable[findings.Finding], family: facts.Family | None) -> tuple[Step, ...]:
    """What `--fix` would do about these findings, in order. Pure."""
    packages: dict[str, None] = {}
    values: dict[str, int] = {}
    for finding in found:
        match finding.mend:
            case findings.Package(name):
                packages[name] = None
            case findings.Setting(name, value):
                values[name] = value
            case None:
                pass
            case _:
                assert_never(finding.mend)
    steps: list[Step] = []
    if packages and family:
        names = tuple(sorted(packages))
        steps.append(Install(names, distributions.install(family, names)))
    if values:
        steps.append(Set(tuple(sorted(values.items()))))
    return tuple(steps)


def chosen(steps: tuple[Step, ...], only: Only | None) -> tuple[Step, ...]:
    """The steps of one kind, or all of them. Pure."""
    match only:
        case None:
            return steps
        case "packages":
            return tuple(step for step in steps if isinstance(step, Install))
        case "settings":
            return tuple(step for step in steps if isinstance(step, Set))
        case _:
            assert_never(only)


def explain(step: Step) -> str:
    """A line for the human who is asked."""
    match step:
        case Install(packages):
            return f"install {', '.join(packages)}"
        case Set(values):
            return "set " + ", ".join(f"{name} = {value}" for name, value in values)
        case _:
            assert_never(step)


def make(steps: Iterable[Step], places: MendPlaces) -> None:
    """Does all steps, also when one fails. Raises Failed that names each one that failed."""
    failures: list[errors.Failed] = []
    for step in steps:
        try:
            match step:
                case Install():
                    _install(step, places)
                case Set():
                    _set(step, places)
                case _:
                    assert_never(step)
        except errors.Failed as error:
            failures.append(error)
    if failures:
        known = {name: value for error in failures for name, value in error.facts.items()}
        raise errors.Failed(" ".join(error.message for error in failures), **known)


def _install(step: Install, places: MendPlaces) -> None:
    record = recorded(places)
    packages = sorted({*record.packages, *step.packages})
    _remember(msgspec.structs.replace(record, packages=packages), places)
    for command in step.commands:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=DEADLINE,
                check=False,
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
            )
        except subprocess.TimeoutExpired:
            raise errors.Failed(
                f"Packages could not be installed: it took longer than {DEADLINE:.0f} s.",
                command=shlex.join(command),
            ) from None
        except OSError as error:
            raise errors.Failed(
                f"Packages could not be installed: {command[0]} cannot be run ({error.strerror}).",
                command=shlex.join(command),
            ) from error
        if done.returncode:
            raise errors.Failed(
                f"Packages ({', '.join(step.packages)}) could not be installed: `{shlex.join(command)}` ended with "
                f"code {done.returncode}.",
                command=shlex.join(command),
                output="\n".join(done.stdout.splitlines()[-20:]),
            )


def _set(step: Set, places: MendPlaces) -> None:
    """Records, then writes the file for later boots, then sets: whatever cuts it off, `restore` knows of it."""
    record = recorded(places)
    sysctls = dict(record.sysctls)
    for name, value in step.values:
        now = see.sysctl(name, places.proc_sys)
        if now is None:
            raise errors.Failed(f"{name} cannot be set: this kernel does not have it.", sysctl=name)
        before = sysctls[name].before if name in sysctls else now
        sysctls[name] = MendChange(before=before, set=value)
    _remember(msgspec.structs.replace(record, sysctls=sysctls), places)
    _write(places.conf, conf(sysctls))
    refused = [reason for name, value in step.values if (reason := _apply(name, value, places))]
    if refused:
        raise errors.Failed(
            f"Settings of the kernel could not be changed: {'; '.join(refused)}. In a container they belong to the "
            "machine outside: set them there.",
            sysctls=", ".join(name for name, _ in step.values),
        )


def conf(sysctls: dict[str, MendChange]) -> str:
    """The file for sysctl.d(5). Forwarding is not in it: the agent sets it, once its rules say for whom."""
    lines = [f"{name} = {change.set}" for name, change in sorted(sysctls.items()) if name != FORWARDING]
    return "\n".join(["# Written by `roadstead doctor --fix`; `roadstead uninstall` takes it back.", *lines, ""])


def _apply(name: str, value: int, places: MendPlaces) -> str:
    """Sets one sysctl; the reason where that was refused, else nothing."""
    try:
        (places.proc_sys / name.replace(".", "/")).write_text(f"{value}\n", encoding="ascii")
    except OSError as error:
        return f"{name} = {value} ({error.strerror})"
    return ""


def recorded(places: MendPlaces) -> MendRecord:
    """What was changed so far. Raises Failed where the record cannot be understood."""
    try:
        return msgspec.json.decode(places.record.read_bytes(), type=MendRecord)
    except FileNotFoundError:
        return MendRecord()
    except msgspec.MsgspecError as error:
        raise errors.Failed(
            f"The record of earlier settings, {places.record}, cannot be understood ({error}). Move it away to go "
            "on; the settings it names then stay as they are.",
            file=places.record,
        ) from error


def _remember(record: MendRecord, places: MendPlaces) -> None:
    _write(places.record, msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n")


def _write(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, text.encode(), 0o644)
    except OSError as error:
        raise errors.Failed(f"{path} could not be written: {error.strerror}.", file=path) from error


def restore(places: MendPlaces) -> tuple[str, ...]:
    """Gives back what `make` changed of the kernel's settings; says what was done, a sentence each.

    A setting that someone else changed since stays. Forwarding stays on where the machine has a bridge: something
    else (Docker, libvirt, LXD ...) then counts on it. Packages stay: others may have come to need them.
    """
    record = recorded(places)
    told = []
    for name, change in sorted(record.sysctls.items()):
        now = see.sysctl(name, places.proc_sys)
        if now == change.before:
            told.append(f"{name} is {change.before} again.")
        elif now != change.set:
            told.append(f"{name} stays {now}: it is not what was set by `roadstead doctor`.")
        elif name == FORWARDING and any(places.links.glob("*/bridge")):
            told.append(f"{name} stays {now}: the machine has bridges, whose owners need it.")
        elif refused := _apply(name, change.before, places):
            raise errors.Failed(f"A setting could not be given back: {refused}.", sysctl=name)
        else:
            told.append(f"{name} is {change.before} again.")
    if record.packages:
        told.append(f"Packages that were installed for Roadstead stay: {', '.join(record.packages)}.")
    places.conf.unlink(missing_ok=True)
    places.record.unlink(missing_ok=True)
    return tuple(told)
