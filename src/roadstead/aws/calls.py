"""What an operation is given, and how a function is marked as one.

    @calls.operation("eks", "DescribeCluster")
    async def describe_cluster(call: calls.Call, asked: Mapping[str, Any]) -> Mapping[str, Any]: ...

Marking changes nothing about the function and fills no global: the registry collects marked functions from the modules
that it is given. `asked` is the operation's input in the shape of botocore's model, validated by it; the answer is its
output. Errors are `Refused` with a code that the model knows for the operation, or those of core.errors, which one
table per service turns into codes.

An operation that lists answers all there is, in order. Pages are cut of it, by botocore's paginators (`paging`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from roadstead.core import errors
from roadstead.store import interface, kinds

Asked = Mapping[str, Any]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Caller:
    """Who signed the request."""

    account: str
    """12 digits."""
    arn: str
    """`arn:aws:iam::ACCOUNT:root` or `...:user/NAME`."""
    user_id: str
    access_key: str


@dataclass(frozen=True)
class Call:
    """One request on its way: where, who, when, and the store that it reads and writes."""

    service: str
    operation: str
    region: str
    caller: Caller
    request_id: str
    now: datetime
    """Aware, UTC."""
    store: interface.Store
    kinds: kinds.Kinds = field(default_factory=kinds.Kinds)
    """Of the resources of all services."""

    @property
    def account(self) -> str:
        return self.caller.account


Handler = Callable[[Call, Asked], Awaitable[Answer]]
F = TypeVar("F", bound=Handler)


class OperationRefused(errors.Error):
    """An error of the service's own: `code` is one of the model's error shapes, `members` its further fields."""

    def __init__(self, code: str, message: str, **members: object) -> None:
        super().__init__(message, **members)
        self.aws_code = code
        self.members = members


@dataclass(frozen=True)
class Marked:
    """What a mark says."""

    service: str
    operation: str
    notes: Mapping[str, str] = field(default_factory=dict)


def operation(service: str, name: str, **notes: str) -> Callable[[F], F]:
    """Mark a function as this operation. `answers="empty"` notes one that only ever answers an empty list."""

    def mark(function: F) -> F:
        function.__dict__["roadstead_operation"] = Marked(service, name, notes)
        return function

    return mark


def marked(function: object) -> Marked | None:
    """The mark of a function, if it has one."""
    mark = getattr(function, "roadstead_operation", None)
    return mark if isinstance(mark, Marked) else None
