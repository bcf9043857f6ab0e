"""What porter is told: from the store to sections, each written as soon as something of it changes, and no other."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import stat
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest
from testkit import waiting

from roadstead.clusters import nodegroups, spec
from roadstead.clusters.access import entries
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.clusters.allocation import names as ids
from roadstead.contract.messages.sections import access, former, names, principals, section, webhooks
from roadstead.contract.messages.sections import catalog as contract
from roadstead.core import errors
from roadstead.identity import accounts, users
from roadstead.network import spec as network
from roadstead.porter import sections
from roadstead.serve.sections import access as access_source
from roadstead.serve.sections import catalog, publisher, source
from roadstead.serve.sections import principals as principals_source
from roadstead.store import facts, interface, keys, writes
from roadstead.store.sqlite import local
from roadstead.wire import sigv4

REGION = "eu-central-1"
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
USER = "arn:aws:iam::123456789012:user/ann"
ALL = frozenset(one.name for one in contract.SECTIONS)


class NoSecrets:
    """Of clusters whose control planes were never drawn."""

    async def find(self, cluster: keys.Key) -> None:
        del cluster


@dataclass
class Place:
    """A publisher at work, and a porter's sections that follow it."""

    store: interface.Store
    account: accounts.Opened
    folder: Path
    known: sections.Sections
    told: sections.Told

    @property
    def id(self) -> str:
        return self.account.account.id

    async def until(self, *names: str) -> None:
        """These sections are others, one after the other perhaps, and no other is."""
        seen: set[str] = set()
        while not seen >= set(names):
            await self.told.changed.wait()
            seen |= self.told.take()
        assert seen == set(names)

    def made(self) -> dict[str, int]:
        """When each file was written."""
        return {one.name: (self.folder / one.file).stat().st_mtime_ns for one in contract.SECTIONS}

    async def written(self, before: dict[str, int]) -> set[str]:
        """Which have been written since, when all that was woken has had its turn."""
        # What is not written is announced by nobody: this change is seen after those before it.
        mark = network.Vpc(id=f"vpc-{time.monotonic_ns()}", cidr="10.9.0.0/16", created_at=0.0)
        await self.store.put(network.vpc_key(self.id, REGION, mark.id), network.VPCS.written(mark))
        while mark.id not in self.known.now(names.SECTION).vpcs:
            await self.told.changed.wait()
            self.told.take()
        now = self.made()
        return {name for name in now if now[name] != before[name]} - {"names"}


Story: TypeAlias = Callable[[Place], Coroutine[None, None, None]]


async def until(what: str, good: Callable[[], bool]) -> None:
    await asyncio.to_thread(waiting.until, what, good, 30, 0.005)


def given(store: interface.Store) -> source.Given:
    return source.Given(store, NoSecrets(), lambda: NOON)  # type: ignore[arg-type]


def published(folder: Path, story: Story) -> None:
    """A story while the publisher writes and a reader follows; both have everything once."""
    (folder / "porter").mkdir()

    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder / "state")) as store:
            account = await accounts.ensure(store, 0.0)
            known = sections.Sections(folder / "porter")
            place = Place(store, account, folder / "porter", known, known.told(*contract.SECTIONS))
            task = publisher.Publisher(store, folder / "porter", catalog.sources(given(store)))
            async with asyncio.TaskGroup() as group:
                working = [group.create_task(known.follow()), group.create_task(task.run())]
                await until("all was read", lambda: all(known.now(one).revision for one in contract.SECTIONS))
                place.told.take()
                await story(place)
                for one in working:
                    one.cancel()

    asyncio.run(bounded())


async def cluster(place: Place, name: str = "shop") -> str:
    """One that is wanted, of the store alone; its id at the agent."""
    key = spec.key(place.id, REGION, name)
    created = await place.store.put(key, b"{}")
    return ids.cluster(key, created)


def test_every_section_has_a_source_and_a_file_of_its_own(tmp_path: Path) -> None:
    async def made() -> tuple[source.Source, ...]:
        async with local.opened(local.Places(tmp_path / "state")) as store:
            return catalog.sources(given(store))

    assert tuple(one.of for one in asyncio.run(made())) == contract.SECTIONS
    assert len({one.file for one in contract.SECTIONS} | {former.FILE}) == len(contract.SECTIONS) + 1


def test_sections_have_all_that_tokens_are_checked_with(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        secret = str(place.account.secret)
        for one in contract.SECTIONS:
            assert stat.S_IMODE((place.folder / one.file).stat().st_mode) == 0o640
            assert secret.encode() not in (place.folder / one.file).read_bytes()
        found = place.known.now(principals.SECTION).principals[place.account.account.access_key]
        assert (found.arn, found.account) == (f"arn:aws:iam::{place.id}:user/admin", place.id)
        assert sorted(found.keys) == [f"{NOON + dt.timedelta(days=day):%Y%m%d}" for day in range(-1, 9)]
        scope = sigv4.Scope("20260301", "us-east-1", "sts")
        assert found.keys["20260301"]["us-east-1"] == sigv4.signing_key(secret, scope)

        shop, _ = await cluster(place), await cluster(place, "shop2")
        entry = entries.of_creator(found.arn, found.id, 1.0)
        began = time.monotonic()
        await place.store.put(entries.key(place.id, REGION, "shop", entry.principal), entries.written(entry))
        await place.until("access")
        print(f"a change was with porter after {time.monotonic() - began:.3f} s")
        policy = access.Policy(name="AmazonEKSClusterAdminPolicy")
        told = access.Entry(principal_id=found.id, username=found.arn, policies=(policy,))
        assert place.known.now(access.SECTION).entries == {shop: {found.arn: told}}

    published(tmp_path, story)


def test_entries_are_of_their_cluster_alone(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        shop, shop2 = await cluster(place), await cluster(place, "shop2")
        entry = entries.of_creator(f"arn:aws:iam::{place.id}:root", place.id, 1.0)
        # Of a cluster whose name begins alike, and of another region, where there is none.
        await place.store.put(entries.key(place.id, REGION, "shop2", entry.principal), entries.written(entry))
        await place.store.put(entries.key(place.id, "us-east-1", "shop", entry.principal), entries.written(entry))
        await place.until("access")
        assert shop not in place.known.now(access.SECTION).entries
        assert list(place.known.now(access.SECTION).entries) == [shop2]

    published(tmp_path, story)


def test_a_change_writes_the_section_that_it_is_of_and_no_other(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        await cluster(place)
        before = place.made()
        entry = entries.of_creator(f"arn:aws:iam::{place.id}:root", place.id, 1.0)
        await place.store.put(entries.key(place.id, REGION, "shop", entry.principal), entries.written(entry))
        await place.until("access")
        assert await place.written(before) == {"access"}

        before = place.made()
        assert await place.written(before) == set(), "a VPC is nothing that others are told of"
        await place.store.append(keys.Key(place.id, REGION, "event", "x"), b"{}", 0.0)
        assert await place.written(before) == set(), "records are nothing that porter is told of"

        await place.store.delete(users.access_key_key(place.id, place.account.account.access_key))
        await place.until("principals")
        assert await place.written(before) == {"principals"}
        assert place.known.now(principals.SECTION).principals == {}

    published(tmp_path, story)


def test_resolvers_follow_their_subnets(tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        vpc = network.Vpc(id="vpc-1", cidr="10.0.0.0/16", created_at=0.0)
        subnet = network.Subnet(
            id="subnet-1", vpc="vpc-1", cidr="10.0.32.0/24", zone=f"{REGION}a", zone_id="z", created_at=0.0
        )
        # In one transaction: one file.
        await place.store.commit(
            writes.Put(network.vpc_key(place.id, REGION, "vpc-1"), network.VPCS.written(vpc)),
            writes.Put(network.subnet_key(place.id, REGION, "subnet-1"), network.SUBNETS.written(subnet)),
        )
        await place.until("names")
        found = place.known.now(names.SECTION).vpcs
        assert found["vpc-1"] == names.Vpc(region=REGION, cidr="10.0.0.0/16", resolvers={"subnet-1": "10.0.32.2"})

    published(tmp_path, story)


def test_keys_that_were_derived_are_not_derived_again() -> None:
    known = users.Known("AKIA1", "123456789012", USER, "AIDA1", "secret")
    derived: principals_source.Derived = {}
    first = principals_source.of_keys([known], NOON.date(), derived)
    kept = dict(derived)
    assert principals_source.of_keys([known], NOON.date(), derived) == first
    assert all(derived[name] is kept[name] for name in kept)
    tomorrow = principals_source.of_keys([known], NOON.date() + dt.timedelta(days=1), derived)
    assert len(tomorrow["AKIA1"].keys) == len(derived) == len(principals_source.DAYS)
    assert tomorrow == principals_source.of_keys([known], NOON.date() + dt.timedelta(days=1))


def test_one_section_that_cannot_be_made_keeps_no_other_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    failing = True

    async def made(revision: int) -> access.Access:
        if failing:
            raise errors.Failed("no")
        return access.Access(format=1, revision=revision + 1)

    async def story() -> None:
        nonlocal failing
        async with asyncio.timeout(60), local.opened(local.Places(tmp_path / "state")) as store:
            await accounts.ensure(store, 0.0)
            others = tuple(one for one in catalog.sources(given(store)) if one.of is not access.SECTION)
            bad = source.Source(access.SECTION, access_source.WAKES, made)
            (tmp_path / former.FILE).write_text("{}")
            task = asyncio.ensure_future(publisher.Publisher(store, tmp_path, (bad, *others)).run())
            await until("the others", lambda: all((tmp_path / one.of.file).exists() for one in others))
            assert (tmp_path / former.FILE).exists(), "what an earlier release left counts until all are written"
            failing = False
            await until("it counts no more", lambda: not (tmp_path / former.FILE).exists())
            assert (tmp_path / access.SECTION.file).exists()
            task.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    assert "the section access for porter" in caplog.text


def test_what_has_secrets_does_not_show_them() -> None:
    one = webhooks.Cluster(name="n", account="1", region="r", certificate="c", key="hidden", bearer="hidden")
    principal = principals.Principal(arn="a", id="i", account="1", keys={"d": {"r": b"hidden"}})
    whole: tuple[tuple[section.Section[section.Body], section.Body], ...] = (
        (webhooks.SECTION, webhooks.Webhooks(format=1, revision=1, clusters={"c": one})),  # type: ignore[assignment]
        (principals.SECTION, principals.Principals(format=1, revision=1, principals={"p": principal})),
    )
    for of, content in whole:
        assert "hidden" not in repr(content)
        assert of.read(section.written(content)) == content
        with pytest.raises(msgspec.ValidationError):
            of.read(section.written(msgspec.structs.replace(content, format=2)))


@pytest.mark.parametrize(
    ("part", "kind", "woken"),
    [
        (facts.ChangedPart.DESIRED, entries.KIND, {"access"}),
        (facts.ChangedPart.DESIRED, network.SUBNET, {"names"}),
        (facts.ChangedPart.DESIRED, network.VPC, {"names"}),
        (facts.ChangedPart.DESIRED, users.ACCESS_KEY, {"principals"}),
        (facts.ChangedPart.SECRET, users.ACCESS_KEY, {"principals"}),
        (facts.ChangedPart.DESIRED, users.USER, {"principals"}),
        (facts.ChangedPart.SECRET, cluster_secrets.KIND, {"webhooks"}),
        (facts.ChangedPart.DESIRED, allocator.KIND, {"webhooks"}),
        (facts.ChangedPart.DESIRED, spec.KIND, {"webhooks", "access"}),
        (facts.ChangedPart.OBSERVED, spec.KIND, set()),
        (facts.ChangedPart.DESIRED, nodegroups.KIND, set()),
    ],
)
def test_who_is_woken_by_what(tmp_path: Path, part: facts.ChangedPart, kind: str, woken: set[str]) -> None:
    async def concerned() -> set[str]:
        async with local.opened(local.Places(tmp_path / "state")) as store:
            change = facts.Change(part, keys.Key("123456789012", REGION, kind, "x"))
            return {one.of.name for one in catalog.sources(given(store)) if one.concerns(change)}

    assert asyncio.run(concerned()) == woken
