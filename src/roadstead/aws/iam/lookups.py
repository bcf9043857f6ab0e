"""The role or the user that a request names, or IAM's error."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.core import errors
from roadstead.identity import roles, users
from roadstead.store import facts, keys, writes


def as_role(state: facts.State | None, name: str) -> roles.Role:
    """Raises NoSuchEntity when there is none."""
    if state is None:
        store_access.refuse("NoSuchEntity", f"The role with name {name} cannot be found.")
    return roles.read(state.desired.body)


def as_user(state: facts.State | None, name: str) -> users.User:
    """Raises NoSuchEntity when there is none."""
    if state is None:
        store_access.refuse("NoSuchEntity", f"The user with name {name} cannot be found.")
    return users.read_user(state.desired.body)


async def role(call: calls.Call, name: str) -> roles.Role:
    """Refuses with NoSuchEntity."""
    return as_role(await call.store.get(roles.key(call.account, name)), name)


async def user(call: calls.Call, name: str) -> users.User:
    """Refuses with NoSuchEntity."""
    return as_user(await call.store.get(users.user_key(call.account, name)), name)


async def added(call: calls.Call, kind: str, name: str, put: writes.Put) -> None:
    """Keep a new user or role. Raises EntityAlreadyExists where one has its name, in whatever case.

    Source: IAM User Guide, "IAM and AWS STS quotas": names of one kind are not distinguished by case.
    """
    prefix = keys.Prefix(call.account, keys.GLOBAL, kind)
    said = "Role" if kind == roles.ROLE else "User"
    for _ in range(store_access.TRIES):
        states, revision = await store_access.listed(call.store, prefix)
        if any(state.key.names[0].lower() == name.lower() for state in states):
            store_access.refuse("EntityAlreadyExists", f"{said} with name {name} already exists.")
        try:
            await call.store.commit(put, writes.Unchanged(prefix, revision))
        except errors.Conflict:
            # Another one came first: is it of this name?
            continue
        return
    raise errors.Busy(f"many are being made: try again ({said} {name})")


def tags(asked: calls.Asked) -> dict[str, str]:
    """The tags of what is made. Raises InvalidInput for keys that differ in case alone, and for what nobody may set."""
    given = {tag["Key"]: tag["Value"] for tag in asked.get("Tags", ())}
    if len({tag["Key"].lower() for tag in asked.get("Tags", ())}) < len(asked.get("Tags", ())):
        store_access.refuse("InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return store_access.tags_after({}, given, code="InvalidInput")


def caller(call: calls.Call) -> str:
    """The name of the user who calls, or users.ROOT."""
    return call.caller.arn.rpartition("/")[2] if ":user/" in call.caller.arn else users.ROOT
