"""Commands that take long, and must not outlive whoever asked for them.

A build is a tree of processes. It runs in a process group of its own below a small guard, which holds the
reading end of a pipe: when the pipe ends, since our process is gone however it ended, the guard kills the group.
"""

from __future__ import annotations

import collections
import os
import re
import selectors
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

# Asynchronous lists of a shell have /dev/null as standard input, hence the copy as descriptor 3.
_GUARD = """
exec 3<&0 </dev/null
"$@" 3<&- &
work=$!
{ read -r _ <&3; kill -9 -$$; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $work
code=$?
kill -9 $watch
exit $code
"""

_KEPT_LINES = 30


def run(
    argv: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    line: Callable[[str], None],
    timeout: float,
    stop: int | None = None,
) -> None:
    """Run a command to its end, telling each line of its output.

    Raises Failed (with the command and the last lines as facts) when it exits with another code than 0, takes longer
    than `timeout` seconds, or `stop`, a descriptor, can be read from. The command and all its children are gone when
    this returns or raises.
    """
    deadline = time.monotonic() + timeout
    command = shlex.join(argv)
    last: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
    child = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", *argv],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        for text in _lines(child.stdout.fileno(), deadline, stop):
            last.append(text)
            line(text)
        code = child.wait(max(0.0, deadline - time.monotonic()))
    except InterruptedError as error:
        raise errors.Failed(f"{argv[0]} was told to stop", command=command) from error
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        raise errors.Failed(
            f"{argv[0]} took longer than {timeout:.0f} s", command=command, output="\n".join(last)
        ) from error
    finally:
        # The guard is the leader of the group, and not reaped yet unless all ended by itself.
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        child.stdin.close()
        child.stdout.close()
    if code != 0:
        raise errors.Failed(
            f"{argv[0]} failed with exit code {code}: {last[-1] if last else 'it said nothing'}",
            command=command,
            output="\n".join(last),
        )


def answer(argv: Sequence[str], environment: Mapping[str, str], timeout: float = 20.0) -> str:
    """The output (both streams) of a short command. Raises Failed when it cannot be run or fails."""
    try:
        done = subprocess.run(
            argv,
            cwd="/",
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.Failed(f"{argv[0]} cannot be run: {error}", command=shlex.join(argv)) from error
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise errors.Failed(
            f"{argv[0]} failed with exit code {done.returncode}: {text.strip()[-300:] or 'it said nothing'}",
            command=shlex.join(argv),
            output=text,
        )
    return text


def _lines(descriptor: int, deadline: float, stop: int | None) -> Iterator[str]:
    """Lines until the end of the stream; a carriage return ends one too. Raises TimeoutError, InterruptedError."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        if stop is not None:
            selector.register(stop, selectors.EVENT_READ)
        while True:
            ready = [key.fd for key, _ in selector.select(max(0.0, deadline - time.monotonic()))]
            if not ready:
                raise TimeoutError
            if stop in ready:
                raise InterruptedError
            read = os.read(descriptor, 65536)
            if not read:
                break
            *whole, rest = re.split(rb"[\r\n]+", rest + read)
            yield from (piece.decode(errors="replace") for piece in whole if piece.strip())
    if rest.strip():
        yield rest.decode(errors="replace")
