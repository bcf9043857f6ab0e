"""The account and its keys: made once, in AWS's forms, secrets sealed; whose a key is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from roadstead.identity import accounts, names, users
from roadstead.store import interface
from roadstead.store.sqlite import local


def in_store(folder: Path, test: Callable[[interface.Store], Awaitable[None]]) -> None:
    async def run() -> None:
        async with local.opened(local.Places(folder)) as store:
            await test(store)

    asyncio.run(run())


@given(st.integers(0, 10**12 - 1).map(lambda number: f"{number:012}"))
def test_an_access_key_tells_its_account(account: str) -> None:
    key = names.access_key_id(account)
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key)
    assert names.account_of(key) == account


@given(st.text(max_size=30))
def test_what_is_no_access_key_tells_none(text: str) -> None:
    found = names.account_of(text)
    assert found is None or re.fullmatch(r"[0-9]{12}", found)


def test_ids_have_aws_s_forms() -> None:
    assert re.fullmatch(r"[1-9][0-9]{11}", names.account_id())
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", names.unique_id("AIDA"))
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", names.secret_access_key())


def test_the_account_is_made_once_and_kept(tmp_path: Path) -> None:
    opened: list[accounts.Opened] = []

    async def test(store: interface.Store) -> None:
        opened.append(await accounts.ensure(store, 5.0))
        opened.append(await accounts.ensure(store, 6.0))

    in_store(tmp_path / "state", test)
    in_store(tmp_path / "state", test)
    assert all(one == opened[0] for one in opened)
    assert opened[0].account.created == 5.0
    assert len(opened[0].cursors) == 32


def test_secrets_are_sealed_and_in_no_text(tmp_path: Path) -> None:
    secrets: list[accounts.Opened] = []

    async def test(store: interface.Store) -> None:
        secrets.append(await accounts.ensure(store, 5.0))

    in_store(tmp_path / "state", test)
    secret = secrets[0].secret
    assert secret is not None
    assert secret not in repr(secrets[0])
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert secret.encode() not in kept
    assert secrets[0].account.access_key.encode() in kept


def test_whose_a_key_is(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        opened = await accounts.ensure(store, 5.0)
        id = opened.account.id
        known = await users.whose(store, opened.account.access_key)
        assert known is not None
        assert (known.account, known.arn) == (id, f"arn:aws:iam::{id}:user/admin")
        assert known.secret == opened.secret
        assert known.secret not in repr(known)
        root, _, kept = users.new_access_key(id, users.ROOT, 6.0)
        await store.commit(*kept)
        found = await users.whose(store, root.id)
        assert found is not None
        assert (found.arn, found.user_id) == (f"arn:aws:iam::{id}:root", id)

    in_store(tmp_path / "state", test)


def test_keys_that_are_off_gone_or_nobody_s_are_unknown(tmp_path: Path) -> None:
    async def test(store: interface.Store) -> None:
        opened = await accounts.ensure(store, 5.0)
        id, key = opened.account.id, opened.account.access_key
        for unknown in ("", "AKIAIOSFODNN7EXAMPLE", names.access_key_id(id), "AKIA" + "/" * 16, "\ud800" * 20):
            assert await users.whose(store, unknown) is None
        place = users.access_key_key(id, key)
        state = await store.get(place)
        assert state is not None
        off = msgspec.structs.replace(users.read_access_key(state.desired.body), status="Inactive")
        await store.put(place, msgspec.json.encode(off))
        assert await users.whose(store, key) is None
        await store.put(place, state.desired.body)
        assert await users.whose(store, key) is not None
        await store.delete(users.user_key(id, accounts.ADMIN))
        assert await users.whose(store, key) is None

    in_store(tmp_path / "state", test)
