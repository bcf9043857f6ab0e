"""How many there may be of a kind: one too many is refused, also where two come for the last place."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass

import pytest
from testkit.worlds import memory

from roadstead.aws import calls, store_access
from roadstead.aws.authorization import administrators, requests
from roadstead.core import errors
from roadstead.serve import main
from roadstead.store import kinds, writes

ACCOUNT, REGION = "012345678901", "eu-central-1"


@dataclass(frozen=True)
class Lock:
    keeper: str = ""


LOCKS = kinds.Kind("gate-key", Lock, quota=2)


def call(store: memory.MemoryStore) -> calls.Call:
    caller = requests.Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "AKIA")
    now, asks = dt.datetime.now(dt.UTC), administrators.Administrators()
    return calls.Call("eks", "CreateCluster", REGION, caller, "r", now, store, asks)


def test_the_last_place_is_for_one() -> None:
    async def put(store: memory.MemoryStore, name: str, *guards: writes.Unchanged) -> None:
        await store.commit(LOCKS.put(LOCKS.key(ACCOUNT, REGION, "house", name), Lock(), writes.Absent()), *guards)

    async def story() -> None:
        store = memory.MemoryStore()
        assert await store_access.quota(call(store), LOCKS, "house", code="Full") == ()
        await put(store, "first")
        one = await store_access.quota(call(store), LOCKS, "house", code="Full")
        other = await store_access.quota(call(store), LOCKS, "house", code="Full")
        await put(store, "second", *one)
        with pytest.raises(errors.Conflict):
            await put(store, "third", *other)
        said = "There are 2 gate keys of house, as many as there may be."
        with pytest.raises(calls.OperationRefused, match=said) as refused:
            await store_access.quota(call(store), LOCKS, "house", code="Full", clusterName="house")
        assert (refused.value.aws_code, refused.value.members) == ("Full", {"clusterName": "house"})
        # Elsewhere there is room.
        assert await store_access.quota(call(store), LOCKS, "barn", code="Full") == ()
        with pytest.raises(calls.OperationRefused, match="There are 2 gate keys in this region"):
            await store_access.quota(call(store), LOCKS, code="Full")

    asyncio.run(story())


def test_quotas_are_those_of_aws() -> None:
    """EKS user guide and VPC user guide, "Quotas"; entries: as many as are deleted in one transaction."""
    found = {kind.name: kind.quota for service in main.SERVICES for kind in service.kinds if kind.quota}
    assert found == {"cluster": 100, "nodegroup": 30, "access-entry": 200, "vpc": 100}
