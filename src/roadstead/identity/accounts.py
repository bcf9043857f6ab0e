"""The account: made once, at the first start, with its administrator and what the AWS API needs of secrets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

import msgspec

from roadstead.core import errors
from roadstead.identity import names, users
from roadstead.store import interface, keys, writes

ACCOUNT = "account"
ADMIN = "admin"


class Account(msgspec.Struct, frozen=True):
    """What is kept of an account."""

    id: str
    created: float
    """Seconds since 1970."""
    access_key: str
    """The administrator's first, which profiles are written with."""


@dataclass(frozen=True)
class Opened:
    """The account, and the secrets that `serve` needs of it."""

    account: Account
    secret: str | None = field(repr=False)
    """Of the administrator's first access key; None when somebody has deleted that."""
    cursors: bytes = field(repr=False)
    """What cursors of pages are signed with."""


async def ensure(store: interface.Store, now: float) -> Opened:
    """The account of this store, made when there is none: whole or not at all."""
    found = await store.list(kind=ACCOUNT, limit=1)
    if not found.items:
        await _make(store, now)
        found = await store.list(kind=ACCOUNT, limit=1)
    account = msgspec.json.decode(found.items[0].desired.body, type=Account)
    cursors = await store.secret(_cursors(account.id))
    if cursors is None:
        raise errors.Failed(f"the store has account {account.id}, but not the secret that signs its pages' cursors")
    secret = await store.secret(users.access_key_key(account.id, account.access_key))
    return Opened(account, None if secret is None else secret.value.decode(), cursors.value)


async def _make(store: interface.Store, now: float) -> None:
    id = names.account_id()
    admin = users.User(ADMIN, names.unique_id("AIDA"), now)
    key, _, kept = users.new_access_key(id, ADMIN, now)
    account = Account(id, now, key.id)
    await store.commit(
        writes.Put(keys.Key(id, keys.GLOBAL, ACCOUNT, "self"), msgspec.json.encode(account), writes.Absent()),
        users.put_user(id, admin, writes.Absent()),
        *kept,
        writes.PutSecret(_cursors(id), secrets.token_bytes(32), writes.Absent()),
    )


def _cursors(account: str) -> keys.Key:
    return keys.Key(account, keys.GLOBAL, "door", "cursors")
