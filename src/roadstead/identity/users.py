"""What is kept of users and of access keys, and whose a key is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from roadstead.identity import arns, names
from roadstead.store import interface, keys, kinds, writes

USER = "iam-user"
ACCESS_KEY = "access-key"
ROOT = ""
"""In place of a user's name: the account's root."""


class User(msgspec.Struct, frozen=True):
    """An IAM user. `created`: seconds since 1970."""

    name: str
    id: str
    """AIDA..."""
    created: float
    path: str = "/"
    tags: Mapping[str, str] = {}


class AccessKey(msgspec.Struct, frozen=True):
    """An access key; its secret is in the store's secrets under the same key."""

    id: str
    user: str
    """Its name, or ROOT."""
    created: float
    status: Literal["Active", "Inactive"] = "Active"


@dataclass(frozen=True)
class Known:
    """Whose an access key is, and what it signs with."""

    access_key: str
    account: str
    arn: str
    user_id: str
    secret: str = field(repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    """Of the user."""


def user_key(account: str, name: str) -> keys.Key:
    """By the name as it was given, upper and lower case."""
    return keys.Key(account, keys.GLOBAL, USER, name)


def access_key_key(account: str, id: str) -> keys.Key:
    """Of an access key, AKIA...; its secret is under the same key."""
    return keys.Key(account, keys.GLOBAL, ACCESS_KEY, id)


def read_user(body: bytes) -> User:
    """Of a desired state. Raises msgspec.DecodeError for what is no user."""
    return USERS.read(body)


_ARN = arns.PathArn("user", read_user, user_key)
USERS = kinds.Kind(USER, User, service="iam", arn=_ARN, world=True)
ACCESS_KEYS = kinds.Kind(ACCESS_KEY, AccessKey, world=True)
read_access_key = ACCESS_KEYS.read


def arn(account: str, user: User) -> str:
    """With the user's path, `arn:aws:iam::ACCOUNT:user/PATH/NAME`."""
    return _ARN.written(account, user)


def put_user(account: str, user: User, expected: writes.Expected = None) -> writes.Put:
    """What keeps a user. `expected`: see store.writes; None: whatever is there is replaced."""
    return USERS.put(user_key(account, user.name), user, expected)


def new_access_key(account: str, user: str, now: float) -> tuple[AccessKey, str, tuple[writes.Write, ...]]:
    """A new key for a user (or ROOT), its secret, and the writes that keep both."""
    key, secret = AccessKey(names.access_key_id(account), user, now), names.secret_access_key()
    place = access_key_key(account, key.id)
    kept = (
        ACCESS_KEYS.put(place, key, writes.Absent()),
        writes.PutSecret(place, secret.encode(), writes.Absent()),
    )
    return key, secret, kept


async def whose(store: interface.Store, access_key: str) -> Known | None:
    """Whose an access key is; None for one that there is not, that is inactive, or whose user is gone.

    Raises Failed when the secret cannot be opened.
    """
    account = names.account_of(access_key)
    if account is None:
        return None
    place = access_key_key(account, access_key)
    state = await store.get(place)
    if state is None:
        return None
    kept = read_access_key(state.desired.body)
    secret = await store.secret(place)
    if kept.status != "Active" or secret is None:
        return None
    if kept.user == ROOT:
        return Known(access_key, account, f"arn:aws:iam::{account}:root", account, secret.value.decode())
    found = await store.get(user_key(account, kept.user))
    if found is None:
        return None
    user = read_user(found.desired.body)
    return Known(access_key, account, arn(account, user), user.id, secret.value.decode(), user.tags)
