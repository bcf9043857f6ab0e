"""What a running process must get for a changed definition. Pure: no I/O.

Two records are compared: the essence that the running process was started from (or was last signalled for), and the
essence that is wanted now. So a change that waits for its turn is still known after the agent died, and a change that
was taken back asks for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from roadstead.agent.units import service
from roadstead.contract.messages import desired

Action = Literal["new", "nothing", "signal", "restart"]
_RANK: dict[Action, int] = {"new": 0, "nothing": 0, "signal": 1, "restart": 2}


@dataclass(frozen=True)
class Change:
    """What must be done to a unit's process, and why, for a human."""

    action: Action
    reason: str = ""


@dataclass(frozen=True)
class FileEssence:
    """A file of a unit, without its bytes."""

    digest: str
    secret: bool
    on_change: Literal["nothing", "signal", "restart"]


@dataclass(frozen=True)
class Essence:
    """What of a unit a running process can notice. Holds digests, never the bytes of a file.

    What is run before the first start is no part of it: a process that runs has had its own.
    """

    command: tuple[str, ...]
    environment: dict[str, str]
    notification: int | None
    """The descriptor on which the unit itself says that it is ready."""
    files: dict[str, FileEssence]
    environment_file: str | None = None


def essence(unit_id: str, unit: desired.Unit) -> Essence:
    """The essence of a unit. Raises what `service` raises."""
    return Essence(
        command=service.command(unit),
        environment=service.environment(unit_id, unit),
        notification=service.notification(unit) if isinstance(unit.ready, desired.NotifyProbe) else None,
        files={
            name: FileEssence(file.blob or digest((file.content or "").encode()), file.secret, file.on_change)
            for name, file in sorted(unit.files.items())
        },
        environment_file=unit.environment_file,
    )


def digest(content: bytes) -> str:
    """`sha256:HEX`, as blobs are named."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def encode(one: Essence) -> bytes:
    """JSON, as `decode` reads it."""
    return msgspec.json.encode(one)


def decode(raw: bytes | None) -> Essence | None:
    """None for what is missing or was written in a form that is not known."""
    try:
        return None if raw is None else msgspec.json.decode(raw, type=Essence)
    except msgspec.DecodeError:
        return None


def compare(old: Essence | None, new: Essence) -> Change:
    """The strongest of what the differences ask for, with the reasons of that strength."""
    if old is None:
        return Change("restart", "what it was started from is not known")
    differences = list(_differences(old, new))
    strongest: Action = max((action for action, _ in differences), key=_RANK.__getitem__, default="nothing")
    if strongest == "nothing":
        return Change("nothing")
    return Change(strongest, "; ".join(reason for action, reason in differences if action == strongest))


def _differences(old: Essence, new: Essence) -> Iterator[tuple[Action, str]]:
    if old.command != new.command:
        yield "restart", f"its command line changed ({_words(old.command, new.command)})"
    if old.environment != new.environment:
        names = {name for name, _ in old.environment.items() ^ new.environment.items()}
        yield "restart", f"its environment changed ({', '.join(sorted(names))})"
    if old.environment_file != new.environment_file:
        yield "restart", "the file of its environment is another one"
    if old.notification != new.notification:
        yield "restart", "its notification descriptor changed"
    for name in sorted(old.files.keys() | new.files.keys()):
        before, after = old.files.get(name), new.files.get(name)
        if after is None:
            assert before is not None
            yield before.on_change, f"its file {name} was taken away"
        elif before is None:
            yield after.on_change, f"its file {name} was added"
        elif (before.digest, before.secret) != (after.digest, after.secret):
            yield after.on_change, f"its file {name} changed"


def _words(old: tuple[str, ...], new: tuple[str, ...]) -> str:
    """The names of the flags that differ, or that only their order does."""
    changed = set(old) ^ set(new)
    return ", ".join(sorted({word.partition("=")[0] for word in changed})) or "order"
