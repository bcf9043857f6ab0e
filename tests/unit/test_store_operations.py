"""Operations on resources as records: each begins once, ends once, and is of one resource."""

from __future__ import annotations

import asyncio

import pytest
from testkit.worlds import memory

from roadstead.clusters import spec, updates
from roadstead.core import errors
from roadstead.store import facts, keys, operations, writes

SHOP = spec.key("012345678901", "eu-central-1", "shop")


def begun(id: str, at: float) -> operations.Operation:
    return updates.asked(id=id, type="VersionUpdate", parameters=(("Version", "1.37"),), created_at=at)


async def read(store: memory.MemoryStore, since: int = 0) -> list[tuple[str, str, str]]:
    records: tuple[facts.Record, ...] = await store.records(updates.UPDATES.prefix(SHOP))
    return [(one.id, one.status, one.problem) for one in updates.UPDATES.folded(records, since)]


def test_an_operation_ends_once_and_as_it_ended_first() -> None:
    async def story() -> None:
        store, of = memory.MemoryStore(), updates.UPDATES
        await store.commit(of.begun(SHOP, begun("one", 1.0)), of.begun(SHOP, begun("two", 2.0)))
        assert await read(store) == [("one", "InProgress", ""), ("two", "InProgress", "")]
        await store.commit(of.ended(SHOP, "two", "failed", "no room", 3.0))
        await store.commit(of.ended(SHOP, "two", "ready", "", 4.0), of.ended(SHOP, "three", "ready", "", 4.0))
        assert await read(store) == [("one", "InProgress", ""), ("two", "Failed", "no room")]

    asyncio.run(story())


def test_those_of_an_earlier_resource_of_the_name_are_not_shown() -> None:
    async def story() -> None:
        store, of = memory.MemoryStore(), updates.UPDATES
        await store.commit(writes.Put(SHOP, b"{}"), of.begun(SHOP, begun("one", 1.0)))
        await store.commit(writes.Delete(SHOP))
        await store.commit(writes.Put(SHOP, b"{}"))
        await store.commit(of.begun(SHOP, begun("two", 2.0)))
        kept = await store.get(SHOP)
        assert kept is not None
        assert [id for id, _, _ in await read(store, kept.desired.created)] == ["two"]

    asyncio.run(story())


def test_a_line_of_an_earlier_release_is_read() -> None:
    line = (
        b'{"asked":{"id":"u","type":"VersionUpdate","parameters":[["Version","1.37"]],"created_at":5.0,'
        b'"status":"InProgress","problem":""},"event":"","problem":""}'
    )
    key = keys.Key("012345678901", "eu-central-1", "update", "shop", "u")
    assert updates.UPDATES.folded([facts.Record(key, 1, 5.0, line, 1)], 0) == (begun("u", 5.0),)


def test_what_has_no_operations_is_refused() -> None:
    with pytest.raises(errors.NotFound, match="which nobody has declared"):
        updates.UPDATES.prefix(keys.Key("012345678901", "eu-central-1", "vpc", "vpc-1"))
