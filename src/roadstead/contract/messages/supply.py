"""What serve asks the supplier: for one engine, by a name of the catalog. A line of JSON each way, then the end."""

from __future__ import annotations

from typing import Annotated

import msgspec

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.requests import Problem

LONGEST_LINE = 200
"""Bytes of a question."""

Spec = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}\Z")]
"""`1.37.2`, `etcd`, `seed-1.37.2`: see engine.catalog."""


class Wanted(Message, frozen=True, kw_only=True):
    """The one line of a question."""

    engine: Spec


class Supplied(Message, frozen=True, kw_only=True):
    """It is here, whole; or why it is not to be had."""

    problem: Problem | None = None
