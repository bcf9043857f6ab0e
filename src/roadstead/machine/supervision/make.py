"""Writes a tree, starts it, ends it. Every function may be cut off anywhere and called again."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import math
import os
import pwd
import select
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from roadstead.core import errors, instance, program
from roadstead.core.files import atomic
from roadstead.machine.supervision import see, tree

_MOMENT = 0.01
"""Seconds between looks for the few milliseconds in which s6 makes its folders, which it announces nowhere."""
_SLICE = 1.0
"""Seconds of waiting for readiness between looks at whether the service dies again and again."""
_HOPELESS = 3
"""Deaths before readiness after which waiting any longer is pointless."""
_TO_KILL = 10.0
"""Seconds from the stop signal of a service to SIGKILL."""
_LOG_LINES = 20

ENVIRONMENT = {"PATH": program.PATH, "LANG": "C.UTF-8"}
"""What s6-svscan gets: nothing of whoever starts it."""


def call(*command: str, timeout: float) -> str:
    """Run a program to its end; its output. Raises Failed with the command and all it said."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise errors.Failed(
            f"{command[0]} is not installed: `roadstead doctor --fix` installs it", command=" ".join(command)
        ) from error
    except subprocess.TimeoutExpired as error:
        raise errors.Failed(
            f"`{' '.join(command)}` has not ended after {timeout:g} s", command=" ".join(command)
        ) from error
    if done.returncode != 0:
        raise errors.Failed(
            f"`{' '.join(command)}` ended with code {done.returncode}",
            command=" ".join(command),
            output=(done.stdout + done.stderr).strip(),
        )
    return done.stdout


@contextlib.contextmanager
def alone(places: instance.Instance) -> Iterator[None]:
    """One start or stop of an instance at a time; others wait. The lock goes with the process."""
    instance.make(places)
    with locked(places.run / "tree.lock"):
        yield


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that goes with the process. Whoever could open the file could hold it, too: it is root's alone."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.fchmod(file, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def prepare(places: instance.Instance, services: Iterable[tree.TreeService]) -> frozenset[str]:
    """Write the tree and the log folders; the names of services (`NAME`, `NAME/log`) whose files changed."""
    wanted = tuple(services)
    instance.make(places)
    tree.folder(places).mkdir(exist_ok=True)
    tree.folder(places).chmod(0o700)
    for service in wanted:
        _log(tree.log_folder(places, service.name))
        if service.user is not None:
            for place, mode in service.folders:
                place.mkdir(parents=True, exist_ok=True, mode=mode)
                shutil.chown(place, service.user, service.user)
                place.chmod(mode)
            for place, group in service.rooms:
                place.mkdir(exist_ok=True, mode=0o700)
                shutil.chown(place, service.user, group)
                place.chmod(0o2750)
                _share(place, service.user, group)
    return write(tree.folder(places), tree.files(wanted, places))


def _share(place: Path, user: str, group: str) -> None:
    """Files that an earlier release left there for their user alone are the group's to read, until they are new."""
    with os.scandir(place) as entries:
        names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    for name in names:
        try:
            file = os.open(place / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            # Replaced just now, by one that is right.
            continue
        try:
            facts = os.fstat(file)
            # A second name could be that of anybody's file.
            if (facts.st_uid, facts.st_nlink) == (pwd.getpwnam(user).pw_uid, 1) and stat.S_ISREG(facts.st_mode):
                os.fchown(file, -1, grp.getgrnam(group).gr_gid)
                os.fchmod(file, 0o640)
        finally:
            os.close(file)


def _log(folder: Path) -> None:
    """The folder of a service's log, root's alone. In earlier releases it was the service's own."""
    folder.mkdir(exist_ok=True)
    # First its name, and only then what is in it: nobody puts anything else there any more.
    os.chown(folder, 0, 0, follow_symlinks=False)
    folder.chmod(0o700)
    for file in folder.iterdir():
        facts = file.lstat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
            # s6-log makes nothing of the kind.
            file.unlink()
        elif (facts.st_uid, facts.st_mode & 0o077) != (0, 0):
            os.chown(file, 0, 0, follow_symlinks=False)
            file.chmod(facts.st_mode & 0o700)


def write(folder: Path, files: Mapping[PurePosixPath, tree.File]) -> frozenset[str]:
    """Make the folder hold these files, each written whole; the names of the services that changed."""
    changed = set()
    for path, (content, mode) in files.items():
        place = folder / path
        with contextlib.suppress(FileNotFoundError):
            if place.read_text() == content and place.stat().st_mode & 0o777 == mode:
                continue
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(place, content.encode(), mode, durable=False)
        changed.add(str(path.parent))
    return frozenset(changed)


def up(places: instance.Instance, services: Iterable[tree.TreeService], *, unit: str | None, timeout: float) -> bool:
    """Make the tree run with these services, ready within `timeout` seconds; whether anything was started.

    A service whose definition changed is restarted, the others are left alone. `unit` is the systemd unit that runs
    the tree; None: it is started here, in a session of its own.
    """
    wanted = tuple(services)
    folder = tree.folder(places)
    deadline = time.monotonic() + timeout
    with alone(places):
        changed = prepare(places, wanted)
        running = see.tree(folder).scanner is not None
        if not running:
            try:
                launch(places, unit)
                for service in wanted:
                    wait_ready(places, service, deadline=deadline)
            except errors.Error:
                # A start that failed leaves nothing that tries again behind its back.
                _down(folder, unit=unit, timeout=_TO_KILL)
                raise
            return True
        known = see.tree(folder).supervised
        new = {service.name for service in wanted if service.name not in known}
        if new:
            call("s6-svscanctl", "-a", str(folder), timeout=5)
        for service in wanted:
            if service.name in new:
                wait_ready(places, service, deadline=deadline)
                continue
            died = see.deaths(folder, service.name)
            if f"{service.name}/log" in changed:
                call("s6-svc", "-r", str(folder / service.name / "log"), timeout=5)
            if service.name in changed:
                limit = f"-T{_milliseconds(deadline)}"
                call("s6-svc", "-wr", limit, "-r", str(folder / service.name), timeout=timeout + 5)
            wait_ready(places, service, deadline=deadline, died=died)
    return bool(changed)


def install(units: Mapping[Path, str], hosts: str) -> None:
    """Unit files of systemd as they are wanted; `hosts`, the one that keeps the cgroup of hosts, runs then."""
    changed = [path for path, text in units.items() if not path.is_file() or path.read_text() != text]
    for path in changed:
        atomic.write(path, units[path].encode(), 0o644)
    if changed:
        call("systemctl", "daemon-reload", timeout=60)
    with contextlib.suppress(errors.Failed):
        # It cannot be started beside hosts that outlived it, which keep the cgroup as well; an agent that finds no
        # cgroup says so.
        call("systemctl", "start", hosts, timeout=60)


def launch(places: instance.Instance, unit: str | None) -> None:
    """Start s6-svscan on a written tree, after ending what an s6-svscan that was killed has left."""
    folder = tree.folder(places)
    if unit is not None:
        call("systemctl", "enable", unit, timeout=30)
        call("systemctl", "restart", unit, timeout=60)
        return
    clear(folder, timeout=_TO_KILL)
    command = ("setsid", "--fork", "s6-svscan", str(folder))
    with open(places.log / "tree.log", "ab", opener=_private) as log:
        try:
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                cwd="/",
                umask=program.PRIVATE,
                check=True,
                timeout=10,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise errors.Failed(f"s6-svscan could not be started: {error}", command=" ".join(command)) from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def wait_ready(places: instance.Instance, service: tree.TreeService, *, deadline: float, died: int = 0) -> None:
    """Until the service says that it is ready; Failed with the end of its log when it does not by `deadline`.

    `died`: how often it had died before this start.
    """
    folder = tree.folder(places) / service.name
    while not (folder / "supervise" / "status").exists() or see.holder(folder / "supervise" / "lock") is None:
        if time.monotonic() > deadline:
            raise errors.Failed(f"s6-svscan has not taken up {folder}", output=_end(places.log / "tree.log"))
        time.sleep(_MOMENT)
    while True:
        slice_end = min(deadline, time.monotonic() + _SLICE)
        command = ("s6-svwait", "-U" if service.notifies else "-u", "-t", _milliseconds(slice_end), str(folder))
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SLICE + 10)
        if done.returncode == 0:
            return
        hopeless = see.deaths(tree.folder(places), service.name) - died >= _HOPELESS
        if hopeless or time.monotonic() >= deadline:
            log = tree.log_folder(places, service.name) / "current"
            what = "ends as soon as it is started" if hopeless else "did not get ready in time"
            raise errors.Failed(
                f"{service.name} of instance {places.id} {what}: its log is {log}",
                command=" ".join(service.command),
                output=_end(log),
            )


def down(places: instance.Instance, *, unit: str | None, timeout: float) -> bool:
    """End the tree and everything it runs; whether anything ran. A service that does not end in time is killed."""
    if not tree.folder(places).exists():
        return False
    with alone(places):
        return _down(tree.folder(places), unit=unit, timeout=timeout)


def _down(folder: Path, *, unit: str | None, timeout: float) -> bool:
    before = see.tree(folder)
    pids = [] if before.scanner is None else [before.scanner, *before.supervised.values()]
    with _watched(pids) as ended:
        if unit is not None:
            # Also when nothing runs: it may be between two attempts of systemd's.
            call("systemctl", "stop", unit, timeout=timeout + 60)
        elif before.scanner is not None:
            call("s6-svscanctl", "-t", str(folder), timeout=5)
        if not ended(timeout):
            _kill(folder)
            if not ended(5):
                raise errors.Failed(f"s6-svscan on {folder} does not end", pid=before.scanner)
    left = clear(folder, timeout=timeout)
    return bool(pids) or left


def clear(folder: Path, *, timeout: float) -> bool:
    """End supervisors that outlived their s6-svscan, and what they run: a new one could not take them over."""
    left = see.tree(folder).supervised
    with _watched(left.values()) as ended:
        for service in left:
            call("s6-svc", "-xd", str(folder / service), timeout=5)
        if not ended(timeout):
            _kill(folder)
            if not ended(5):
                raise errors.Failed(f"supervisors of an earlier tree in {folder} do not end", services=", ".join(left))
    return bool(left)


def _kill(folder: Path) -> None:
    """SIGKILL to the services that did not end on the stop signal."""
    for service in see.tree(folder).supervised:
        with contextlib.suppress(errors.Failed):
            # It may have ended meanwhile; whoever waits sees.
            call("s6-svc", "-k", str(folder / service), timeout=5)


class _Ended:
    """Waits until all of some processes have ended. Called with seconds; whether they have."""

    def __init__(self, descriptors: list[int]) -> None:
        self._left = set(descriptors)

    def __call__(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        poll = select.poll()
        for descriptor in self._left:
            poll.register(descriptor, select.POLLIN)
        while self._left and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(math.ceil(left * 1000)):
                poll.unregister(descriptor)
                self._left.discard(descriptor)
        return not self._left


@contextlib.contextmanager
def _watched(pids: Iterable[int]) -> Iterator[_Ended]:
    with contextlib.ExitStack() as stack:
        descriptors = []
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptors.append(os.pidfd_open(pid))
                stack.callback(os.close, descriptors[-1])
        yield _Ended(descriptors)


def _milliseconds(deadline: float) -> str:
    return str(max(1, math.ceil((deadline - time.monotonic()) * 1000)))


def _end(log: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    return ""
