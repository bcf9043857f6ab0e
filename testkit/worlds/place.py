"""All of serve that works on clusters, over a store in memory and a simulated machine, to be ended at any await.

What is cut off waits there for ever, as a program that is killed does; then its tasks are cancelled and a new one is
begun over the same store and machine. It is wired as serve is, by `serve.wiring`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import Awaitable, Callable
from concurrent import futures
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from roadstead.agent_client import asynchronous
from roadstead.clusters import events, nodegroups, observed, reconciler, spec
from roadstead.clusters.allocation import allocator, ipam
from roadstead.clusters.components import registries
from roadstead.contract.messages import requests
from roadstead.controllers.runtime import reports as controller_reports
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.engine import settings as engine_settings
from roadstead.network import spec as network
from roadstead.provider import machine as machines
from roadstead.provider import mirror, reports
from roadstead.serve import report_adapter, targets, wiring
from roadstead.serve.images import system_images
from roadstead.store import facts, interface, keys, writes
from testkit.worlds import machine, memory

ACCOUNT, REGION, VPC = "012345678901", "eu-central-1", "vpc-1"
CLUSTER = spec.key(ACCOUNT, REGION, "shop")
GROUP = nodegroups.key(ACCOUNT, REGION, "shop", "ng")
ARCHIVE = "sha256:" + "a" * 64
LONGEST = 600
"""Turns after which what has not ended never will."""
T = TypeVar("T")


class Threads(futures.ThreadPoolExecutor):
    """Of a loop, where certificates are made. Its turns are not counted meanwhile: a slow machine has as many."""

    def __init__(self) -> None:
        super().__init__()
        self._counting = threading.Lock()
        self._busy = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **more: Any) -> futures.Future[T]:
        self._count(1)
        work = super().submit(fn, *args, **more)
        work.add_done_callback(lambda _: self._count(-1))
        return work

    async def rest(self) -> None:
        """Until all is made, and the loop has it."""
        async with asyncio.timeout(60):
            while self._busy:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.001)

    def _count(self, change: int) -> None:
        with self._counting:
            self._busy += change


@dataclass
class Knife:
    """Counts what is awaited, and cuts it off at one of them, before it is done or after."""

    at: int = 0
    after: bool = False
    count: int = 0
    fell: asyncio.Event = field(default_factory=asyncio.Event)

    async def through(self, call: Awaitable[T]) -> T:
        self.count += 1
        mine = self.count == self.at
        if mine and not self.after:
            cast("Any", call).close()
            await self._cut()
        done = await call
        if mine:
            await self._cut()
        return done

    async def _cut(self) -> None:
        self.fell.set()
        await asyncio.Event().wait()


@dataclass
class Store(memory.MemoryStore):
    """See memory.MemoryStore."""

    knife: Knife = field(default_factory=Knife)

    async def commit(self, *transaction: writes.Write) -> int:
        return await self.knife.through(super().commit(*transaction))

    async def get(self, key: keys.Key) -> facts.State | None:
        return await self.knife.through(super().get(key))

    async def secret(self, key: keys.Key) -> facts.Secret | None:
        return await self.knife.through(super().secret(key))

    async def list(
        self,
        prefix: keys.Prefix = interface.ALL,
        *,
        kind: str | None = None,
        after: keys.Key | None = None,
        limit: int = 100,
    ) -> facts.Page[facts.State]:
        return await self.knife.through(super().list(prefix, kind=kind, after=after, limit=limit))


class Machine(machine.Machine):
    """See machine.Machine. `loses`: the answer of every so manieth call is lost."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store
        self.loses = 0

    async def accept(
        self, put: asynchronous.Put | None = None, delete: asynchronous.Generations | None = None
    ) -> requests.BatchAnswer:
        answer = await self._store.knife.through(super().accept(put, delete))
        if self.loses and self.calls % self.loses == 0:
            raise errors.Busy("the answer was lost")
        return answer

    async def keep_blob(self, content: bytes | Path, digest: str | None = None) -> str:
        return await self._store.knife.through(super().keep_blob(content, digest))


class Place:
    """A VPC with a subnet in each of the zones, of so many bits, and programs between store and machine. `missing`: why
    no engine is to be had, if none is.
    """

    def __init__(self, subnets: int = 24, zones: str = "abc", missing: str = "", *, default: bool = False) -> None:
        self.store = Store()
        self.machine = Machine(self.store)
        self.told = machine.Told()
        self.supply: Any = machine.Supply(self.machine, missing)
        self.clock = clocks.FakeClock()
        self.zones = zones
        self.moment = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
        self.before: set[str] = set()
        self.ran: list[machines.MachineProvider] = []
        self.images: tuple[str, ...] = (ARCHIVE,)
        self.seed = b""
        self.reconciles = True
        """Else nobody but the test asks the provider for anything."""
        self._threads: Threads | None = None
        self._bits = subnets
        self._default = default

    async def prepare(self) -> None:
        vpc = network.Vpc(id=VPC, cidr="10.0.0.0/16", default=self._default, created_at=0.0)
        await self.store.put(network.vpc_key(ACCOUNT, REGION, VPC), network.VPCS.written(vpc))
        for number, zone in enumerate(self.zones):
            id, name = f"subnet-{zone}", f"{REGION}{zone}"
            cidr = f"10.0.{number}.0/{self._bits}"
            subnet = network.Subnet(id=id, vpc=VPC, cidr=cidr, zone=name, zone_id="z", created_at=0.0)
            await self.store.put(network.subnet_key(ACCOUNT, REGION, id), network.SUBNETS.written(subnet))
        self.before = self.kept()

    async def want_cluster(self, *, version: str = "1.37", deleting: bool = False) -> None:
        place = spec.Place(vpc=VPC, vpc_cidr="10.0.0.0/16", subnets=self._subnets(), zones=self._named())
        wanted = spec.Cluster(
            name="shop",
            role="r",
            version=version,
            place=place,
            service_cidr="10.100.0.0/16",
            created_at=0.0,
            creator="c",
            deleting=deleting,
        )
        await self._want(CLUSTER, spec.written(wanted))

    async def want_nodes(self, count: int, *, most: int = 0, name: str = "ng", **more: Any) -> None:
        wanted = nodegroups.Nodegroup(
            cluster="shop",
            name=name,
            role="r",
            version="1.37",
            subnets=self._subnets(),
            zones=self._named(),
            vpc=VPC,
            scaling=nodegroups.Scaling(0, count, count),
            most=max(most, count),
            created_at=0.0,
            modified_at=0.0,
            **more,
        )
        await self._want(nodegroups.key(ACCOUNT, REGION, "shop", name), nodegroups.written(wanted))

    async def _want(self, key: keys.Key, body: bytes) -> None:
        """What the AWS API does: never cut off."""
        await memory.MemoryStore.commit(self.store, writes.Put(key, body))

    async def run(self) -> None:
        """Until it is cancelled, or dies."""
        known = mirror.AgentMirror(self.machine, self.clock)
        given = wiring.Given(
            store=self.store,
            client=self.machine,
            mirror=known,
            clock=self.clock,
            now=lambda: self.moment,
            supply=self.supply,
            seed=self.seeds,
            images=self,
            endpoints=allocator.EndpointSettings(),
            is_free=lambda _, _port: True,
            user=machine.USER,
            porter=machine.PORTER,
            registries=registries.Registries(),
        )
        wired = wiring.wired(given)
        told: reports.ClusterReports = self.told
        also: list[Any] = []
        if self.supply.troubles:
            # With engines of the nodes' images: while there are any, nothing is told of the inside of clusters.
            nowhere = engine_settings.from_environment({"ROADSTEAD_CACHE": "/nowhere"})
            shown = system_images.SystemImages(self.supply, nowhere, nowhere.cache)
            wired = wiring.wired(replace(given, images=shown))
            tools = targets.TargetTools(self.store, wired.allocations, wired.secrets, shown.names, known)
            posted = targets.StoreTargets(tools)
            told, also = report_adapter.ReportAdapter(controller_reports.Reports(), posted.trouble), [posted]
        made = wired.provider(told)
        self.ran.append(made)
        if self.reconciles:
            working = reconciler.ReconcilerTools(self.store, made, self.clock.now, self.clock)
            also += [wired.images, reconciler.ClusterReconciler(working)]
        async with asyncio.TaskGroup() as tasks:
            for task in (known, wired.networks, made, *also):
                tasks.create_task(task.run())

    async def until(self, done: Callable[[], bool]) -> bool:
        """Let the programs run until it is so; False: they were cut off, by the knife or by the machine, before."""
        program = asyncio.ensure_future(self.run())
        try:
            for _ in range(LONGEST):
                if self.store.knife.fell.is_set() or self.machine.is_cut:
                    return False
                if done():
                    return True
                if program.done():
                    program.result()
                await self.turn()
            raise AssertionError(f"it does not end: {self.kept() - self.before}, {sorted(self.machine.records)}")
        finally:
            program.cancel()
            with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
                await program

    async def turn(self) -> None:
        """Half a second goes by."""
        if self._threads is None:
            self._threads = Threads()
            asyncio.get_running_loop().set_default_executor(self._threads)
        await self.clock.advance(0.5)
        await self._threads.rest()
        self.machine.work()

    async def seeds(self, release: str) -> bytes:
        """What etcd begins with, of whatever release; nothing where none was made yet."""
        del release
        return self.seed

    async def pause(self) -> str:
        return "roadstead.dev/pause:1.0"

    async def archives(self) -> tuple[str, ...]:
        """Of the images that every node has."""
        self.machine.blobs.update(self.images)
        return self.images

    async def passes(self, seconds: float) -> None:
        """Let the programs run so long."""
        end = self.clock.now() + seconds
        await self.until(lambda: self.clock.now() >= end)

    def news(self, key: keys.Key) -> list[events.Event]:
        """Of a cluster or a nodegroup."""
        names = (key.kind, *key.names)
        return [events.read(record.body) for record in self.store.appended if record.key.names == names]

    def state(self, key: keys.Key) -> facts.State:
        return facts.State(self.store.desired[key], self.store.observed.get(key))

    def status(self, key: keys.Key) -> str:
        kept = self.store.observed.get(key)
        return "" if kept is None else observed.read(kept.body).status

    def is_active(self, key: keys.Key) -> Callable[[], bool]:
        """Whether it is, as it is wanted now."""

        def active() -> bool:
            kept, wanted = self.store.observed.get(key), self.store.desired[key]
            return kept is not None and kept.generation == wanted.generation and self.status(key) == "ACTIVE"

        return active

    def is_gone(self, key: keys.Key) -> Callable[[], bool]:
        return lambda: key not in self.store.desired

    def hosts(self) -> list[str]:
        """By their names without the cluster's id."""
        return sorted(id.partition(".")[2] for kind, id in self.machine.records if kind == "hosts")

    def kept(self) -> set[str]:
        """Everything in the store that has a key, but records."""
        there = {f"{part} {key}" for part in ("desired", "observed", "secrets") for key in getattr(self.store, part)}
        at_agent = {f"{kind} {id}" for kind, id in self.machine.records if kind != "engines"}
        return there | {each for each in at_agent if VPC not in each and not each.startswith("listeners subnet-")}

    def left(self) -> list[str]:
        """What there still is of clusters, at the machine and in the store."""
        there = [f"{kind} {id}" for kind, id in self.machine.records if kind != "engines" and VPC not in id]
        there = [each for each in there if not each.startswith("listeners subnet-")]
        allotted = self.store.desired.get(ipam.key(ACCOUNT, REGION, VPC))
        held = ipam.read(allotted.body).holders if allotted else {}
        kept = [key.text for key in self.store.desired if key.kind in ("cluster", "ground")]
        return [*there, *held, *kept, *(key.text for key in self.store.secrets)]

    def events(self) -> list[events.Event]:
        return [events.read(record.body) for record in self.store.appended if record.key.kind == events.KIND]

    def _subnets(self) -> tuple[str, ...]:
        return tuple(f"subnet-{zone}" for zone in self.zones)

    def _named(self) -> tuple[str, ...]:
        return tuple(f"{REGION}{zone}" for zone in self.zones)
