"""The bodies of the agent's requests and answers that are not desired states or observations themselves."""

from __future__ import annotations

from typing import Literal

import msgspec

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Generation
from roadstead.contract.messages.observed import Observation

API_VERSION = 1


class Put(Message, frozen=True, kw_only=True):
    """One desired state with its generation; `spec` is one of desired.KINDS, decoded by its kind."""

    generation: Generation
    spec: msgspec.Raw


class Delete(Message, frozen=True, kw_only=True):
    """`generation`: a newer one than that of the desired state that goes; see agent.api.generations."""

    generation: Generation


class Batch(Message, frozen=True, kw_only=True):
    """Many at once: all are accepted, or none. By kind and id."""

    put: dict[str, dict[str, Put]] = {}
    delete: dict[str, dict[str, Delete]] = {}


class Accepted(Message, frozen=True, kw_only=True):
    """What became of one object of a batch."""

    kind: str
    id: str
    generation: Generation
    outcome: Literal["created", "changed", "unchanged", "deleting", "absent"]


class BatchAnswer(Message, frozen=True, kw_only=True):
    """One for each object, those that were put first."""

    accepted: tuple[Accepted, ...]


class Observations(Message, frozen=True, kw_only=True):
    """All observations, and the revision to watch from."""

    revision: int
    observations: tuple[Observation, ...]


class Problem(Message, frozen=True, kw_only=True):
    """The body of every answer that is not a success: core.errors as data."""

    code: str
    message: str
    facts: dict[str, str] = {}


class Passing(Message, frozen=True, kw_only=True):
    """The first line on the passing socket: which process asks; the answer lists what the descriptors are."""

    process: str


class Passed(Message, frozen=True, kw_only=True):
    """One listening socket passed, in the order of the descriptors."""

    id: str
    address: str
    port: int
    protocol: Literal["tcp", "udp"]
