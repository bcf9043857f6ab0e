"""Programs of the machine as children of the agent: none outlives it, and each has its time."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from roadstead.core import errors, program

_ENVIRONMENT = {"PATH": program.PATH}
# The kernel sends it when the thread that started the child ends: ours is the loop's, which is the agent's first.
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_SAID = 400


@contextlib.asynccontextmanager
async def running(
    words: Sequence[str | Path], output: int, descriptors: Sequence[int] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, killed at the end if it still runs. It says things to `output` and inherits `descriptors`.

    Raises Failed when it cannot be started. Its pid is that of the last program of a row that become one another.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *_WITH_US,
            *map(str, words),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(descriptors),
            env=_ENVIRONMENT,
            cwd="/",
            umask=program.USUAL,
        )
    except OSError as error:
        raise errors.Failed(f"{words[0]} cannot be started: {error}", command=" ".join(map(str, words))) from error
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())


async def done(words: Sequence[str | Path], timeout: float, descriptors: Sequence[int] = ()) -> None:
    """Returns when it has ended well. Raises Failed with its last words, or after `timeout` seconds."""
    command = " ".join(map(str, words))
    name = Path(words[0]).name
    async with running(words, subprocess.PIPE, descriptors) as process:
        try:
            async with asyncio.timeout(timeout):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise errors.Failed(f"{name} took more than {timeout:g} s", command=command) from error
    if process.returncode != 0:
        said = output.decode(errors="replace").strip()[-_SAID:]
        raise errors.Failed(f"{name} ended with {process.returncode}: {said}", command=command, output=said)
