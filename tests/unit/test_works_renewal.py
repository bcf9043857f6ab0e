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
from roadstead.clusters.components import facts as components
from roadstead.clusters.components import registries
from roadstead.clusters.ground import land, materials
from roadstead.contract import kubernetes
from roadstead.store import facts, interface, keys, local
from roadstead.works import renewal

ACCOUNT, REGION = "012345678901", "eu-central-1"
CLUSTER = spec.key(ACCOUNT, REGION, "one")
GROUP = nodegroups.key(ACCOUNT, REGION, "one", "ng-1")
BEGAN = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SERVER = "api-a/kube-apiserver"
OLD, NEW = "127.0.0.1", "192.0.2.7"
GROUND = land.Ground(
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
    made: materials.Kept = field(init=False)

    def materials(self, now: dt.datetime = BEGAN) -> materials.Materials:
        # Nothing is lent here, so nobody is asked.
        return materials.Materials(self.store, asynchronous.AsyncClient(Path("/nowhere")), lambda: now, _seed)

    async def make(self, wanted: spec.Cluster = WANTED) -> None:
        await self.store.put(CLUSTER, spec.written(wanted))
        await self.store.put(land.of_cluster(CLUSTER), land.written(GROUND))
        await self.store.put(GROUP, nodegroups.written(NODES))
        none = components.Engines(kubernetes="", etcd="", containerd="")
        plane = land.plane(wanted, CLUSTER, GROUND, "1.37.2", none)
        self.made = await self.materials().ensure(CLUSTER, plane)

    async def begin(
        self,
        public: str = OLD,
        now: dt.datetime = BEGAN,
        free: Callable[[str, int], bool] = lambda _, __: True,
        of: registries.Registries | None = None,
    ) -> None:
        settings = land.Settings(public=public)
        tools = renewal.Tools(
            self.store,
            land.Land(self.store, settings, free),
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

    async def ground(self) -> land.Ground:
        return land.read((await self.state(land.of_cluster(CLUSTER))).desired.body)

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
            scene = Scene(store)
            await scene.make(wanted)
            await story(scene)

    asyncio.run(bounded())


def test_a_cluster_follows_the_machines_address(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        cluster, group = await scene.generations()
        before, body = await scene.files(), (await scene.state(CLUSTER)).desired.body
        await scene.begin(NEW)
        assert await scene.ground() == replace(GROUND, public=NEW)
        # The same under a new generation: the office tells all parts again. Nodes know the private endpoint alone.
        assert (await scene.state(CLUSTER)).desired.body == body
        now = await scene.generations()
        assert now[0] > cluster
        assert now[1] == group
        after = await scene.files()
        changed = {(unit, name) for unit, files in after.items() for name in files if files[name] != before[unit][name]}
        assert changed == {(f"api-{x}/kube-apiserver", f"serving.{end}") for x in "abc" for end in ("pem", "key")}
        assert NEW in test_trust.hosts(after[SERVER]["serving.pem"])
        assert OLD in test_trust.hosts(after[SERVER]["serving.pem"]), "probes on the host itself need it"
        assert await scene.told(CLUSTER) == ["EndpointMoved"]
        # A start that changes nothing does nothing.
        await scene.begin(NEW)
        assert await scene.generations() == now
        assert await scene.files() == after

    run(tmp_path, story)


def test_a_port_that_is_taken_at_the_new_address_is_another_there(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.begin(NEW, free=lambda _, port: port >= 16445)
        assert (await scene.ground()).endpoint == f"https://{NEW}:16445"

    run(tmp_path, story)


def test_a_cluster_for_which_no_port_is_free_stays_and_others_follow(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        of = registries.Registries(http_proxy="http://proxy:3128")
        before = await scene.generations()
        await scene.begin(NEW, free=lambda _, __: False, of=of)
        assert await scene.ground() == GROUND
        now = await scene.generations()
        assert now[0] == before[0]
        assert now[1] > before[1]

    run(tmp_path, story)


def test_what_is_being_deleted_is_left_alone(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        before = await scene.generations()
        await scene.begin(NEW, BEGAN + dt.timedelta(days=360))
        assert await scene.ground() == GROUND
        assert await scene.generations() == before

    run(tmp_path, story, replace(WANTED, deleting=True))


def test_certificates_are_made_anew_after_two_thirds_of_their_life(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        cluster, group = await scene.generations()
        before = await scene.files()
        await scene.begin(now=BEGAN + dt.timedelta(days=240))
        assert await scene.files() == before
        late = BEGAN + dt.timedelta(days=245)
        await scene.begin(now=late)
        after = await scene.files()
        same = {(unit, name) for unit, files in after.items() for name in files if files[name] == before[unit][name]}
        # What others are known by stays: authorities, the key of service accounts, the key that encrypts Secrets.
        roots = {"ca.pem", "ca.key", "etcd-ca.pem", "front-proxy-ca.pem", "encryption.yaml"}
        roots |= {"service-account.pem", "service-account.key", "authentication.kubeconfig", "authorization.kubeconfig"}
        assert {name for _, name in same} == roots
        now = await scene.generations()
        assert now[0] > cluster
        assert now[1] > group, "kube-proxy's kubeconfig is of the nodes"
        assert await scene.told(CLUSTER) == ["CertificatesRenewed"]
        kept = await scene.materials().find(CLUSTER)
        assert kept is not None
        assert kept.roots == scene.made.roots
        assert kept.seed == scene.made.seed == b"seed"
        assert kept.doors.bearer == scene.made.doors.bearer
        assert kept.doors.certificate != scene.made.doors.certificate
        # Once is enough, also when the authorities themselves are old.
        await scene.begin(now=BEGAN + dt.timedelta(days=3000))
        now = await scene.generations()
        await scene.begin(now=BEGAN + dt.timedelta(days=3001))
        assert await scene.generations() == now

    run(tmp_path, story)


def test_api_servers_of_an_earlier_release_are_given_what_is_new_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        new = {"authorization.yaml", "authorization.kubeconfig"}
        whole = await scene.files()
        earlier = {unit: {name: each for name, each in of.items() if name not in new} for unit, of in whole.items()}
        kept = scene.materials()
        await kept.replace(CLUSTER, replace(scene.made, files=earlier))
        body, (cluster, group) = (await scene.state(CLUSTER)).desired.body, await scene.generations()
        assert await scene.files() == earlier
        await scene.begin()
        assert await scene.files() == whole
        assert (await scene.state(CLUSTER)).desired.body == body
        now = await scene.generations()
        assert now[0] > cluster, "the office tells all parts again"
        assert now[1] == group
        assert await scene.told(CLUSTER) == ["FilesChanged"]
        await scene.begin()
        assert await scene.generations() == now

    run(tmp_path, story)


def test_certificates_before_a_renewal_count_until_the_next_one(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        first = materials.credentials(scene.made)
        assert {user: len(ids) for user, ids in first.items()} == {kubernetes.SERVE: 1, kubernetes.API_SERVER: 3}
        seen = [first]
        for days in (245, 490):
            await scene.begin(now=BEGAN + dt.timedelta(days=days))
            kept = await scene.materials().find(CLUSTER)
            assert kept is not None
            seen.append(materials.credentials(kept))
        for user, ids in first.items():
            assert set(ids) < set(seen[1][user])
            assert not set(ids) & set(seen[2][user])
            assert len(set(seen[1][user]) & set(seen[2][user])) == len(ids)

    run(tmp_path, story)


def test_what_was_kept_by_an_earlier_release_is_read(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        raw = msgspec.msgpack.decode(msgspec.msgpack.encode(scene.made))
        del raw["former"]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(raw), type=materials.Kept) == scene.made

    run(tmp_path, story)


def test_an_old_certificate_among_younger_ones_is_noticed(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.begin(NEW, BEGAN + dt.timedelta(days=100))
        await scene.begin(NEW, BEGAN + dt.timedelta(days=245))
        assert await scene.told(CLUSTER) == ["EndpointMoved", "CertificatesRenewed"]

    run(tmp_path, story)


def test_nodegroups_follow_the_settings_of_registries_once(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        of = registries.Registries(mirrors={"docker.io": ("https://mirror",), "*": ("https://all",)})
        cluster, first = await scene.generations()
        await scene.begin(of=of)
        _, second = await scene.generations()
        assert second > first
        # The order in which mirrors of different registries are written is nothing.
        await scene.begin(of=replace(of, mirrors=dict(reversed(list(of.mirrors.items())))))
        assert await scene.generations() == (cluster, second)
        await scene.begin()
        assert await scene.told(GROUP) == ["RegistriesChanged"] * 2
        assert (await scene.generations())[1] > second

    run(tmp_path, story)


def test_who_is_slower_than_an_owner_tries_again(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        tagged = replace(WANTED, tags={"a": "b"})

        def free(_: str, __: int) -> bool:
            # Asked between the look at the cluster and the writing of it: the owner's own change is on its way by now.
            if not changes:
                changes.append(asyncio.ensure_future(scene.store.put(CLUSTER, spec.written(tagged))))
            return True

        changes: list[asyncio.Future[int]] = []
        await scene.begin(NEW, free=free)
        await changes[0]
        assert (await scene.ground()).public == NEW
        assert spec.read((await scene.state(CLUSTER)).desired.body) == tagged
        assert await scene.told(CLUSTER) == ["EndpointMoved"]

    run(tmp_path, story)


def test_settings_of_registries_are_read_as_they_were_written() -> None:
    of = registries.Registries(mirrors={"docker.io": ("https://m",)}, https_proxy="http://p:1", no_proxy=("a", "b"))
    assert registries.read(registries.written(of)) == of
    assert registries.read(b"{}") == registries.Registries()
