"""A stage for the controllers' live tests: it is at work at a real API server, and a test says what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace

from tests.live import bare_plane
from tests.wire import small_api

from roadstead.controllers.nodes import drain, states
from roadstead.controllers.runtime import facts, manager, outbox, reports, targets
from roadstead.controllers.system import state as system
from roadstead.core import errors
from roadstead.kube import connection, resources
from roadstead.kube.resources import Json
from roadstead.serve import controllers

NODE = "ip-192-168-1-2.eu-central-1.compute.internal"
OTHER = "ip-192-168-1-3.eu-central-1.compute.internal"


def expected(number: int, **more: object) -> targets.ExpectedNode:
    node = targets.ExpectedNode(
        instance=f"i-{number:017x}",
        address=f"192.168.1.{number}",
        token_id=f"abcde{number}",
        token_secret="0123456789abcdef",
        nodegroup="workers",
    )
    return replace(node, **more)  # type: ignore[arg-type]  # fields of a node


class Posted:
    """Targets that a test changes."""

    def __init__(self, target: targets.ClusterTarget) -> None:
        self.target = target
        self._changed = asyncio.Event()

    def nodes(self, **nodes: targets.ExpectedNode) -> None:
        names = {"node": NODE, "other": OTHER}
        self.target = replace(self.target, nodes={names[word]: node for word, node in nodes.items()})
        self._changed.set()

    def refresh(self, id: str) -> None:
        """Of insights."""
        self.target = replace(self.target, refresh=id)
        self._changed.set()

    def current(self) -> Mapping[str, targets.ClusterTarget]:
        return {self.target.key: self.target}

    async def changes(self) -> AsyncIterator[None]:
        while True:
            yield
            await self._changed.wait()
            self._changed.clear()


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    meta = {"name": "settings", "namespace": "kube-system"}
    return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"cluster": of.name}},)


class Scene:
    """A controllers' manager at work, and a connection as a user who may do everything."""

    def __init__(self, plane: bare_plane.Plane, posted: Posted, told: reports.Reports) -> None:
        self.plane = plane
        self.posted = posted
        self.reports = told
        self.api = connection.Connection((plane.server,), posted.target.credentials)

    def node(self, name: str = NODE) -> states.NodeState | None:
        return states.of(self.reports, "one", name)

    def system(self) -> system.SystemState:
        return system.of(self.reports, "one")

    async def until(self, what: Callable[[], bool], seconds: float = 20.0) -> float:
        """Wait for a report; seconds that it took."""
        began = time.monotonic()
        changes = self.reports.changes()
        async with contextlib.aclosing(changes), asyncio.timeout(seconds):
            while not what():
                await anext(changes)
        return time.monotonic() - began

    async def register(self, name: str, number: int, **more: object) -> None:
        spec = {"providerID": f"aws:///eu-central-1a/i-{number:017x}", **more}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec}
        deadline, unheard = time.monotonic() + 20, False
        while True:
            try:
                await self.api.create(node)
                return
            except errors.AlreadyExists:
                # A request without an answer may have been done.
                if unheard:
                    return
                raise
            except errors.Busy:
                if time.monotonic() > deadline:
                    raise
                unheard = True
            await asyncio.sleep(0.1)

    async def clear(self) -> None:
        """A story that failed leaves its nodes; the next one has the same names."""
        for name in (NODE, OTHER):
            with contextlib.suppress(errors.Error):
                await self.api.delete(resources.NODES, name)


def play(
    plane: bare_plane.Plane, story: Callable[[Scene], Awaitable[None]], times: drain.DrainTimes | None = None
) -> None:
    """Run a story against a controllers' manager of its own."""

    async def run() -> None:
        credentials = plane.credentials("roadstead:serve")
        posted = Posted(
            targets.ClusterTarget(key="one", servers=(plane.server,), credentials=credentials, system=small_api.SYSTEM)
        )
        to = outbox.Outbox(events=lambda *_: None)
        every = controllers.controllers(objects, times or drain.DrainTimes(most=60.0))
        working = manager.Manager(posted, every, to)
        world = Scene(plane, posted, to.reports)
        task = asyncio.create_task(working.run())
        try:
            async with asyncio.timeout(90), world.api:
                await world.until(lambda: world.system().applied, 40)
                try:
                    await story(world)
                finally:
                    await world.clear()
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert task.cancelled(), task.exception()

    asyncio.run(run())


def state(world: Scene) -> states.NodeState:
    seen = world.node()
    assert seen is not None
    return seen


async def asking(what: Callable[[], Awaitable[bool]]) -> None:
    """Until the API says so; at most 10 s."""
    deadline = time.monotonic() + 10
    while not await what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
