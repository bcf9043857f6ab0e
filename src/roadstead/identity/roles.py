"""What is kept of roles: who may take them, and which policies they have. In the store: `iam-role/NAME`.

Names differ by more than case (IAM API Reference, CreateRole), so that the key is the name in lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from roadstead.core import errors
from roadstead.identity import arns
from roadstead.store import keys, kinds, writes

ROLE = "iam-role"
MOST_POLICIES = 20
"""Managed policies of a role: IAM's largest quota."""
LONGEST_TRUST = 4096
"""Characters of a trust policy without white space: IAM's largest quota."""


class Role(msgspec.Struct, frozen=True):
    """An IAM role. `created`: seconds since 1970; `trust`: the policy as it was given."""

    name: str
    id: str
    """AROA..."""
    trust: str
    created: float
    path: str = "/"
    description: str | None = None
    longest_session: int = 3600
    """Seconds."""
    policies: tuple[str, ...] = ()
    """ARNs of managed policies, in the order in which they were attached."""
    tags: Mapping[str, str] = {}


def key(account: str, name: str) -> keys.Key:
    """Names of roles are the same in upper and lower case, so that keys have them in lower case."""
    return keys.Key(account, keys.GLOBAL, ROLE, name.lower())


def read(body: bytes) -> Role:
    """Of a desired state. Raises msgspec.DecodeError for what is no role."""
    return ROLES.read(body)


_ARN = arns.PathArn("role", read, key)
ROLES = kinds.Kind(ROLE, Role, service="iam", arn=_ARN, world=True)


def key_of_arn(account: str, arn: str) -> keys.Key | None:
    """The key of a role by its ARN; None for what is no ARN of a role of this account."""
    found = _ARN.place(arn)
    return found if found and found.account == account else None


def arn(account: str, role: Role) -> str:
    """With the role's path, `arn:aws:iam::ACCOUNT:role/PATH/NAME`."""
    return _ARN.written(account, role)


def put(account: str, role: Role, expected: writes.Expected = None) -> writes.Put:
    """What keeps a role. `expected`: see store.writes; None: whatever is there is replaced."""
    return ROLES.put(key(account, role.name), role, expected)


def check_trust(text: str) -> None:
    """Whether a text is a trust policy: statements with effect, principal and action. Raises Invalid."""
    if len(re.sub(r"\s", "", text)) > LONGEST_TRUST:
        raise errors.Invalid(f"a trust policy has at most {LONGEST_TRUST} characters")
    try:
        found = list(_statements(text))
    except (ValueError, RecursionError) as error:
        raise errors.Invalid(f"This policy contains invalid Json: {error}") from error
    if not found:
        raise errors.Invalid("Syntax errors in policy: it has no statement")
    for statement in found:
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise errors.Invalid("Syntax errors in policy: a statement's Effect must be Allow or Deny")
        if not statement.get("Principal") and not statement.get("NotPrincipal"):
            raise errors.Invalid("Missing required field Principal")
        if not statement.get("Action") and not statement.get("NotAction"):
            raise errors.Invalid("Missing required field Action")
        if "Resource" in statement:
            raise errors.Invalid("Has prohibited field Resource")


def trusts(role: Role, service: str) -> bool:
    """Whether a trust policy names a service, e.g. `eks.amazonaws.com`, in a statement that allows."""
    for statement in _statements(role.trust):
        principal = statement.get("Principal")
        named = principal.get("Service", ()) if isinstance(principal, dict) else ()
        services = [named] if isinstance(named, str) else named
        if statement.get("Effect") == "Allow" and service in services:
            return True
    return False


def _statements(text: str) -> Iterator[dict[str, Any]]:
    """The statements of a policy. Raises ValueError for what is none."""
    policy = json.loads(text)
    found = policy.get("Statement") if isinstance(policy, dict) else None
    for statement in found if isinstance(found, list) else [found]:
        if not isinstance(statement, dict):
            raise ValueError("a policy is an object with statements, which are objects")
        yield statement
