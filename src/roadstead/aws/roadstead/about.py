"""What `serve` says of itself: it writes this into the store when it starts, and operations know of nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from roadstead.store import keys, writes

PROGRAM = "program"


@dataclass(frozen=True)
class ProgramPart:
    """A part of Roadstead, e.g. `agent`. `message`: why it is not well, and what to do."""

    name: str
    healthy: bool
    message: str = ""


@dataclass(frozen=True)
class ServeProgram:
    """What `serve` says of itself. `started`: seconds since 1970."""

    version: str
    instance: str
    started: float
    parts: tuple[ProgramPart, ...] = ()


def announced(account: str, program: ServeProgram) -> writes.Put:
    """What `serve` writes when it starts, and when a part of it comes to be well or unwell."""
    return writes.Put(key(account), msgspec.json.encode(program))


def key(account: str) -> keys.Key:
    """Of what `serve` says of itself, one in an account."""
    return keys.Key(account, keys.GLOBAL, PROGRAM, "serve")
