"""In the virtual machine: runs the commands that come over a serial line, and tells what they print and how they end.

A line is one JSON object. In: `{"id": 1, "user": "ann", "shell": "./roadstead status", "seconds": 30}`. Out: first,
once, `{"boot": ...}`; then for each command any number of `{"id": 1, "out": "..."}` and one `{"id": 1, "code": 0}`.
One command at a time; one that is not done in its time is killed with all that it started in its session: code 124.

Python's own library only: it is run by the machine's Python, as a service.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

OVERDUE = 124
"""As timeout(1) says it."""
_CHUNK = 2048
"""Bytes of a message: the line has 4 KiB of room, and JSON may need more of them than there were."""


def message(**fields: object) -> bytes:
    """One line."""
    return json.dumps(fields).encode() + b"\n"


def whole_lines(waiting: bytearray) -> Iterator[dict[str, object]]:
    """Takes the messages that are whole out of what was read. What is no message (a kernel's word) is skipped."""
    while (end := waiting.find(b"\n")) >= 0:
        line = bytes(waiting[:end])
        del waiting[: end + 1]
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                yield told


def write(line: int, data: bytes) -> None:
    while data:
        data = data[os.write(line, data) :]


def command(user: str, shell: str) -> list[str]:
    """As a person at a shell of this machine; root's own without a login, since nothing asks for one."""
    return ["sh", "-c", shell] if user in ("root", "") else ["su", "-", user, "-c", shell]


def run(line: int, number: object, user: str, shell: str, seconds: float) -> None:
    """Runs one command to its end. What it left in the background may hold its output: that is not waited for."""
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command(user, shell),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd="/",
    ) as process:
        assert process.stdout is not None
        output = process.stdout.fileno()
        os.set_blocking(output, False)
        ended = os.pidfd_open(process.pid)
        try:
            code = _follow(line, number, output, ended, deadline)
        finally:
            os.close(ended)
        if code == OVERDUE:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        write(line, message(id=number, code=code or process.returncode))


def _follow(line: int, number: object, output: int, ended: int, deadline: float) -> int:
    """Passes on what is printed until the process ends; OVERDUE when it does not in time."""
    watched = [output, ended]
    while True:
        ready, _, _ = select.select(watched, [], [], max(deadline - time.monotonic(), 0))
        if output in ready and not _pass_on(line, number, output):
            watched.remove(output)
        elif ended in ready and output not in ready:
            return 0
        elif not ready:
            return OVERDUE


def _pass_on(line: int, number: object, output: int) -> bool:
    """False at the end of the output."""
    try:
        data = os.read(output, _CHUNK)
    except BlockingIOError:
        return True
    if data:
        write(line, message(id=number, out=data.decode(errors="replace")))
    return bool(data)


def serve(line: int) -> None:
    """Until the line ends."""
    write(line, message(boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip()))
    waiting = bytearray()
    while data := os.read(line, 65536):
        waiting += data
        for told in whole_lines(waiting):
            run(line, told["id"], str(told["user"]), str(told["shell"]), float(str(told["seconds"])))


def main() -> int:
    line = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
    if os.isatty(line):
        tty.setraw(line)
    serve(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
