"""Takes a whole instance back, from what the kernel and the disk say, with no agent running.

Everything of an instance carries its id (core/instance.py), so all of it can be found: processes by cgroups, mounts
and namespaces by folders, links by aliases, the nft table by name, loop devices by their files. Only what carries the
id is touched. The folders go last and the one with the instance's record last of all, so that a purge that is cut off
can be run again.

    python -m roadstead.agent.purge [--keep-disks] INSTANCE
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from roadstead.agent.hosts import cgroups, disk, folders, mounts, processes, see
from roadstead.agent.links import forwarding
from roadstead.contract import programs
from roadstead.core import errors, terminal
from roadstead.core.instance import Instance

if TYPE_CHECKING:
    from collections.abc import Iterator

AGENT_TIMEOUT = 10.0
KILL_TIMEOUT = 20.0
COMMAND_TIMEOUT = 20.0
"""Seconds."""


def purge(instance: Instance) -> list[str]:
    """Removes the instance and returns what there was of it, as lines for a human; nothing the second time.

    Raises Failed when something of it cannot be removed; all before that is gone, and it may be called again.
    Where supervision would start the agent again, stop that first.
    """
    removed = halt(instance)
    for folder in (instance.log, instance.state):
        if folders.remove(folder):
            removed.append(f"folder {folder}")
    return removed


def halt(instance: Instance) -> list[str]:
    """Ends everything of the instance that runs and keeps what is on disk, as a reboot does; what was ended.

    The next agent makes all of it again from the same desired states. Raises what `purge` raises.
    """
    _refuse_strange(instance)
    netns = _machine_netns(instance)
    ended = [*_agent(instance), *_hosts(instance), *_network(instance, netns), *_mounts(instance)]
    ended += [f"loop device {device}" for device in disk.detach_under(instance.state)]
    if folders.remove(instance.run):
        ended.append(f"folder {instance.run}")
    return ended


def _refuse_strange(instance: Instance) -> None:
    """A folder that is not the instance's own must never be emptied."""
    for folder in (instance.state, instance.run, instance.log):
        if not folder.is_absolute() or len(folder.parts) < 3 or instance.id not in folder.parts:
            raise errors.Invalid(
                f"{folder} is not a folder of instance {instance.id}: its path must contain the id", folder=folder
            )


def _machine_netns(instance: Instance) -> Path | None:
    """The namespace that stood for the machine's: what the caller says, else what the agent recorded."""
    if instance.machine_netns is not None:
        return instance.machine_netns
    try:
        recorded = json.loads((instance.state / programs.RECORD).read_text())
    except (FileNotFoundError, ValueError):
        return None
    path = recorded.get("machine_netns") if isinstance(recorded, dict) else None
    return Path(path) if isinstance(path, str) else None


def _agent(instance: Instance) -> Iterator[str]:
    """Ends the instance's agent, if it is another process than this."""
    try:
        pid = int((instance.run / programs.PID).read_text().split()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return
    running = processes.see(pid)
    if running is None or pid == os.getpid() or not _holds(pid, instance.run / "agent.lock"):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        processes.send(running, number)
        if processes.wait(running, AGENT_TIMEOUT):
            yield f"agent {pid}"
            return
    raise errors.Failed(f"the agent of instance {instance.id}, process {pid}, does not end after SIGKILL", pid=pid)


def _holds(pid: int, lock: Path) -> bool:
    """Whether a process has the lock's file open: only the instance's agent has."""
    try:
        wanted = lock.stat()
        return any(os.path.samestat(wanted, link.stat()) for link in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        # A descriptor or the process went away meanwhile; what is left decides at the next call.
        return False


def _hosts(instance: Instance) -> Iterator[str]:
    """Ends all processes in the instance's cgroups and removes these."""
    version, roots = see.hierarchies(mounts.see())
    deadline = time.monotonic() + KILL_TIMEOUT
    # Below the root of each hierarchy, or below our service where that delegates its cgroup to us.
    services = sorted(roots[0].glob("system.slice/roadstead*.service")) if version == 2 else []
    for bases in (roots, *((service,) for service in services)):
        tops = tuple(base / instance.cgroup for base in bases)
        pids = cgroups.members(tops)
        cgroups.kill(tops, deadline)
        if pids:
            yield f"{len(pids)} processes of hosts"
        for folder in cgroups.remove(tops, deadline):
            yield f"cgroup {folder}"
        for top in tops:
            _remove_if_empty(top.parent)


def _remove_if_empty(folder: Path) -> None:
    """The cgroup above all instances, when this was the last of them."""
    try:
        folder.rmdir()
    except OSError:
        # It is not there, or another instance's cgroups are in it.
        return


def _mounts(instance: Instance) -> Iterator[str]:
    """Unmounts disks and lets go of network namespaces."""
    for point in mounts.unmount_under(instance.run, instance.log, instance.state):
        yield f"mount {point}"


def _network(instance: Instance, netns: Path | None) -> Iterator[str]:
    """Links and the nft table in the machine's namespace. Links in the instance's own went with them."""
    if netns is not None and not _is_namespace(netns):
        return
    inside = [] if netns is None else ["nsenter", f"--net={netns}", "--"]
    prefix = instance.alias("")
    for name in links_of(prefix, _output([*inside, "ip", "-j", "link", "show"])):
        # The other end of a pair may have taken it along already.
        if _output([*inside, "ip", "link", "delete", "dev", name], gone="Cannot find device") is not None:
            yield f"link {name}"
    table = f"table inet {instance.nft_table}"
    tables = (_output([*inside, "nft", "list", "tables"]) or "").splitlines()
    if table in tables:
        if netns is None and forwarding.end(instance, tables):
            yield "forwarding of IPv4"
        _output([*inside, "nft", "delete", "table", "inet", instance.nft_table], gone="No such file or directory")
        yield f"nft {table}"


def _is_namespace(path: Path) -> bool:
    """What is left when a namespace has gone is an empty file, on another file system than the kernel's."""
    return path.exists() and path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev


def links_of(prefix: str, listing: str | None) -> list[str]:
    """The names of the links whose alias starts with the prefix, from `ip -j link`."""
    found = json.loads(listing or "[]")
    return [link["ifname"] for link in found if str(link.get("ifalias", "")).startswith(prefix)]


def _output(command: list[str], gone: str | None = None) -> str | None:
    """What the command prints; None when it fails with `gone` in its complaint. Raises Failed else."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise errors.Failed(f"{command[0]} is not installed: what it would remove is still there") from error
    except subprocess.TimeoutExpired as error:
        raise errors.Failed(
            f"{command[0]} took more than {COMMAND_TIMEOUT:.0f} s", command=" ".join(command)
        ) from error
    if done.returncode == 0:
        return done.stdout
    if gone is not None and gone in done.stderr:
        return None
    raise errors.Failed(
        f"`{' '.join(command)}` failed: {done.stderr.strip()}", command=" ".join(command), output=done.stderr
    )


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 with a line for each thing taken back, 1 for an error, told on standard error."""
    parser = argparse.ArgumentParser(prog="python -m roadstead.agent.purge", description=__doc__.splitlines()[0])
    parser.add_argument("instance", help="the instance's id")
    parser.add_argument("--keep-disks", action="store_true", help="end what runs, keep what is on disk")
    options = parser.parse_args(arguments)
    try:
        places = Instance.named(options.instance)
        for line in halt(places) if options.keep_disks else purge(places):
            terminal.out(f"{'ended' if options.keep_disks else 'removed'} {line}")
    except errors.Error as error:
        terminal.err(f"purge: {error.message}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
