"""One virtual machine: boots from disks of its own, runs commands, loses its power. It ends with this process."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.vm import cabinet
from tests.vm.guest import console

MEMORY = "8G"
"""At most: what it does not touch is not taken."""
_BOOTING = 180.0
_ENDING = 60.0
_GRACE = 30.0
"""Seconds that an answer may come later than the machine itself gives a command."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed to both its outputs."""

    shell: str
    code: int
    output: str

    def ok(self) -> str:
        """Its output. Raises Failed when it failed."""
        if self.code != 0:
            told = "it did not end in time" if self.code == console.OVERDUE else f"exit code {self.code}"
            raise cabinet.Failed(f"`{self.shell}`: {told}\n{self.output[-6000:]}")
        return self.output


@dataclass
class Machine:
    """Its power is off until `boot`. `folder` has its disks, and what it says at boot."""

    kernel: Path
    disks: tuple[Path, ...]
    folder: Path
    _process: subprocess.Popen[bytes] | None = None
    _line: socket.socket | None = None
    _waiting: bytearray = field(default_factory=bytearray)
    _number: int = 0

    @property
    def spoken(self) -> Path:
        """What kernel and systemd said, over all boots."""
        return self.folder / "boot.log"

    def boot(self) -> float:
        """Seconds until a command can be run."""
        began = time.monotonic()
        ours, theirs = socket.socketpair()
        with theirs, self.spoken.open("ab") as out, Path(os.devnull).open("rb") as nothing:
            words = [str(word) for word in self._words(theirs.fileno())]
            self._process = subprocess.Popen(
                # Its processes are of one session, and end with this process however that ends.
                ["setpriv", "--pdeathsig=KILL", "--", *words],
                stdin=nothing,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "TMPDIR": _memory()},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._line = ours
        self._waiting.clear()
        self._next(time.monotonic() + _BOOTING, "boot")
        return time.monotonic() - began

    def _words(self, line: int) -> Iterator[str | Path]:
        yield self.kernel
        yield from (f"ubd{letter}={disk}" for letter, disk in zip("abcd", self.disks, strict=False))
        yield from ("root=/dev/ubda", "rw", "init=/lib/systemd/systemd", f"mem={MEMORY}")
        yield from (f"ncpus={os.cpu_count() or 1}", "seccomp=on")
        yield from ("con=null", "con0=null,fd:1", "ssl=null", f"ssl0=fd:{line}", f"uml_dir={self.folder}", "umid=vm")
        # The console is slow, and everything is in the journal.
        yield from ("loglevel=4", "systemd.show_status=0", "rootflags=noinit_itable")

    def run(self, shell: str, seconds: float = 60.0, user: str = "root") -> Done:
        """A command at a shell. Raises Failed when the machine ends meanwhile, or no longer answers."""
        assert self._line is not None, "it is off"
        self._number += 1
        self._line.sendall(console.message(id=self._number, user=user, shell=shell, seconds=seconds))
        deadline = time.monotonic() + seconds + _GRACE
        said: list[str] = []
        with self._told.open("a", buffering=1) as log:
            log.write(f"\n{user}$ {shell}\n")
            while True:
                told = self._next(deadline, shell)
                if told.get("id") != self._number:
                    continue
                if "code" in told:
                    log.write(f"[{told['code']}]\n")
                    return Done(shell, int(str(told["code"])), "".join(said))
                said.append(str(told["out"]))
                log.write(said[-1])

    @property
    def _told(self) -> Path:
        return self.folder / "commands.log"

    def ann(self, shell: str, seconds: float = 60.0) -> Done:
        """The same as the person who uses it, in the checkout."""
        return self.run(f"cd roadstead && {shell}", seconds, "ann")

    def _next(self, deadline: float, waited: str) -> dict[str, object]:
        """The next message of the machine."""
        assert self._line is not None
        assert self._process is not None
        while True:
            for told in console.whole_lines(self._waiting):
                return told
            ready, _, _ = select.select([self._line], [], [], max(deadline - time.monotonic(), 0))
            data = self._line.recv(65536) if ready else b""
            if not data:
                how = self._ended() if ready else "does not answer"
                raise cabinet.Failed(f"{waited}: the machine {how}. Last it said:\n{self._last_words()}")
            self._waiting += data

    def _ended(self) -> str:
        """How: its line is closed, so its process is about to end, if it has not."""
        assert self._process is not None
        try:
            return f"ended ({self._process.wait(_GRACE)})"
        except subprocess.TimeoutExpired:
            return "has closed its line"

    def _last_words(self) -> str:
        return "\n".join(self.spoken.read_text(errors="replace").splitlines()[-40:])

    def power_off(self) -> None:
        """As one does it: systemd ends everything. Cut off where that takes too long."""
        if self._process is None or self._line is None:
            return
        with contextlib.suppress(cabinet.Failed, OSError):
            self.run("systemctl poweroff", 30)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)
        self.power_cut()

    def power_cut(self) -> None:
        """Everything of it is killed, and gone when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_ENDING)
        if self._line is not None:
            self._line.close()
            self._line = None


def _memory() -> str:
    """Where the machine's memory lies, as a file without a name."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"


def failed_units(listed: str) -> list[str]:
    """Out of `systemctl --failed`; a dot before a unit is its colour's."""
    rows = [line.lstrip("●* ").split() for line in listed.splitlines()]
    return [row[0] for row in rows if len(row) > 3 and row[2] == "failed"]


@contextlib.contextmanager
def running(kernel: Path, root: Path, home: Path, folder: Path) -> Iterator[Machine]:
    """A machine with a copy of a root disk, booted; off afterwards."""
    disk = folder / "root.img"
    log = folder / "disks.log"
    cabinet.call("cp", "--reflink=auto", "--sparse=always", root / "root.img", disk, seconds=300, log=log)
    machine = Machine(kernel, (disk, home), folder)
    try:
        yield machine
    finally:
        machine.power_cut()
