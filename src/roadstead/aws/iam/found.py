"""The role or the user that a request names, or IAM's error."""

from __future__ import annotations

from roadstead.aws import calls, kept
from roadstead.identity import roles, users
from roadstead.store import facts


def as_role(state: facts.State | None, name: str) -> roles.Role:
    """Raises NoSuchEntity when there is none."""
    if state is None:
        kept.refuse("NoSuchEntity", f"The role with name {name} cannot be found.")
    return roles.read(state.desired.body)


def as_user(state: facts.State | None, name: str) -> users.User:
    """Raises NoSuchEntity when there is none."""
    if state is None:
        kept.refuse("NoSuchEntity", f"The user with name {name} cannot be found.")
    return users.read_user(state.desired.body)


async def role(call: calls.Call, name: str) -> roles.Role:
    return as_role(await call.store.get(roles.key(call.account, name)), name)


async def user(call: calls.Call, name: str) -> users.User:
    return as_user(await call.store.get(users.user_key(call.account, name)), name)


def caller(call: calls.Call) -> str:
    """The name of the user who calls, or users.ROOT."""
    return call.caller.arn.rpartition("/")[2] if ":user/" in call.caller.arn else users.ROOT
