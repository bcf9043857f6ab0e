"""The question whether a caller may, and who answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from roadstead.core import errors

Values = tuple[str, ...]
"""What a condition key is in a request: one text, or several."""
EVERYTHING: Values = ("*",)
"""The resource of an operation that is about none: statements allow it only where their resource is `*`.

Source: Service Authorization Reference, "Actions table": without a resource type, all resources have to be named."""


@dataclass(frozen=True)
class Caller:
    """Who signed the request."""

    account: str
    """12 digits."""
    arn: str
    """`arn:aws:iam::ACCOUNT:root` or `...:user/NAME`."""
    user_id: str
    access_key: str
    session: str | None = None
    """The name of the session, of one who has taken a role; None: signed by an access key of its own."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the user."""


@dataclass(frozen=True)
class AuthorizationRequest:
    """May `principal` do `action` (`eks:DescribeCluster`) to all of `resources` (ARNs, or EVERYTHING)?"""

    principal: Caller
    action: str
    resources: Values
    context: Mapping[str, Values] = field(default_factory=dict)
    """By condition key. One that the request says nothing of is not there."""


@dataclass(frozen=True)
class Decision:
    """`because`: the end of the sentence in which a caller is told no."""

    allowed: bool
    because: str = ""


class Authorizer(Protocol):
    """Who decides."""

    async def decide(self, request: AuthorizationRequest) -> Decision:
        """What it raises is no yes."""
        ...


async def ask(authorizer: Authorizer, request: AuthorizationRequest) -> None:
    """Raises Denied unless the answer is yes."""
    decision = await authorizer.decide(request)
    if decision.allowed is not True:
        raise errors.Denied(sentence(request, decision))


def sentence(request: AuthorizationRequest, decision: Decision) -> str:
    """Source: IAM User Guide, "Troubleshoot access denied error messages"."""
    said = f"User: {request.principal.arn} is not authorized to perform: {request.action}"
    if request.resources != EVERYTHING:
        said += f" on resource: {', '.join(request.resources)}"
    return f"{said} because {decision.because}" if decision.because else said
