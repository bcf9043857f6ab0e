"""What an operation is given, and how a function is marked as one.

    @calls.operation("eks", "DescribeCluster", on=resources.NAMED_CLUSTER)
    async def describe_cluster(call: calls.Call, asked: Mapping[str, Any]) -> Mapping[str, Any]: ...

Marking changes nothing about the function and fills no global: the registry collects marked functions from the modules
that it is given. `asked` is the operation's input in the shape of botocore's model, validated by it; the answer is its
output. Errors are `Refused` with a code that the model knows for the operation, or those of core.errors, which one
table per service turns into codes.

`on` says what the operation is about: its caller has to be allowed the action `SERVICE:OPERATION` on that, and is asked
about before the function is called (`authorization`). Without it the registry is not built.

An operation that lists answers all there is, in order. Pages are cut of it, by botocore's paginators (`paging`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from roadstead.aws.authorization import requests
from roadstead.core import errors
from roadstead.store import interface, kinds

Asked = Mapping[str, Any]
Answer = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One request on its way: where, who, when, the store that it reads and writes, and who says what it may."""

    service: str
    operation: str
    region: str
    caller: requests.Caller
    request_id: str
    now: datetime
    """Aware, UTC."""
    store: interface.Store
    authorizer: requests.Authorizer
    kinds: kinds.Kinds = field(default_factory=kinds.Kinds)
    """Of the resources of all services."""

    @property
    def account(self) -> str:
        return self.caller.account

    async def may(self, action: str, *resources: str, context: Mapping[str, requests.Values] | None = None) -> None:
        """Raises Denied unless the caller may do an action to ARNs, or to everything where none is given.

        For what an operation does besides its own action, e.g. `iam:PassRole`. To be asked before anything is written.
        """
        asked = requests.AuthorizationRequest(self.caller, action, resources or requests.EVERYTHING, context or {})
        await requests.ask(self.authorizer, asked)


Handler = Callable[[Call, Asked], Awaitable[Answer]]
F = TypeVar("F", bound=Handler)


class OperationRefused(errors.Error):
    """An error of the service's own: `code` is one of the model's error shapes, `members` its further fields."""

    def __init__(self, code: str, message: str, **members: object) -> None:
        super().__init__(message, **members)
        self.aws_code = code
        self.members = members


@dataclass(frozen=True)
class ContextKey:
    """Condition keys that an operation supplies. See authorization.context."""

    names: tuple[str, ...]
    """As the Service Authorization Reference writes them."""
    members: tuple[str, ...]
    """Paths of the input that they follow from."""
    values: Callable[[Call, Asked], Iterable[tuple[str, requests.Values]]]


Context = tuple[ContextKey, ...]


@dataclass(frozen=True)
class Resource:
    """What an operation is about. See authorization.resources for those that follow from the input."""

    types: tuple[str, ...]
    """Resource types of the Service Authorization Reference; an ARN is of one of them."""
    members: tuple[str, ...]
    """Paths of the input that the ARNs follow from."""
    arns: Callable[[Call, Asked], Awaitable[tuple[str, ...]]]
    context: Context = ()
    """Condition keys that whoever is about this supplies."""


Resources = tuple[Resource, ...]


@dataclass(frozen=True)
class Authorization:
    """What the caller of an operation has to be allowed."""

    action: str
    """`eks:DescribeCluster`."""
    resources: Resources
    """None: everything."""
    context: Context = ()
    needs_permission: bool = True
    """False: AWS answers whoever can sign, also where a policy denies it."""


@dataclass(frozen=True)
class Marked:
    """What a mark says."""

    service: str
    operation: str
    authorization: Authorization | None
    """None: nothing was said of it, and the registry refuses the operation."""
    notes: Mapping[str, str] = field(default_factory=dict)


def operation(
    service: str,
    name: str,
    *,
    on: Resource | Resources | None = None,
    context: Context = (),
    needs_permission: bool = True,
    **notes: str,
) -> Callable[[F], F]:
    """Mark a function as this operation. `answers="empty"` notes one that only ever answers an empty list."""
    declared = None
    if on is not None:
        resources = (on,) if isinstance(on, Resource) else on
        supplied = (*context, *(key for resource in resources for key in resource.context))
        declared = Authorization(f"{service}:{name}", resources, supplied, needs_permission)

    def mark(function: F) -> F:
        function.__dict__["roadstead_operation"] = Marked(service, name, declared, notes)
        return function

    return mark


def marked(function: object) -> Marked | None:
    """The mark of a function, if it has one."""
    mark = getattr(function, "roadstead_operation", None)
    return mark if isinstance(mark, Marked) else None
