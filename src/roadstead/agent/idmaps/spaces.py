"""User namespaces by path: made with a network namespace that belongs to them, kept by mounts of their files.

Both are made by a process that does nothing else, since a process with threads cannot enter a user namespace, and who
makes a network namespace decides to which user namespace it belongs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from roadstead.agent.idmaps import ranges
from roadstead.core import errors

_TIMEOUT = 10.0
_HOLDER = ("unshare", "--user", "--net", "--", "cat")
"""It says back what it is told, which is how one knows that the namespaces are there."""
_SAID = (errno.ENOSPC, errno.ENOMEM, errno.EAGAIN, errno.EPERM)
"""Numbers of what it may say. Source: unshare(2)."""


@contextlib.contextmanager
def holder(ids: ranges.Range) -> Iterator[Path]:
    """`/proc/PID/ns` of a process in a user namespace with these ids and a network namespace of its own.

    Raises Failed with what the kernel says; its fact `errno` is the number of that where it is known.
    """
    try:
        process = subprocess.Popen(
            _HOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            # What could not be written would be written once more at the end, and its failure hide the reason.
            bufsize=0,
            # Its words are read.
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise errors.Failed(f"{_HOLDER[0]} cannot be run: {error.strerror}", errno=error.errno) from error
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(b"\n")
            if process.stdout.read(1) != b"\n":
                said = process.stderr.read().decode(errors="replace").strip()
                why = next((number for number in _SAID if said.endswith(os.strerror(number))), None)
                raise errors.Failed(f"no user namespace can be made: {said}", command=" ".join(_HOLDER), errno=why)
            for name in ("uid_map", "gid_map"):
                _write(Path(f"/proc/{process.pid}/{name}"), ids.line)
            yield Path(f"/proc/{process.pid}/ns")
        finally:
            process.kill()


def _write(file: Path, line: str) -> None:
    try:
        # One write of all of it is what the kernel wants.
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise errors.Failed(
            f"{file.name} does not take {line.strip()!r}: {error.strerror}", errno=error.errno
        ) from error
