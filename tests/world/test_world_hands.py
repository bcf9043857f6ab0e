"""The real hands at the agent's real door, over a simulated machine: what is drawn is taken, what cannot be had fails
with its reason, and a deletion leaves nothing, wherever what went before it was cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.unit import hands_place
from tests.world import machine, memory

from roadstead.clusters import events, observed, office, spec, views
from roadstead.clusters.components import registries
from roadstead.clusters.ground import allotments, land, materials
from roadstead.clusters.hands import control, hands, mirror, networks, reports, shelf, stock, workers
from roadstead.controllers import reports as embassy
from roadstead.core import clock as clocks
from roadstead.engine import settings as engine_settings
from roadstead.network import spec as network
from roadstead.works import images, postings, words

ACCOUNT, REGION = "012345678901", "eu-central-1"
CLUSTER = spec.key(ACCOUNT, REGION, "shop")
LONGEST = 400
"""Turns after which what has not ended never will."""


class Place:
    """A store, a machine, and programs between them that can be ended and started anew."""

    def __init__(self, zones: str = "abc", missing: str = "") -> None:
        self.store = memory.MemoryStore()
        self.machine = machine.Machine()
        self.shelf = machine.Shelf(self.machine, missing)
        self.clock = clocks.FakeClock()
        self.zones = zones
        self.troubles = self.shelf.troubles
        """With engines of the nodes' images: while there are any, the embassy is told nothing."""
        self._threads: hands_place.Threads | None = None
        self.moment = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)

    async def prepare(self) -> None:
        """The VPC with a subnet in each zone."""
        vpc = network.Vpc(id="vpc-1", cidr="10.0.0.0/16", created_at=0.0)
        await self.store.put(network.vpc_key(ACCOUNT, REGION, "vpc-1"), network.written(vpc))
        for number, zone in enumerate(self.zones):
            cidr, id = f"10.0.{number}.0/24", f"subnet-{zone}"
            subnet = network.Subnet(id=id, vpc="vpc-1", cidr=cidr, zone=f"{REGION}{zone}", zone_id="z", created_at=0.0)
            await self.store.put(network.subnet_key(ACCOUNT, REGION, id), network.written(subnet))

    def wanted(self, *, deleting: bool = False) -> bytes:
        place = spec.Place(
            vpc="vpc-1",
            vpc_cidr="10.0.0.0/16",
            subnets=tuple(f"subnet-{zone}" for zone in self.zones),
            zones=tuple(f"{REGION}{zone}" for zone in self.zones),
        )
        cluster = spec.Cluster(
            name="shop",
            role="r",
            version="1.37",
            place=place,
            service_cidr="10.100.0.0/16",
            created_at=0.0,
            creator="c",
        )
        return spec.written(replace(cluster, deleting=deleting))

    async def run(self) -> None:
        """Everything of serve that works on clusters, until it is cancelled or dies."""
        lender = cast("Any", self.shelf)
        known = mirror.Mirror(self.machine, self.clock)
        ground = land.Land(self.store, land.Settings(), lambda _, _port: True)
        routed = networks.Networks(self.store, known, machine.PORTER, self.clock)
        secret = materials.Materials(self.store, self.machine, lambda: self.moment, hands_place.no_seed)
        shared = (self.store, known, ground, lender, routed, secret)
        nowhere = engine_settings.from_environment({"ROADSTEAD_CACHE": "/nowhere"})
        shown = images.SystemImages(lender, nowhere, nowhere.cache)
        stocked = stock.Stock(self.machine, known, self.clock, shown.archives)
        posted = postings.Postings(postings.Tools(self.store, ground, secret, stocked, shown.names, known))
        told: reports.Reports = machine.Told()
        if self.troubles:
            told = words.Words(embassy.Reports(), posted.trouble)
        made = hands.Hands(
            hands.Tools(
                self.store,
                known,
                ground,
                control.Drawer(control.Tools(*shared, machine.USER, machine.PORTER)),
                workers.Drawer(workers.Tools(*shared, _pause, _images, registries.Registries())),
                told,
            )
        )
        working = office.Office(office.Tools(self.store, made, self.clock.now, self.clock))
        async with asyncio.TaskGroup() as tasks:
            for task in (known, routed, made, working):
                tasks.create_task(task.run())
            if self.troubles:
                tasks.create_task(posted.run())

    async def until(self, done: Callable[[], bool]) -> None:
        """Let the programs run, which end at the machine's cut, until it is so, or until they have ended."""
        if self._threads is None:
            self._threads = hands_place.Threads()
            asyncio.get_running_loop().set_default_executor(self._threads)
        program = asyncio.ensure_future(self.run())
        try:
            for _ in range(LONGEST):
                if done() or self._is_cut():
                    return
                if program.done():
                    program.result()
                await self.clock.advance(0.5)
                await self._threads.rest()
                self.machine.work()
            raise AssertionError("it does not end")
        finally:
            program.cancel()
            with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
                await program

    def _is_cut(self) -> bool:
        return self.machine.cut is not None and self.machine.calls >= self.machine.cut[0]

    @property
    def status(self) -> str:
        kept = self.store.observed.get(CLUSTER)
        return "" if kept is None else observed.read(kept.body).status

    def left(self) -> list[str]:
        """What there still is of the cluster, at the machine and in the store."""
        there = [f"{kind} {id}" for kind, id in self.machine.records if kind != "engines" and "vpc-" not in id]
        there = [each for each in there if not each.startswith("listeners subnet-")]
        allotted = self.store.desired.get(allotments.key(ACCOUNT, REGION, "vpc-1"))
        held = allotments.read(allotted.body).holders if allotted else {}
        kept = [key.text for key in self.store.desired if key.kind in ("cluster", "ground")]
        return [*there, *held, *kept, *(key.text for key in self.store.secrets)]

    def told(self) -> list[events.Event]:
        return [events.read(record.body) for record in self.store.book if record.key.kind == events.KIND]


async def _images() -> tuple[str, ...]:
    return ()


async def _pause() -> str:
    return "pause"


def lived(story: Callable[[], Any]) -> None:
    asyncio.run(story())


@pytest.mark.parametrize("zones", ["abc", "ab", "ac"])
def test_what_is_drawn_is_taken_by_the_agent_and_taken_away_again(zones: str) -> None:
    """Also of a cluster whose subnets are in two zones alone."""

    async def story() -> None:
        place = Place(zones)
        await place.prepare()
        await place.store.put(CLUSTER, place.wanted())
        await place.until(lambda: place.status == "ACTIVE")
        hosts = [id.partition(".")[2] for kind, id in place.machine.records if kind == "hosts"]
        assert sorted(hosts) == sorted([*spec.ETCD, *spec.API, spec.EDGE])
        await place.store.put(CLUSTER, place.wanted(deleting=True))
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)


def test_an_engine_that_is_not_to_be_had_fails_the_cluster_with_its_reason() -> None:
    async def story() -> None:
        place = Place(missing="the engine 1.37.2 is not to be had: no network")
        await place.prepare()
        await place.store.put(CLUSTER, place.wanted())
        await place.until(lambda: place.status == "FAILED")
        state = await place.store.get(CLUSTER)
        assert state is not None
        issues = views.cluster(state)["health"]["issues"]
        assert {issue["message"].partition(": ")[2] for issue in issues} == {
            "the engine 1.37.2 is not to be had: no network"
        }
        failed = [event.message for event in place.told() if event.reason == "CreateFailed"]
        assert failed == ["cluster shop is failed: etcd-a: the engine 1.37.2 is not to be had: no network"]
        await place.store.put(CLUSTER, place.wanted(deleting=True))
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)


def test_an_engine_of_the_nodes_images_that_is_not_to_be_had_fails_the_cluster_with_its_reason() -> None:
    async def story() -> None:
        place = Place()
        place.troubles["coredns"] = shelf.Unobtainable("the engine coredns is not to be had: no network")
        await place.prepare()
        await place.store.put(CLUSTER, place.wanted())
        await place.until(lambda: place.status == "FAILED")
        failed = [event.message for event in place.told() if event.reason == "CreateFailed"]
        assert failed == ["cluster shop is failed: access: the engine coredns is not to be had: no network"]
        state = await place.store.get(CLUSTER)
        assert state is not None
        assert "access: the engine coredns is not to be had: no network" in [
            issue["message"] for issue in views.cluster(state)["health"]["issues"]
        ]
        await place.store.put(CLUSTER, place.wanted(deleting=True))
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)


def test_what_a_cluster_waits_for_is_told_while_the_engines_of_the_nodes_images_come() -> None:
    async def story() -> None:
        place = Place()
        place.troubles["volumes"] = shelf.Coming("the engine volumes is being fetched or built")
        await place.prepare()
        await place.store.put(CLUSTER, place.wanted())
        waiting = "access is still not ready: the engine volumes is being fetched or built"
        await place.until(lambda: waiting in [event.message for event in place.told()])
        assert place.status == "CREATING"

    lived(story)


@pytest.mark.parametrize("call", range(1, 8))
@pytest.mark.parametrize("done", [False, True])
def test_a_deletion_leaves_nothing_wherever_the_making_was_cut_off(call: int, done: bool) -> None:
    """Cut off before or after the agent took a call, once while it is made and once while it is deleted."""

    async def story() -> None:
        place = Place()
        await place.prepare()
        await place.store.put(CLUSTER, place.wanted())
        place.machine.cut = (call, done)
        await place.until(lambda: place.status == "ACTIVE")
        await place.store.put(CLUSTER, place.wanted(deleting=True))
        place.machine.cut = (place.machine.calls + call, done)
        await place.until(lambda: CLUSTER not in place.store.desired)
        place.machine.cut = None
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)
