"""The controllers' runtime with pretended controllers, at a small API server: what wakes them, what goes out through
the outbox, and what becomes of their failures. None of the real ones is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from testkit import waiting
from tests.wire import small_api

from roadstead.controllers.runtime import controller, manager, outbox, reports, targets
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.kube import resources

SOON = 20.0
NODE = targets.ExpectedNode(
    instance="i-1", address="192.168.1.1", token_id="abcde1", token_secret="s" * 16, nodegroup="workers"
)


@dataclass(frozen=True)
class Counted:
    """A report."""

    maps: int


@dataclass
class Pretended:
    """A controller that tells of each ConfigMap, and how many there are. `failing`: what its work raises."""

    failing: Exception | None = None
    worked: list[str] = field(default_factory=list)
    begun: int = 0

    def made(self, **more: Any) -> controller.Controller:
        made = controller.Controller(
            named="pretended {}".format,
            watches=(resources.CONFIG_MAPS,),
            wakes=controller.each_object(resources.CONFIG_MAPS, lambda target: target.nodes),
            work=self.begin,
        )
        return replace(made, **more)

    def begin(self, cluster: controller.Cluster) -> controller.Work:
        self.begun += 1

        async def work(key: str) -> None:
            self.worked.append(key)
            if self.failing is not None:
                raise self.failing
            maps = cluster.objects(resources.CONFIG_MAPS)
            cluster.outbox.notice(
                outbox.Notice(reason="Seen", message=f"{key} is {'there' if key in maps else 'gone'}")
            )
            cluster.outbox.report(Counted(len(maps)))

        return work


@dataclass
class Scene:
    """Pretended controllers at work. See targets.Targets for `current` and `changes`."""

    api: small_api.Api
    target: targets.ClusterTarget
    clock: clocks.FakeClock = field(default_factory=clocks.FakeClock)
    notices: list[str] = field(default_factory=list)
    reports: reports.Reports = field(default_factory=reports.Reports)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def current(self) -> Mapping[str, targets.ClusterTarget]:
        return {"one": self.target}

    async def changes(self) -> AsyncIterator[object]:
        while True:
            yield None
            await self._changed.wait()
            self._changed.clear()

    def becomes(self, **more: Any) -> None:
        """What is wanted of the cluster."""
        self.target = replace(self.target, **more)
        self._changed.set()

    def map(self, name: str) -> None:
        meta = {"name": name, "namespace": "default"}
        self.api.put(("configmaps", "default", name), {"metadata": meta}, "ADDED")

    async def until(self, what: Callable[[], bool]) -> None:
        await waiting.turns("as expected", what, SOON)

    def said(self, key: str, message: outbox.Notice) -> None:
        self.notices.append(f"{key}: {message.message}")


def play(story: Callable[[Scene], Awaitable[None]], *controllers: controller.Controller) -> None:
    async def run() -> None:
        async with small_api.serving() as api:
            nobody = cast("Any", None)
            world = Scene(
                api, targets.ClusterTarget(key="one", servers=(api.url,), credentials=nobody, system=small_api.SYSTEM)
            )
            to = outbox.Outbox(events=world.said, reports=world.reports)
            working = asyncio.ensure_future(manager.Manager(world, controllers, to, clock=world.clock).run())
            try:
                async with asyncio.timeout(SOON):
                    await story(world)
            finally:
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working

    asyncio.run(run())


def test_a_controller_is_called_for_a_change_and_its_outbox_is_delivered() -> None:
    pretended = Pretended()

    async def story(world: Scene) -> None:
        world.map("a")
        await world.until(lambda: world.notices == ["one: default/a is there"])
        world.map("b")
        await world.until(lambda: world.reports.of("one", Counted) == Counted(2))
        world.api.take(("configmaps", "default", "a"))
        await world.until(lambda: world.notices[-1] == "one: default/a is gone")
        assert pretended.worked == ["default/a", "default/b", "default/a"]
        assert world.reports.of("one", Counted) == Counted(1)
        assert world.reports.of("one", reports.ApiReport) == reports.ApiReport(answering=True)

    play(story, pretended.made())


def test_what_is_there_already_is_worked_on_when_it_was_listed() -> None:
    first, second, of_nodes = Pretended(), Pretended(), Pretended()

    async def story(world: Scene) -> None:
        for name in ("a", "b"):
            world.map(name)
        await world.until(lambda: len(world.notices) == 4)
        assert sorted(first.worked) == sorted(second.worked) == ["default/a", "default/b"]
        # Who watches the same shares it.
        assert sorted(world.api.listed) == ["configmaps", "nodes"]
        assert of_nodes.worked == []

    def wakes(change: controller.Change, _: controller.View) -> Iterable[str]:
        return (change.key,) if isinstance(change, controller.Changed) else ()

    play(story, first.made(), second.made(), of_nodes.made(watches=(resources.NODES,), wakes=wakes))


def test_a_change_of_the_target_wakes_whom_it_concerns() -> None:
    of_nodes, of_system = Pretended(), Pretended()
    wakes = controller.each_object(resources.CONFIG_MAPS, lambda target: target.system)

    async def story(world: Scene) -> None:
        world.map("a")
        await world.until(lambda: len(world.notices) == 2)
        world.becomes(nodes={"n1": NODE})
        await world.until(lambda: len(of_nodes.worked) == 2)
        world.becomes(system=replace(small_api.SYSTEM, release="1.37.3"))
        await world.until(lambda: len(of_system.worked) == 2)
        assert len(of_nodes.worked) == 2
        assert of_nodes.begun == of_system.begun == 1

    play(story, of_nodes.made(), of_system.made(wakes=wakes))


def test_what_a_controller_reports_wakes_who_waits_for_it() -> None:
    heard: list[int] = []

    def wakes(change: controller.Change, _: controller.View) -> Iterable[str]:
        match change:
            case controller.Reported(Counted()):
                return ("",)
            case _:
                return ()

    def begin(cluster: controller.Cluster) -> controller.Work:
        async def work(_: str) -> None:
            heard.append((cluster.reported(Counted) or Counted(0)).maps)

        return work

    listener = controller.Controller(named=str, wakes=wakes, work=begin)

    async def story(world: Scene) -> None:
        world.map("m1")
        await world.until(lambda: heard == [1])
        world.map("m2")
        await world.until(lambda: heard == [1, 2])
        # It says the same once more: nobody is told.
        world.map("m2")
        await world.until(lambda: len(world.notices) == 3)
        assert heard == [1, 2]

    play(story, listener, Pretended().made())


def test_a_failure_is_tried_again_and_complained_about_once(caplog: pytest.LogCaptureFixture) -> None:
    pretended, other = Pretended(failing=errors.Failed("no room", status=507)), Pretended()

    def complaints() -> list[str]:
        return [one.getMessage() for one in caplog.records if "pretended" in one.getMessage()]

    async def fails(world: Scene, times: int) -> None:
        until = len(pretended.worked) + times
        while len(pretended.worked) < until:
            await world.clock.advance(20.0)

    async def story(world: Scene) -> None:
        world.map("a")
        await world.until(lambda: len(pretended.worked) == 1)
        # It is usual while a server starts.
        assert complaints() == []
        await fails(world, 7)
        (complaint,) = complaints()
        assert complaint.startswith("cluster one: pretended default/a: no room")
        # Another failure is said, and that it is over lets the first be said again.
        pretended.failing = ValueError("a fault")
        await fails(world, 2)
        assert complaints()[1:] == ["cluster one: pretended default/a: a fault of ours"]
        pretended.failing = None
        await fails(world, 1)
        assert other.worked == ["default/a"]
        assert world.notices == ["one: default/a is there"] * 2
        pretended.failing = ValueError("a fault")
        world.map("a")
        await fails(world, 2)
        assert complaints()[2:] == complaints()[1:2]
        assert pretended.begun == 1

    play(story, pretended.made(), other.made())


def test_work_that_may_be_in_vain_sees_that_something_else_is_wanted() -> None:
    ended: list[str] = []

    def begin(cluster: controller.Cluster) -> controller.Work:
        async def work(key: str) -> None:
            if not cluster.target.nodes:
                await cluster.until(lambda target: bool(target.nodes))
                ended.append(key)

        return work

    async def story(world: Scene) -> None:
        world.map("a")
        await world.until(lambda: bool(world.api.listed))
        world.becomes(system=replace(small_api.SYSTEM, release="1.37.3"))
        await asyncio.sleep(0.05)
        assert ended == []
        world.becomes(nodes={"n1": NODE})
        await world.until(lambda: ended == ["default/a"])

    play(story, Pretended().made(work=begin))


def test_without_an_answer_only_those_work_that_say_so() -> None:
    waits, works = Pretended(), Pretended()

    def wakes(change: controller.Change, _: controller.View) -> Iterable[str]:
        return ("all",) if isinstance(change, controller.Began) else ()

    async def story(world: Scene) -> None:
        world.becomes(servers=("http://127.0.0.1:9",))
        await world.until(lambda: works.worked == ["all"])
        while (told := world.reports.of("one", reports.ApiReport)) is None:
            await world.clock.advance(1.0)
        assert not told.answering
        assert told.reason.startswith("its API does not answer: ")
        assert waits.worked == []
        world.becomes(servers=(world.api.url,))
        await world.until(lambda: waits.worked == ["all"])
        assert world.reports.of("one", reports.ApiReport) == reports.ApiReport(answering=True)

    play(story, waits.made(wakes=wakes), works.made(wakes=wakes, away=True))


def test_a_controller_reads_only_what_it_watches() -> None:
    """Otherwise it would depend on what others happen to watch."""
    seen: list[str] = []

    def begin(cluster: controller.Cluster) -> controller.Work:
        async def work(_: str) -> None:
            try:
                cluster.objects(resources.NODES)
            except KeyError:
                seen.append("refused")

        return work

    async def story(world: Scene) -> None:
        world.map("a")
        await world.until(lambda: seen == ["refused"])

    others = Pretended().made(watches=(resources.NODES,), wakes=lambda *_: ())
    play(story, others, Pretended().made(work=begin))


def test_a_fault_of_the_runtime_begins_the_cluster_anew() -> None:
    pretended = Pretended()
    faults = [ValueError("a fault")]

    def wakes(change: controller.Change, view: controller.View) -> Iterable[str]:
        if isinstance(change, controller.Changed) and faults:
            raise faults.pop()
        return controller.each_object(resources.CONFIG_MAPS, lambda _: None)(change, view)

    async def story(world: Scene) -> None:
        world.map("a")
        # It waits a second by the clock when all that was at work there has ended, which nobody is told.
        while not world.notices:
            await world.clock.advance(1.0)
        assert world.notices == ["one: default/a is there"]
        assert not faults
        assert pretended.begun == 2

    play(story, pretended.made(wakes=wakes))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "roadstead.controllers")
