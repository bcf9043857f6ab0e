"""Clusters whose support ends: a store, a world, and the two reconcilers over a clock that is turned. For tests."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace

from testkit.worlds import memory, parts

from roadstead.clusters import events, nodegroups, reconciler, spec, updates, views
from roadstead.clusters.end_of_support import reconciler as end_of_support
from roadstead.core import clock as clocks
from roadstead.store import facts, keys, operations, writes

ACCOUNT, REGION = "012345678901", "eu-central-1"
PLACE = spec.Place(vpc="vpc-1", vpc_cidr="192.168.0.0/16", subnets=("subnet-1", "subnet-2"), zones=("a", "b"))
DAY = 86_400.0
TICK = 0.5
LONGEST = 400
"""Ticks of the world after which what has not ended never will."""
ENDED = ("SupportEnding", "SupportEnded", "AutomaticUpdateBegun", "AutomaticUpdateDone", "AutomaticUpdateFailed")
BEGUN, DONE, FAILED = ENDED[2:]


def at(day: str) -> float:
    """Noon of it, in seconds since 1970."""
    return dt.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()


def named(name: str) -> keys.Key:
    return spec.key(ACCOUNT, REGION, name)


SHOP = named("shop")
GROUP = nodegroups.key(ACCOUNT, REGION, "shop", "workers")


@dataclass
class World(parts.World):
    """See parts.World. `vanishing`: an engine is there when it is asked for, and gone when it is used. `meanwhile`:
    what is done while one is asked for, once."""

    vanishing: bool = False
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def prepare(self, release: str) -> None:
        await super().prepare(release)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        if self.vanishing:
            self.refuses = frozenset({release})


@dataclass
class Scene:
    """A store, a world that makes what is told of at once, and the two reconcilers, which may be down."""

    day: str
    clock: clocks.FakeClock = field(default_factory=clocks.FakeClock)
    store: memory.MemoryStore = field(default_factory=memory.MemoryStore)

    def __post_init__(self) -> None:
        self.world = World(self.clock)
        self._began = at(self.day)

    def now(self) -> float:
        return self._began + self.clock.now()

    async def wanted(self, key: keys.Key, version: str = "1.34", policy: str = "STANDARD") -> None:
        cluster = spec.Cluster(
            name=key.names[0],
            role="r",
            version=version,
            place=PLACE,
            service_cidr="10.100.0.0/16",
            support=policy,
            created_at=0.0,
            creator="c",
        )
        await self.store.put(key, spec.written(cluster))

    async def nodes(self, count: int, version: str = "1.37") -> None:
        """As many in a nodegroup of the cluster shop."""
        group = nodegroups.Nodegroup(
            cluster="shop",
            name="workers",
            role="r",
            version=version,
            subnets=PLACE.subnets,
            zones=PLACE.zones,
            vpc=PLACE.vpc,
            scaling=nodegroups.Scaling(0, 9, count),
            most=count,
            created_at=0.0,
            modified_at=0.0,
        )
        await self.store.commit(writes.Put(GROUP, nodegroups.written(group)))

    def has_nodes(self, count: int) -> bool:
        """Whether so many are ready, and no other is there."""
        there = [part for (of, _), part in self.world.parts.items() if of == GROUP]
        return [part.phase for part in there] == [parts.Phase.READY] * count

    async def changed(self, key: keys.Key, **members: object) -> None:
        await self.store.put(key, spec.written(replace(self.cluster(key), **members)))  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """It is up meanwhile."""
        tools = reconciler.ReconcilerTools(self.store, self.world, self.now, self.clock)
        running = (reconciler.ClusterReconciler(tools), end_of_support.EndOfSupport(tools))
        programs = [asyncio.ensure_future(one.run()) for one in running]
        try:
            yield
            for program in programs:
                if program.done():
                    program.result()
        finally:
            for program in programs:
                program.cancel()
            await asyncio.wait(programs)

    async def until(self, done: Callable[[], bool]) -> None:
        for _ in range(LONGEST):
            if done():
                return
            await self.tick()
        raise AssertionError(f"it does not end: {self.said(SHOP)}")

    async def tick(self, seconds: float = TICK) -> None:
        await self.clock.advance(seconds)
        self.world.turn()

    async def rest(self) -> None:
        """A while in which nothing new comes from outside."""
        for _ in range(40):
            await self.tick()

    async def until_day(self, day: str) -> None:
        """Days go by; each is awaited, so that what is done on one is done before the next."""
        while self.now() < at(day):
            await self.tick(min(DAY, at(day) - self.now()))
            await self.rest()

    def down_until(self, day: str) -> None:
        """serve is down, and the clocks go on."""
        self._began = at(day) - self.clock.now()

    def state(self, key: keys.Key) -> facts.State:
        return facts.State(self.store.desired[key], self.store.observed.get(key))

    def cluster(self, key: keys.Key) -> spec.Cluster:
        return spec.read(self.store.desired[key].body)

    def shown(self, key: keys.Key = SHOP) -> tuple[str, str]:
        """Its status and the version that it runs."""
        state = self.state(key)
        wanted, seen = spec.read(state.desired.body), views.seen(state)
        return views.cluster_status(wanted, seen), views.version_shown(wanted.version, seen)

    def runs(self, version: str, key: keys.Key = SHOP) -> Callable[[], bool]:
        return lambda: self.shown(key) == ("ACTIVE", version)

    def told(self, key: keys.Key = SHOP) -> list[tuple[events.Event, float]]:
        """What was told of the end of its support, and when."""
        names = (key.kind, *key.names)
        found = [
            (events.read(record.body), record.at)
            for record in self.store.appended
            if (record.key.kind, record.key.names) == (events.KIND, names)
        ]
        return [each for each in found if each[0].reason in ENDED]

    def said(self, key: keys.Key = SHOP) -> list[str]:
        """Reason, version and, of an announcement, the days that are left."""
        return [
            " ".join([event.reason, event.facts["version"], *([event.facts["days"]] if "days" in event.facts else [])])
            for event, _ in self.told(key)
        ]

    async def updates(self, key: keys.Key = SHOP) -> list[operations.Operation]:
        records = await self.store.records(updates.UPDATES.prefix(key), limit=1000)
        return list(updates.UPDATES.folded(records, since=0))


def live(day: str, story: Callable[[Scene], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await story(Scene(day))

    asyncio.run(bounded())
