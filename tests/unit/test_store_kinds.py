"""What every kind of resource promises: keys, bodies, tags and ARNs there and back, and who refers to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from testkit.worlds import memory

from roadstead.clusters import nodegroups, spec
from roadstead.clusters.access import entries
from roadstead.core import errors
from roadstead.identity import roles, users
from roadstead.network import spec as networks
from roadstead.serve import main
from roadstead.store import facts, keys, kinds, writes

ACCOUNT, REGION = "012345678901", "eu-central-1"
ALL = kinds.Kinds(kind for service in main.SERVICES for kind in service.kinds)
ROLE = roles.Role(name="Eks", id="AROA1", trust="{}", created=1.0, path="/teams/a/")
USER = users.User(name="ann", id="AIDA1", created=1.0)
NAMES: Mapping[str, tuple[str, ...]] = {
    "cluster": ("shop",),
    "nodegroup": ("shop", "workers"),
    "access-entry": ("shop", f"arn:aws:iam::{ACCOUNT}:role/teams/a/Eks"),
    "vpc": ("vpc-0123456789abcdef0",),
    "subnet": ("subnet-0123456789abcdef0",),
    "iam-role": ("eks",),
    "iam-user": ("ann",),
}
ARNS: Mapping[str, str] = {
    "cluster": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/shop",
    "nodegroup": f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/shop/workers/",
    "access-entry": f"arn:aws:eks:{REGION}:{ACCOUNT}:access-entry/shop/role/{ACCOUNT}/Eks/",
    "vpc": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-0123456789abcdef0",
    "subnet": f"arn:aws:ec2:{REGION}:{ACCOUNT}:subnet/subnet-0123456789abcdef0",
    "iam-role": f"arn:aws:iam::{ACCOUNT}:role/teams/a/Eks",
    "iam-user": f"arn:aws:iam::{ACCOUNT}:user/ann",
}


def body(name: str) -> bytes:
    """Of IAM's the ARN depends on what is kept."""
    return {"iam-role": roles.ROLES.written(ROLE), "iam-user": users.USERS.written(USER)}.get(name, b"{}")


@pytest.mark.parametrize("kind", [kind for kind in ALL if kind.arn], ids=lambda kind: kind.name)
def test_an_arn_leads_to_its_resource_and_not_to_its_namesake(kind: kinds.Kind[Any]) -> None:
    async def story() -> None:
        store = memory.MemoryStore()
        key = kind.key(ACCOUNT, REGION, *NAMES[kind.name])
        await store.commit(writes.Put(key, body(kind.name)))
        first = await store.get(key)
        assert first is not None
        arn = kind.arn_of(first.desired)
        assert arn.startswith(ARNS[kind.name])
        assert await ALL.at(store, arn) == first
        for other in (
            arn.replace(ACCOUNT, "999999999999"),
            arn + "x",
            arn.replace("arn:aws:", "arn:aws-cn:"),
            arn.replace("/", "//", 1),
            "arn:aws:eks",
            "",
        ):
            assert await ALL.at(store, other) is None, other
        await store.commit(writes.Delete(key))
        await store.commit(writes.Put(key, body(kind.name)))
        again = await store.get(key)
        assert again is not None
        # An own id is of one resource; where AWS has none, the next one of the name has the ARN.
        has_id = kind.arn_of(again.desired) != arn
        assert has_id == ARNS[kind.name].endswith("/")
        assert (await ALL.at(store, arn) is None) == has_id
        assert kind.arn_of(again.desired).startswith(ALL.shared_arn(key)) or kind.world

    asyncio.run(story())


def test_every_kind_of_a_service_has_arns_that_no_other_kind_reads() -> None:
    assert set(NAMES) == {kind.name for kind in ALL if kind.arn}
    for name, names in NAMES.items():
        kind = ALL.find(name)
        assert kind is not None
        arn = kind.arn_of(facts.Desired(kind.key(ACCOUNT, REGION, *names), body(name), 7, 7))
        assert [each.name for each in ALL if each.arn and each.arn.place(arn)] == [name]
        assert kind.service


def test_what_is_written_is_read_and_tags_are_set_without_anything_else() -> None:
    vpc = networks.Vpc(id="vpc-1", cidr="10.0.0.0/16", tags={"a": "b"}, created_at=1.0)
    for kind, resource in ((networks.VPCS, vpc), (roles.ROLES, ROLE), (users.USERS, USER)):
        known: kinds.Kind[Any] = kind
        tagged = known.tagged(resource, {"team": "shop"})
        assert known.read(known.written(tagged)) == tagged
        assert known.tags(tagged) == {"team": "shop"}
        assert known.tagged(tagged, known.tags(resource)) == resource
    assert {kind.name for kind in ALL if kind.taggable} == set(NAMES)


@dataclass(frozen=True)
class Shelf:
    room: str


@dataclass(frozen=True)
class Book:
    shelves: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


def _shelves(key: keys.Key, book: Book) -> Iterator[keys.Key]:
    return (SHELVES.key(key.account, key.region, name) for name in book.shelves)


SHELVES = kinds.Kind("shelf", Shelf)
BOOKS = kinds.Kind("book", Book, refers={"shelf": _shelves})


def test_who_refers_to_a_resource_is_found_and_whoever_comes_meanwhile_is_in_the_way() -> None:
    async def story() -> None:
        store, library = memory.MemoryStore(), kinds.Kinds((SHELVES, BOOKS))
        top, low = (SHELVES.key(ACCOUNT, REGION, name) for name in ("top", "low"))
        await store.commit(SHELVES.put(top, Shelf("a")), SHELVES.put(low, Shelf("a")))
        await store.commit(BOOKS.put(BOOKS.key(ACCOUNT, REGION, "one"), Book(("top",))))
        await store.commit(BOOKS.put(BOOKS.key(ACCOUNT, "us-east-1", "far"), Book(("low",))))
        found = await library.users(store, top)
        assert str(found) == "book one"
        free = await library.users(store, low)
        assert not free.keys
        await store.commit(BOOKS.put(BOOKS.key(ACCOUNT, REGION, "two"), Book(("low",))))
        with pytest.raises(errors.Conflict):
            await store.commit(writes.Delete(low), *free.guards)
        assert str(await library.users(store, low)) == "book two"

    asyncio.run(story())


def test_kinds_are_told_apart_by_their_names() -> None:
    with pytest.raises(errors.Invalid, match="two kinds 'book'"):
        kinds.Kinds((BOOKS, SHELVES, BOOKS))
    with pytest.raises(errors.NotFound, match="which nobody has declared"):
        kinds.Kinds((BOOKS,)).of(SHELVES.key(ACCOUNT, REGION, "top"))
    strange = SHELVES.key(ACCOUNT, REGION, "top")
    assert kinds.Kinds().shared_arn(strange) == f"arn:aws:roadstead:{REGION}:{ACCOUNT}:shelf/top"
    with pytest.raises(errors.NotFound, match="has no ARN"):
        SHELVES.arn_of(facts.Desired(strange, b"{}", 1, 1))


def test_names_in_keys_are_as_ever() -> None:
    """Stores of earlier releases are full of them."""
    assert [kind.name for kind in ALL] == [
        *("cluster", "nodegroup", "access-entry", "insight-report", "ground", "allotment"),
        *("vpc", "subnet", "iam-role", "iam-user", "access-key"),
    ]
    assert spec.CLUSTERS.operations == "update"
    assert nodegroups.NODEGROUPS.operations == "nodegroup-update"
    assert entries.below(ACCOUNT, REGION, "shop").text == f"{ACCOUNT}/{REGION}/access-entry/shop/"
