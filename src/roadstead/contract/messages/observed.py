"""What the agent saw. Each observation names the generation of the desired state that it was made from."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Generation
from roadstead.core import foreign


class Exit(Message, frozen=True, kw_only=True):
    """How a process ended last: an exit code, or the number of a signal."""

    code: int | None = None
    signal: int | None = None
    at: float = 0.0
    """Unix time, seconds."""


class Observation(Message, frozen=True, kw_only=True):
    """One object as it is.

    `phase`: `pending` (waits for something, see reason), `making`, `ready`, `running` (up, not ready yet),
    `failing` (see reason; it is tried again), `stopped`, `deleting`, `not-understood` (kept as it is).
    """

    kind: str
    id: str
    generation: Generation
    phase: Literal["pending", "making", "running", "ready", "failing", "stopped", "deleting", "not-understood"]
    reason: str = ""
    """For a human; empty when all is well."""
    pid: int | None = None
    """On the machine."""
    since: float | None = None
    """Unix time of the start of the process."""
    restarts: int = 0
    exit: Exit | None = None
    warnings: tuple[str, ...] = ()
    """Of a host: what is near its end, a sentence each, the same as long as it is so."""
    restart_pending: bool = False
    """A changed file or flag asks for a restart that waits for the other members of the group."""

    def __post_init__(self) -> None:
        # It repeats what programs say.
        msgspec.structs.force_setattr(self, "reason", foreign.bounded(self.reason))


class Status(Message, frozen=True, kw_only=True):
    """The agent itself."""

    instance: str
    version: str
    api: int
    pid: int
    since: float
    revision: int
    counts: dict[str, int]
    """Objects by kind."""
    not_ready: int
    """Objects that are not as they are wanted."""


class Changed(Message, frozen=True, kw_only=True):
    """One line of the watch: an observation at a revision; `observation` is None when the object is gone."""

    revision: int
    kind: str
    id: str
    observation: Observation | None = None


class JobResult(Message, frozen=True, kw_only=True):
    """A typed job: `running`, `done` with its output, or `failed` with the reason."""

    id: str
    type: str
    state: Literal["running", "done", "failed"]
    output: str = ""
    reason: str = ""
