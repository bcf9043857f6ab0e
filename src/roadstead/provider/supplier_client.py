"""Asks the supplier to have an engine in the cache: it gets and builds what serve only reads."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from roadstead.contract.messages import supply
from roadstead.core import errors

_LONGEST = 4 * 3600.0
"""Seconds: the longest build on the slowest machine, after another of the same engine that is waited for."""


async def ask(socket: Path, spec: str) -> None:
    """Returns when the engine is there, which may take as long as building it. Raises Failed with the reason."""
    try:
        async with asyncio.timeout(_LONGEST):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(msgspec.json.encode(supply.Wanted(engine=spec)) + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
        answer = msgspec.json.decode(line, type=supply.Supplied)
    except (OSError, TimeoutError, ValueError) as error:
        # An answer that is cut off is none: msgspec's errors are ValueErrors.
        raise errors.Failed(f"the supplier does not answer: {error or type(error).__name__}", socket=socket) from error
    if answer.problem is not None:
        raise errors.Failed(answer.problem.message, **answer.problem.facts)
