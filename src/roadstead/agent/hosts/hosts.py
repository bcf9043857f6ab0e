"""Making, adopting, stopping and removing hosts: what the agent calls."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from roadstead.agent.hosts import (
    bundle,
    cgroups,
    disk,
    folders,
    mounts,
    processes,
    runc,
    shape,
    tree,
    wanted,
)
from roadstead.agent.idmaps import ability
from roadstead.core import errors, program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from roadstead.agent.ceilings import near
    from roadstead.agent.ceilings.plan import Ceilings
    from roadstead.agent.hosts.processes import Running
    from roadstead.agent.hosts.see import MachineFacts
    from roadstead.agent.idmaps import ranges
    from roadstead.contract.messages import desired
    from roadstead.core.instance import Instance

log = logging.getLogger(__name__)

KILL_TIMEOUT = 10.0
OUTPUT_LIMIT = 1 << 20
_CHUNK = 1 << 16
_EXECS = "exec-"
_BEGINS, _LOOK = 1.0, 0.01
"""Seconds that runc is given to say the pid of a command that is to be killed, and between looks."""


@dataclass(frozen=True)
class Finished:
    """A command that ended inside a host: its exit code (128 + signal), standard output and error together."""

    code: int
    output: str
    cut: bool
    """There was more output than is kept."""


class Hosts:
    """The hosts of one instance. Calls for one host must not overlap; calls for different hosts may."""

    def __init__(
        self,
        instance: Instance,
        machine: MachineFacts,
        ceilings: Ceilings | None = None,
        node_users: Literal["own", "machine"] = "own",
    ) -> None:
        """`ceilings`: what hosts may have, where it is not asked for expressly; None: all that there is."""
        self._instance = instance
        self._machine = machine
        self._ceilings = ceilings
        self._bounded = False
        self._told: set[str] = set()
        """What was said of limits that cannot be set."""
        self.node_users = node_users
        self._lacks: dict[str, str | None] = {}
        """By the path of a runc."""

    async def adopt(self, host_id: str) -> Running | None:
        """The first process of the host when it runs; None else. Reads a record and two files of /proc."""
        found = runc.recorded(self._instance, host_id)
        return found[0] if found and self._is_ours(found[0], host_id) else None

    def made_from(self, host_id: str) -> str | None:
        """The digest of what the running host was made from (`wanted.digest`); None when it does not run.

        Another digest than that of the desired host means that only stopping and making it brings the change.
        """
        found = runc.recorded(self._instance, host_id)
        return found[1] if found and self._is_ours(found[0], host_id) else None

    def up_to_date(self, host_id: str, host: desired.Host, uid: int) -> bool:
        """Whether the host runs and `update` is enough to make it as wanted."""
        return self.made_from(host_id) == wanted.digest(host, uid)

    def _is_ours(self, running: Running, host_id: str) -> bool:
        """The start time tells a process from another with its pid; the cgroup does so even across a reboot."""
        if not processes.alive(running):
            return False
        try:
            own = Path(f"/proc/{running.pid}/cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return cgroups.holds(own, cgroups.path(self._instance, self._machine, host_id))

    async def lacks_for_users(self) -> str | None:
        """Why a node that is made now would have no users of its own; None when it can. Tried once for each runc.

        Raises Busy where it cannot be tried just now.
        """
        if self.node_users == "machine":
            return "this instance was started with `--node-users machine`"
        program = runc.program(self._instance, self._machine)
        if program not in self._lacks:
            version = await runc.version(self._instance, self._machine)
            folders = (self._instance.state, self._instance.run)
            self._lacks[program] = await asyncio.to_thread(ability.lacks, version, folders)
            if self._lacks[program] is not None:
                log.warning("nodes that are made now have no users of their own: %s", self._lacks[program])
        return self._lacks[program]

    def has_disk(self, host_id: str) -> bool:
        """Whether the host was made before: what is on its disk goes with the users that it had then."""
        places = self._instance.host(host_id)
        return disk.image(places).exists() or places.disk.exists()

    async def make(self, host_id: str, host: desired.Host, uid: int, ids: ranges.Range | None = None) -> Running:
        """The host running as wanted, in the network namespace that is at its place already.

        One that runs is left running; its limits and names are brought up to date. What is half-made is made anew;
        the disk stays. Raises Conflict when a host runs that was made from something else, or has another disk;
        Failed with command and output when runc or mkfs fails.
        """
        asked = self._wanted(host_id, host, uid, ids)
        running = await self.adopt(host_id)
        if running is not None:
            if not self.up_to_date(host_id, host, uid):
                raise errors.Conflict(
                    f"host {host_id} runs and was made from something else; stop it, then make it", host=host_id
                )
            await self.update(host_id, host, uid)
            return running
        await asyncio.to_thread(self._lay_out, asked)
        await runc.run(self._instance, self._machine, host_id, asked.places)
        if ids is not None:
            await asyncio.to_thread(tree.hide, asked)
        found = runc.recorded(self._instance, host_id)
        if found is None or not processes.alive(found[0]):
            raise errors.Failed(f"host {host_id} ended as soon as it was started", host=host_id)
        # Not by runc, to which a controller that is missing is a reason to start nothing. No unit runs yet.
        self._bound(host_id, host)
        return found[0]

    def _bound(self, host_id: str, host: desired.Host) -> None:
        limits = host.limits
        refused: tuple[str, ...] = ()
        if self._ceilings is not None:
            if not self._bounded:
                # It stays for as long as this agent does.
                refused = cgroups.bound(self._instance, self._machine, self._ceilings)
                self._bounded = True
            limits = self._ceilings.of(host)
        refused += cgroups.update_limits(self._instance, self._machine, host_id, limits)
        for sentence in refused:
            if sentence not in self._told:
                log.warning("%s", sentence)
        self._told.update(refused)

    def bound_pods(self, host_id: str) -> None:
        """See cgroups: nothing to do where it is no node, or where it was done."""
        cgroups.bound_pods(self._instance, self._machine, host_id)

    def usage(self, host_id: str | None = None) -> dict[near.What, near.Use]:
        """How much of its ceilings a host has; None: all hosts together."""
        return cgroups.usage(self._instance, self._machine, *([] if host_id is None else [host_id]))

    def _wanted(self, host_id: str, host: desired.Host, uid: int, ids: ranges.Range | None = None) -> wanted.WantedHost:
        if (uid == 0) != (host.privilege == "privileged"):
            raise errors.Invalid(
                f"host {host_id}: one that is {host.privilege} cannot run as user {uid}; root is for the privileged",
                host=host_id,
            )
        return wanted.WantedHost(
            instance=self._instance.id,
            id=host_id,
            host=host,
            uid=uid,
            places=self._instance.host(host_id),
            engines=self._instance.engines,
            stores=self._instance.stores,
            cgroup=cgroups.path(self._instance, self._machine, host_id),
            shape=self._shape(host_id, host.shape),
            ids=ids,
        )

    def _shape(self, host_id: str, asked: desired.Shape | None) -> wanted.Shape | None:
        if asked is None:
            return None
        of = shape.processors(asked.vcpus, self._machine.cpus, host_id)
        files, links = shape.files(asked, of, self._machine.processor), shape.links(of)
        return wanted.Shape(self._instance.run / "shapes" / shape.key(files, links), files, links)

    def _lay_out(self, asked: wanted.WantedHost) -> None:
        """All that runc needs: nothing of an earlier life left but the disk; folders, files, the bundle."""
        self._sweep(asked.id)
        places, uid = asked.places, asked.uid
        for folder in (places.state, places.run):
            folders.make_at(folder.parent, mode=0o700)
            folders.make_at(folder, mode=0o700)
        folders.remove(asked.lent)
        folders.make_at(asked.lent, mode=0o700)
        # Nobody gets at what is in it by its path: root of a node may give a file there the rights of its owner.
        folders.make_at(places.log.parent, mode=0o700)
        for folder, owner in ((places.log, uid), (places.service, 0), (places.files, 0), (places.bundle, 0)):
            folders.make_at(folder, uid=owner)
        if asked.node:
            # Never made anew: a socket that is answered already stays.
            folders.make_at(asked.pods, mode=0o700)
        folders.make_at(self._instance.engines)
        folders.make_at(self._instance.stores, mode=0o700)
        with folders.opened(places.service) as service:
            folders.make(service, ".s6-svscan", mode=0o700, uid=uid)
        disk.make(asked, self._machine, kept=0 if self._ceilings is None else self._ceilings.kept.disk)
        tree.furnish(asked)
        tree.make(tree.plan(asked, self._machine), asked.root)
        if asked.ids is not None:
            tree.show(asked, asked.ids)
            cgroups.give(cgroups.folders(self._instance, self._machine, asked.id), asked.ids.first)
        if asked.node:
            # What an earlier release made it from.
            folders.remove(places.root)
            with folders.opened(asked.usr.parent) as above:
                for name in self._machine.usr_lacks:
                    folders.make(above, asked.usr.name, *name.split("/"))
        if asked.shape is not None:
            tree.make_shape(asked.shape)
        (places.bundle / "config.json").write_bytes(msgspec.json.encode(bundle.config(asked, self._machine)))

    def _sweep(self, host_id: str) -> None:
        """Takes away what may be left of the host's processes: those themselves, their cgroups, runc's record."""
        deadline = time.monotonic() + KILL_TIMEOUT
        tops = cgroups.folders(self._instance, self._machine, host_id)
        cgroups.kill(tops, deadline)
        cgroups.remove(tops, deadline)
        runc.forget(self._instance, host_id)

    async def update(self, host_id: str, host: desired.Host, uid: int) -> None:
        """Brings a running host's limits and names up to date; nothing is restarted."""
        self._bound(host_id, host)
        tree.rename(self._wanted(host_id, host, uid))

    def lend(self, host_id: str, path: Path) -> str:
        """Makes a file of the machine readable for root of the host, until `take_back`; returns its path there."""
        folder = wanted.lent(self._instance.host(host_id))
        lent = folder / path.name
        new = folder / f".{path.name}.{os.urandom(8).hex()}"
        try:
            os.link(path, new)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.copyfile(path, new)
        new.rename(lent)
        # Two names of one file: rename leaves both.
        new.unlink(missing_ok=True)
        return f"/lent/{path.name}"

    def take_back(self, host_id: str, path: Path) -> None:
        """The end of `lend`."""
        (wanted.lent(self._instance.host(host_id)) / path.name).unlink(missing_ok=True)

    async def stop(self, host_id: str, timeout: float) -> None:
        """Ends the host's processes: s6-svscan is asked and stops its units; after `timeout` seconds all are killed.

        The disk stays. It is fine when the host does not run.
        """
        running = await self.adopt(host_id)
        if running is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await processes.listens(running, Path(self._machine.svscan).name, signal.SIGTERM)
                    processes.send(running, signal.SIGTERM)
                    await processes.exited(running)
        await asyncio.to_thread(self._sweep, host_id)

    async def remove(self, host_id: str) -> None:
        """Ends the host and removes all of it, the disk too. Works on half-made ones and again after a crash.

        The network namespace is not the hosts' and stays.
        """
        await asyncio.to_thread(self._remove, host_id)

    def _remove(self, host_id: str) -> None:
        places = self._instance.host(host_id)
        self._sweep(host_id)
        for folder in (places.shown, places.run, places.log, places.state):
            mounts.unmount_under(folder)
            folders.remove(folder)

    async def exited(self, running: Running) -> None:
        """Returns when that process has ended, whoever its parent is. Cancel it to stop waiting."""
        await processes.exited(running)

    def shell_argv(self, host_id: str, uid: int, argv: Sequence[str] = ("/bin/sh",)) -> list[str]:
        """The command that runs `argv` in the host on the caller's terminal."""
        return self._exec("--tty", "--user", f"{uid}:{uid}", "--cwd", "/", host_id, *argv)

    def _exec(self, *arguments: str) -> list[str]:
        return runc.command(self._instance, self._machine, "exec", *arguments)

    async def run_for_probe(self, host_id: str, uid: int, argv: list[str], timeout: float) -> tuple[int, str]:
        """`run` as probes and jobs want it: exit code and output."""
        finished = await self.run(host_id, uid, argv, timeout)
        return finished.code, finished.output

    async def run(
        self, host_id: str, uid: int, argv: Sequence[str], timeout: float, stdin: bytes | None = None
    ) -> Finished:
        """Runs one command inside the host as a user. Raises NotFound when the host does not run.

        The first mebibyte of output is kept. At the deadline (seconds) the command and its process group are killed
        and Failed is raised with the output so far.
        """
        if await self.adopt(host_id) is None:
            raise errors.NotFound(f"host {host_id} does not run, so nothing can be run in it", host=host_id)
        places = self._instance.host(host_id)
        pid_file = places.run / f"{_EXECS}{os.urandom(8).hex()}"
        command = self._exec("--pid-file", str(pid_file), "--user", f"{uid}:{uid}", "--cwd", "/", host_id, *argv)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            umask=program.USUAL,
        )
        kept = bytearray()
        cut = False
        try:
            async with asyncio.timeout(timeout):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_feed(process, stdin))
                    reading = group.create_task(_keep(process, kept))
                cut = reading.result()
                code = await process.wait()
        except TimeoutError as error:
            raise errors.Failed(
                f"host {host_id}: {argv[0]} took more than {timeout:g} s and was killed",
                command=" ".join(argv),
                output=kept.decode(errors="replace"),
            ) from error
        finally:
            await asyncio.shield(_end_exec(pid_file, process))
        return Finished(code if code >= 0 else 128 - code, kept.decode(errors="replace"), cut)


async def _end_exec(pid_file: Path, process: asyncio.subprocess.Process) -> None:
    """Kills a command that still runs, and runc that waits for it. runc makes it the leader of its own group."""
    # runc says the pid a moment after the command has begun: killed in between, it would leave the command behind.
    for _ in range(int(_BEGINS / _LOOK)):
        if process.returncode is not None or pid_file.exists():
            break
        await asyncio.sleep(_LOOK)
    if process.returncode is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            running = processes.see(int(pid_file.read_text()))
            if running is not None:
                processes.kill_group(running)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.wait()
    pid_file.unlink(missing_ok=True)


async def _feed(process: asyncio.subprocess.Process, stdin: bytes | None) -> None:
    if process.stdin is None or stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _keep(process: asyncio.subprocess.Process, kept: bytearray) -> bool:
    """Reads all output, keeps the first OUTPUT_LIMIT bytes, says whether there was more."""
    cut = False
    assert process.stdout is not None
    while chunk := await process.stdout.read(_CHUNK):
        room = OUTPUT_LIMIT - len(kept)
        kept += chunk[:room]
        cut = cut or len(chunk) > room
    return cut
