"""runc's commands and its records.

A command's complaint is read from the log that runc is given, since what it starts keeps its standard streams. runc
writes its record of a host, with the first process's pid and start time, before it lets the host start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import msgspec

from roadstead.agent.hosts import bundle, processes
from roadstead.contract import layout
from roadstead.core import errors
from roadstead.core import program as programs

if TYPE_CHECKING:
    from pathlib import Path

    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.core.instance import HostPlaces, Instance

START_TIMEOUT = 30.0


class _Config(msgspec.Struct, frozen=True):
    labels: list[str] = []


class _State(msgspec.Struct, frozen=True):
    """The parts of runc's state.json that we read."""

    init_process_pid: int
    init_process_start: int
    config: _Config


def recorded(instance: Instance, host_id: str) -> tuple[processes.Running, str] | None:
    """The first process of a host that was started and what it was made from; None when none was started.

    It may have ended since. A host that runc has prepared and not yet started counts as none: its start was cut off.
    """
    folder = instance.runc_root / host_id
    try:
        state = msgspec.json.decode((folder / "state.json").read_bytes(), type=_State)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    if (folder / "exec.fifo").exists():
        return None
    labels = dict(label.partition("=")[::2] for label in state.config.labels)
    made_from = labels.get(bundle.MADE_FROM)
    if made_from is None:
        return None
    return processes.Running(state.init_process_pid, state.init_process_start), made_from


def forget(instance: Instance, host_id: str) -> None:
    """Removes runc's record of a host that has ended. What `runc delete` does besides is done by `cgroups`."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(instance.runc_root / host_id)


def program(instance: Instance, facts: MachineFacts) -> str:
    """The newest runc of the instance's engines; the machine's own while there is none."""
    engines = [place for place in instance.engines.glob(f"{layout.RUNC}*/runc") if place.is_file()]
    return str(max(engines, key=lambda place: _numbers(place.parent.name))) if engines else facts.runc


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", name))


async def version(instance: Instance, facts: MachineFacts) -> str:
    """What `runc --version` says; empty when it does not run. Raises Busy when nothing can be started just now."""
    try:
        process = await asyncio.create_subprocess_exec(
            program(instance, facts), "--version", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/"
        )
        async with asyncio.timeout(START_TIMEOUT):
            said, _ = await process.communicate()
    except TimeoutError as error:
        raise errors.Busy(f"runc does not say its version within {START_TIMEOUT:g} s") from error
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
            raise errors.Busy(f"runc cannot be started now: {error.strerror}") from error
        return ""
    return said.decode(errors="replace")


def command(instance: Instance, facts: MachineFacts, *arguments: str) -> list[str]:
    """With the instance's own records of containers, never runc's usual ones."""
    return [program(instance, facts), "--root", str(instance.runc_root), *arguments]


async def run(instance: Instance, facts: MachineFacts, host_id: str, places: HostPlaces) -> None:
    """Starts the host of the bundle. Raises Failed with runc's complaint and the host's first words."""
    log, output = places.run / "runc.log", places.state / "host.log"
    log.unlink(missing_ok=True)
    argv = command(instance, facts, "--log", str(log), "run", "--detach", "--bundle", str(places.bundle), host_id)
    descriptor = os.open(
        output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, cwd="/", umask=programs.USUAL
        )
    finally:
        os.close(descriptor)
    code = await ended(process, START_TIMEOUT)
    if code != 0:
        said = _tail(log) or _tail(output) or f"exit code {code}"
        raise errors.Failed(f"host {host_id} does not start: {said}", command=" ".join(argv), output=said, code=code)


async def ended(process: asyncio.subprocess.Process, timeout: float) -> int | None:
    """The process's exit code; None when it had to be killed after `timeout` seconds. Killed too when cancelled."""
    try:
        async with asyncio.timeout(timeout):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())


def _tail(path: Path, size: int = 2000) -> str:
    try:
        return path.read_bytes()[-size:].decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
