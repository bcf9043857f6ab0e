"""Clusters that stand follow the machine's address, the settings of registries, and the age of their certificates."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
from tests.unit import test_trust

from roadstead.agent_client import asynchronous
from roadstead.clusters import events, nodegroups, spec
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.clusters.components import registries
from roadstead.contract import kubernetes
from roadstead.serve import renewal
from roadstead.store import facts, interface, keys
from roadstead.store.sqlite import local

ACCOUNT, REGION = "012345678901", "eu-central-1"
CLUSTER = spec.key(ACCOUNT, REGION, "one")
GROUP = nodegroups.key(ACCOUNT, REGION, "one", "ng-1")
BEGAN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SERVER = "api-a/kube-apiserver"
OLD, NEW = "127.0.0.1", "192.0.2.7"
GROUND = allocator.Allocation(
    id="c-1a2b3c4d",
    cidr="198.19.0.0/26",
    vpc="vpc-1",
    vpc_cidr="192.168.0.0/16",
    api_vpc={"a": "192.168.0.4", "b": "192.168.32.4", "c": "192.168.64.4"},
    private="192.168.0.5",
    public=OLD,
    port=16443,
)
WANTED = spec.Cluster(
    name="one",
    role="r",
    version="1.37",
    place=spec.Place(vpc="vpc-1", vpc_cidr="192.168.0.0/16", subnets=(), zones=()),
    service_cidr="10.100.0.0/16",
    created_at=0.0,
    creator="c",
)
NODES = nodegroups.Nodegroup(
    cluster="one", name="ng-1", role="r", version="1.37", subnets=(), zones=(), vpc="vpc-1", created_at=0, modified_at=0
)


@dataclass
class Scene:
    """A cluster with one nodegroup, made at BEGAN with the machine at OLD; `begin` is a start of serve."""

    store: interface.Store
    made: cluster_secrets.SecretSet = field(init=False)

    def materials(self, now: dt.datetime = BEGAN) -> cluster_secrets.ClusterSecrets:
        # Nothing is lent here, so nobody is asked.
        return cluster_secrets.ClusterSecrets(
            self.store, asynchronous.AsyncClient(Path("/nowhere")), lambda: now, _seed
        )

    async def make(self, wanted: spec.Cluster = WANTED) -> None:
        await self.store.put(CLUSTER, spec.written(wanted))
        await self.store.put(allocator.of_cluster(CLUSTER), allocator.written(GROUND))
        await self.store.put(GROUP, nodegroups.written(NODES))
        self.made = await self.materials().ensure(CLUSTER, allocator.topology(wanted, CLUSTER, GROUND), "1.37.2")

    async def begin(
        self,
        public: str = OLD,
        now: dt.datetime = BEGAN,
        free: Callable[[str, int], bool] = lambda _, __: True,
        of: registries.Registries | None = None,
    ) -> None:
        settings = allocator.EndpointSettings(public=public)
        tools = renewal.RenewalTools(
            self.store,
            allocator.Allocator(self.store, settings, free),
            self.materials(now),
            of or registries.Registries(),
            lambda: now,
        )
        await renewal.Renewal(tools).once()

    async def state(self, key: keys.Key) -> facts.State:
        found = await self.store.get(key)
        assert found is not None
        return found

    async def generations(self) -> tuple[int, int]:
        return (await self.state(CLUSTER)).desired.generation, (await self.state(GROUP)).desired.generation

    async def allocations(self) -> allocator.Allocation:
        return allocator.read((await self.state(allocator.of_cluster(CLUSTER))).desired.body)

    async def files(self) -> dict[str, dict[str, bytes]]:
        kept = await self.materials().find(CLUSTER)
        assert kept is not None
        return {unit: dict(files) for unit, files in kept.files.items()}

    async def told(self, of: keys.Key) -> list[str]:
        of_events = keys.Key(of.account, of.region, events.KIND, of.kind, *of.names)
        return [events.read(one.body).reason for one in await self.store.records(of_events)]


async def _seed(release: str) -> bytes:
    del release
    return b"seed"


def run(folder: Path, story: Callable[[Scene], Awaitable[None]], wanted: spec.Cluster = WANTED) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), local.opened(local.Places(folder)) as store:
            world = Scene(store)
            await world.make(wanted)
            await story(world)

    asyncio.run(bounded())


def test_a_cluster_follows_the_machines_address(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        cluster, group = await world.generations()
        before, body = await world.files(), (await world.state(CLUSTER)).desired.body
        await world.begin(NEW)
        assert await world.allocations() == replace(GROUND, public=NEW)
        # The same under a new generation: the reconciler tells all parts again. Nodes know the private endpoint alone.
        assert (await world.state(CLUSTER)).desired.body == body
        now = await world.generations()
        assert now[0] > cluster
        assert now[1] == group
        after = await world.files()
        changed = {(unit, name) for unit, files in after.items() for name in files if files[name] != before[unit][name]}
        assert changed == {(f"api-{x}/kube-apiserver", f"serving.{end}") for x in "abc" for end in ("pem", "key")}
        assert NEW in test_trust.hosts(after[SERVER]["serving.pem"])
        assert OLD in test_trust.hosts(after[SERVER]["serving.pem"]), "probes on the host itself need it"
        assert await world.told(CLUSTER) == ["EndpointMoved"]
        # A start that changes nothing does nothing.
        await world.begin(NEW)
        assert await world.generations() == now
        assert await world.files() == after

    run(tmp_path, story)


def test_a_port_that_is_taken_at_the_new_address_is_another_there(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        await world.begin(NEW, free=lambda _, port: port >= 16445)
        assert (await world.allocations()).endpoint == f"https://{NEW}:16445"

    run(tmp_path, story)


def test_a_cluster_for_which_no_port_is_free_stays_and_others_follow(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        of = registries.Registries(http_proxy="http://proxy:3128")
        before = await world.generations()
        await world.begin(NEW, free=lambda _, __: False, of=of)
        assert await world.allocations() == GROUND
        now = await world.generations()
        assert now[0] == before[0]
        assert now[1] > before[1]

    run(tmp_path, story)


def test_what_is_being_deleted_is_left_alone(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        before = await world.generations()
        await world.begin(NEW, BEGAN + dt.timedelta(days=360))
        assert await world.allocations() == GROUND
        assert await world.generations() == before

    run(tmp_path, story, replace(WANTED, deleting=True))


def test_certificates_are_made_anew_after_two_thirds_of_their_life(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        cluster, group = await world.generations()
        before = await world.files()
        await world.begin(now=BEGAN + dt.timedelta(days=240))
        assert await world.files() == before
        late = BEGAN + dt.timedelta(days=245)
        await world.begin(now=late)
        after = await world.files()
        same = {(unit, name) for unit, files in after.items() for name in files if files[name] == before[unit][name]}
        # What others are known by stays: authorities, the key of service accounts, the key that encrypts Secrets.
        roots = {"ca.pem", "ca.key", "etcd-ca.pem", "front-proxy-ca.pem", "encryption.yaml"}
        roots |= {"service-account.pem", "service-account.key", "authentication.kubeconfig", "authorization.kubeconfig"}
        assert {name for _, name in same} == roots
        now = await world.generations()
        assert now[0] > cluster
        assert now[1] > group, "kube-proxy's kubeconfig is of the nodes"
        assert await world.told(CLUSTER) == ["CertificatesRenewed"]
        kept = await world.materials().find(CLUSTER)
        assert kept is not None
        assert kept.roots == world.made.roots
        assert kept.seed == world.made.seed == b"seed"
        assert kept.doors.bearer == world.made.doors.bearer
        assert kept.doors.certificate != world.made.doors.certificate
        # Once is enough, also when the authorities themselves are old.
        await world.begin(now=BEGAN + dt.timedelta(days=3000))
        now = await world.generations()
        await world.begin(now=BEGAN + dt.timedelta(days=3001))
        assert await world.generations() == now

    run(tmp_path, story)


def test_api_servers_of_an_earlier_release_are_given_what_is_new_once(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        new = {"authorization.yaml", "authorization.kubeconfig"}
        whole = await world.files()
        earlier = {unit: {name: each for name, each in of.items() if name not in new} for unit, of in whole.items()}
        kept = world.materials()
        await kept.replace(CLUSTER, replace(world.made, files=earlier))
        body, (cluster, group) = (await world.state(CLUSTER)).desired.body, await world.generations()
        assert await world.files() == earlier
        await world.begin()
        assert await world.files() == whole
        assert (await world.state(CLUSTER)).desired.body == body
        now = await world.generations()
        assert now[0] > cluster, "the reconciler tells all parts again"
        assert now[1] == group
        assert await world.told(CLUSTER) == ["FilesChanged"]
        await world.begin()
        assert await world.generations() == now

    run(tmp_path, story)


def test_certificates_before_a_renewal_count_until_the_next_one(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        first = cluster_secrets.credentials(world.made)
        assert {user: len(ids) for user, ids in first.items()} == {kubernetes.SERVE: 1, kubernetes.API_SERVER: 3}
        seen = [first]
        for days in (245, 490):
            await world.begin(now=BEGAN + dt.timedelta(days=days))
            kept = await world.materials().find(CLUSTER)
            assert kept is not None
            seen.append(cluster_secrets.credentials(kept))
        for user, ids in first.items():
            assert set(ids) < set(seen[1][user])
            assert not set(ids) & set(seen[2][user])
            assert len(set(seen[1][user]) & set(seen[2][user])) == len(ids)

    run(tmp_path, story)


def test_what_was_kept_by_an_earlier_release_is_read(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        raw = msgspec.msgpack.decode(msgspec.msgpack.encode(world.made))
        del raw["former"]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(raw), type=cluster_secrets.SecretSet) == world.made

    run(tmp_path, story)


def test_an_old_certificate_among_younger_ones_is_noticed(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        await world.begin(NEW, BEGAN + dt.timedelta(days=100))
        await world.begin(NEW, BEGAN + dt.timedelta(days=245))
        assert await world.told(CLUSTER) == ["EndpointMoved", "CertificatesRenewed"]

    run(tmp_path, story)


def test_nodegroups_follow_the_settings_of_registries_once(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        of = registries.Registries(mirrors={"docker.io": ("https://mirror",), "*": ("https://all",)})
        cluster, first = await world.generations()
        await world.begin(of=of)
        _, second = await world.generations()
        assert second > first
        # The order in which mirrors of different registries are written is nothing.
        await world.begin(of=replace(of, mirrors=dict(reversed(list(of.mirrors.items())))))
        assert await world.generations() == (cluster, second)
        await world.begin()
        assert await world.told(GROUP) == ["RegistriesChanged"] * 2
        assert (await world.generations())[1] > second

    run(tmp_path, story)


def test_who_is_slower_than_an_owner_tries_again(tmp_path: Path) -> None:
    async def story(world: Scene) -> None:
        tagged = replace(WANTED, tags={"a": "b"})

        def free(_: str, __: int) -> bool:
            # Asked between the look at the cluster and the writing of it: the owner's own change is on its way by now.
            if not changes:
                changes.append(asyncio.ensure_future(world.store.put(CLUSTER, spec.written(tagged))))
            return True

        changes: list[asyncio.Future[int]] = []
        await world.begin(NEW, free=free)
        await changes[0]
        assert (await world.allocations()).public == NEW
        assert spec.read((await world.state(CLUSTER)).desired.body) == tagged
        assert await world.told(CLUSTER) == ["EndpointMoved"]

    run(tmp_path, story)


def test_settings_of_registries_are_read_as_they_were_written() -> None:
    of = registries.Registries(mirrors={"docker.io": ("https://m",)}, https_proxy="http://p:1", no_proxy=("a", "b"))
    assert registries.read(registries.written(of)) == of
    assert registries.read(b"{}") == registries.Registries()
