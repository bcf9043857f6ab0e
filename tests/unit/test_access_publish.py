"""What porter is told: from the store to the snapshot, written as soon as something changes."""

from __future__ import annotations

import asyncio
import datetime as dt
import stat
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest

from roadstead.clusters import spec
from roadstead.clusters.access import entries, policies, publish, publisher
from roadstead.contract import kubernetes
from roadstead.contract.messages import porter
from roadstead.controllers.system import rbac
from roadstead.core import errors
from roadstead.identity import accounts, users
from roadstead.network import spec as network
from roadstead.porter import snapshot
from roadstead.store import interface, keys, writes
from roadstead.store.sqlite import local
from roadstead.wire import sigv4

REGION = "eu-central-1"
Endpoints: TypeAlias = dict[keys.Key, publish.WebhookEndpoint]
NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
USER = "arn:aws:iam::123456789012:user/ann"
ROLE = "arn:aws:iam::123456789012:role/path/ops"


Story: TypeAlias = Callable[
    [interface.Store, accounts.Opened, Endpoints, snapshot.SnapshotReader], Coroutine[None, None, None]
]


def endpoint(id: str = "c-1a2b3c4d") -> publish.WebhookEndpoint:
    return publish.WebhookEndpoint(id, "certificate", "key", "bearer")


def until(reader: snapshot.SnapshotReader, deadline: float = 15.0) -> porter.Snapshot:
    """The next snapshot."""
    before = reader.now.revision
    end = time.monotonic() + deadline
    over = False
    while not over:
        # One more look when the time is over: it may have gone by in a sleep.
        over = time.monotonic() >= end
        reader.look()
        if reader.now.revision != before:
            return reader.now
        time.sleep(0.005)
    raise AssertionError("no snapshot came")


def published(folder: Path, story: Story) -> None:
    """A story while the publisher writes for one cluster, `shop`; the reader has the first snapshot."""
    file = folder / "snapshot"
    reader = snapshot.SnapshotReader(file)

    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder / "state")) as store:
            account = await accounts.ensure(store, 0.0)
            endpoints: Endpoints = {spec.key(account.account.id, REGION, "shop"): endpoint()}

            async def more() -> Mapping[keys.Key, publish.WebhookEndpoint]:
                return endpoints

            task = asyncio.ensure_future(publisher.run(store, file, more, lambda: NOON))
            await asyncio.to_thread(until, reader)
            await story(store, account, endpoints, reader)
            task.cancel()

    asyncio.run(bounded())


def test_a_snapshot_has_all_that_tokens_are_checked_with(tmp_path: Path) -> None:
    async def story(
        store: interface.Store, account: accounts.Opened, _: Endpoints, reader: snapshot.SnapshotReader
    ) -> None:
        id, first, secret = account.account.id, reader.now, str(account.secret)
        file = tmp_path / "snapshot"
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert secret.encode() not in file.read_bytes()
        assert first.clusters["c-1a2b3c4d"].entries == {}
        principal = first.principals[account.account.access_key]
        assert (principal.arn, principal.account) == (f"arn:aws:iam::{id}:user/admin", id)
        assert sorted(principal.keys) == [f"{NOON + dt.timedelta(days=day):%Y%m%d}" for day in range(-1, 9)]
        scope = sigv4.Scope("20260301", "us-east-1", "sts")
        assert principal.keys["20260301"]["us-east-1"] == sigv4.signing_key(secret, scope)

        entry = entries.of_creator(principal.arn, principal.id, 1.0)
        began = time.monotonic()
        await store.put(entries.key(id, REGION, "shop", entry.principal), entries.written(entry))
        # Of a cluster whose name begins alike, and of another region: not this one's.
        other = entries.of_creator(f"arn:aws:iam::{id}:root", id, 1.0)
        await store.put(entries.key(id, REGION, "shop2", other.principal), entries.written(other))
        await store.put(entries.key(id, "us-east-1", "shop", other.principal), entries.written(other))
        second = await asyncio.to_thread(until, reader)
        print(f"a change was with porter after {time.monotonic() - began:.3f} s")
        told = porter.Entry(
            principal_id=principal.id,
            username=principal.arn,
            policies=(porter.Policy(name="AmazonEKSClusterAdminPolicy"),),
        )
        assert second.clusters["c-1a2b3c4d"].entries == {principal.arn: told}

    published(tmp_path, story)


def test_resolvers_follow_their_subnets_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    async def story(
        store: interface.Store, account: accounts.Opened, endpoints: Endpoints, reader: snapshot.SnapshotReader
    ) -> None:
        id, file = account.account.id, tmp_path / "snapshot"
        vpc = network.Vpc(id="vpc-1", cidr="10.0.0.0/16", created_at=0.0)
        subnet = network.Subnet(
            id="subnet-1", vpc="vpc-1", cidr="10.0.32.0/24", zone=f"{REGION}a", zone_id="z", created_at=0.0
        )
        # In one transaction: the snapshot is written once for them, and not again while it is looked at.
        await store.commit(
            writes.Put(network.vpc_key(id, REGION, "vpc-1"), network.VPCS.written(vpc)),
            writes.Put(network.subnet_key(id, REGION, "subnet-1"), network.SUBNETS.written(subnet)),
        )
        seen = (await asyncio.to_thread(until, reader)).vpcs
        assert seen["vpc-1"] == porter.Vpc(region=REGION, cidr="10.0.0.0/16", resolvers={"subnet-1": "10.0.32.2"})

        made = file.stat().st_mtime_ns
        endpoints.clear()
        await store.append(keys.Key(id, REGION, "event", "x"), b"{}", 0.0)
        await asyncio.sleep(0.1)
        assert file.stat().st_mtime_ns == made, "records are nothing that porter is told of"
        await store.delete(users.access_key_key(id, account.account.access_key))
        last = await asyncio.to_thread(until, reader)
        assert (last.clusters, last.principals) == ({}, {})

    published(tmp_path, story)


def test_keys_that_were_derived_are_not_derived_again() -> None:
    known = users.Known("AKIA1", "123456789012", USER, "AIDA1", "secret")
    read = publish.StoreContents(1, (), (known,), (), ())
    derived: publish.Derived = {}
    first = publish.snapshot(read, {}, NOON.date(), derived)
    kept = dict(derived)
    assert publish.snapshot(read, {}, NOON.date(), derived) == first
    assert all(derived[name] is kept[name] for name in kept)
    tomorrow = publish.snapshot(read, {}, NOON.date() + dt.timedelta(days=1), derived)
    assert len(tomorrow.principals["AKIA1"].keys) == len(derived) == len(publish.DAYS)
    assert tomorrow == publish.snapshot(read, {}, NOON.date() + dt.timedelta(days=1))


def test_a_broken_file_leaves_the_last_good_snapshot(tmp_path: Path) -> None:
    file = tmp_path / "snapshot"
    reader = snapshot.SnapshotReader(file)
    assert not reader.look()
    assert reader.now == snapshot.EMPTY
    good = porter.Snapshot(format=porter.FORMAT, revision=7)
    publisher.write(file, good)
    assert reader.look()
    assert not reader.look()
    for broken in (b"", b"{", b"\xff", b'{"format": 99, "revision": 8}', b'{"format": 1, "revision": 8, "x": 1}'):
        file.write_bytes(broken)
        assert not reader.look()
        assert reader.now == good
    file.unlink()
    assert not reader.look()
    publisher.write(file, msgspec.structs.replace(good, revision=9))
    assert reader.look()
    assert reader.now.revision == 9


def test_what_has_secrets_does_not_show_them() -> None:
    cluster = porter.Cluster(name="n", account="1", region="r", certificate="c", key="hidden", bearer="hidden")
    principal = porter.Principal(arn="a", id="i", account="1", keys={"d": {"r": b"hidden"}})
    whole = porter.Snapshot(format=1, revision=1, clusters={"c": cluster}, principals={"p": principal})
    assert "hidden" not in repr(whole)
    assert porter.read(porter.written(whole)) == whole


def test_the_words_of_policies_are_one() -> None:
    assert set(policies.NAMES) == set(rbac.POLICIES)
    groups = {each["subjects"][0]["name"] for each in rbac.objects() if each["kind"] == "ClusterRoleBinding"}
    assert {kubernetes.policy_group(policy) for policy in policies.NAMES} <= groups
    assert policies.name_of(policies.arn(policies.ADMIN)) == policies.ADMIN
    assert policies.name_of("arn:aws:eks::aws:cluster-access-policy/Other") is None
    assert policies.name_of(policies.ADMIN) is None


@pytest.mark.parametrize(
    "name",
    [
        *("system:masters", "SYSTEM:masters", "eks:access-policy:X", "aws:x", "amazon:x", "iam:x", "", "a\nb"),
        *("roadstead:serve", "Roadstead:x", "roadstead:"),
    ],
)
def test_reserved_names_are_nobodys(name: str) -> None:
    with pytest.raises(errors.Invalid):
        entries.checked_groups([name])
    with pytest.raises(errors.Invalid):
        entries.checked_username(name, entries.principal(USER))


def test_usernames_follow_from_principals() -> None:
    assert entries.default_username(USER) == USER
    assert entries.default_username(ROLE) == "arn:aws:sts::123456789012:assumed-role/ops/{{SessionName}}"
    assert entries.checked_username("x:{{SessionName}}", entries.principal(ROLE)) == "x:{{SessionName}}"
    with pytest.raises(errors.Invalid):
        entries.checked_username("x:{{SessionName}}", entries.principal(USER))
    for wrong in ("ann", "arn:aws:sts::123456789012:assumed-role/ops/me", "arn:aws:iam::123456789012:group/g"):
        with pytest.raises(errors.Invalid):
            entries.principal(wrong)
