"""What the controllers decide is told: at a small API server on loopback, and in events of clusters and nodegroups."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping
from typing import cast

from aiohttp import web
from testkit.worlds import memory
from tests.wire import small_api

from roadstead.clusters import events, nodegroups, spec
from roadstead.contract import leaving
from roadstead.controllers.nodes import csr, drain
from roadstead.controllers.runtime import manager, outbox, targets
from roadstead.kube import connection
from roadstead.kube.resources import Json
from roadstead.serve import controllers, event_recorder
from roadstead.store import keys

CLUSTER = spec.key("012345678901", "eu-central-1", "shop")
GROUP = nodegroups.key("012345678901", "eu-central-1", "shop", "ng")
HELD = "Cannot evict pod as it would violate the pod's disruption budget. The disruption budget calm needs 1."
SYSTEM = dataclasses.replace(small_api.SYSTEM, name="shop", account="012345678901")
GOING = targets.ExpectedNode(
    instance="i-1",
    address="10.0.0.5",
    token_id="aaaaa1",
    token_secret="s" * 16,
    nodegroup=GROUP.text,
    leave=leaving.Leave.MOVED,
)


def node(name: str, instance: str) -> Json:
    meta = {"name": name, "uid": name, "resourceVersion": "1"}
    return {"metadata": meta, "spec": {"providerID": f"aws:///eu-central-1a/{instance}"}, "status": {}}


class Api:
    """An API server with a node that goes and is held, one whose host is gone, and a request that is nobody's."""

    def __init__(self) -> None:
        request = {"signerName": csr.IDENTITY, "username": "eve", "usages": ["server auth"], "request": ""}
        pod = {"metadata": {"name": "held", "namespace": "default", "uid": "p", "resourceVersion": "1"}, "spec": {}}
        self.lists: dict[str, list[Json]] = {
            "nodes": [node("going", "i-1"), node("gone", "i-9")],
            "pods": [pod],
            "certificatesigningrequests": [{"metadata": {"name": "csr-1", "resourceVersion": "1"}, "spec": request}],
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        last = request.path.rpartition("/")[2]
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        if request.method == "GET" and last in ("nodes", "pods", "certificatesigningrequests", "secrets"):
            going = "going" in request.query.get("fieldSelector", "going")
            items = self.lists.get(last, []) if going else []
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": items})
        if last == "eviction":
            details = {"causes": [{"message": HELD}]}
            return web.json_response({"message": "no", "reason": "TooManyRequests", "details": details}, status=429)
        return web.json_response({"metadata": {"name": last, "resourceVersion": "2"}})


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", Api().answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Posted:
    def __init__(self, server: str) -> None:
        plain = cast("connection.Credentials", None)
        nodes = {"going": GOING}
        self._one = targets.ClusterTarget(
            key=CLUSTER.text, servers=(server,), credentials=plain, system=SYSTEM, nodes=nodes
        )

    def current(self) -> Mapping[str, targets.ClusterTarget]:
        return {self._one.key: self._one}

    async def changes(self) -> AsyncIterator[None]:
        yield
        await asyncio.Event().wait()


def told(store: memory.MemoryStore, of: keys.Key) -> list[tuple[str, str, str]]:
    found = [events.read(record.body) for record in store.appended if record.key.names == (of.kind, *of.names)]
    return sorted((event.severity, event.reason, event.message) for event in found)


def test_what_is_decided_in_a_cluster_is_in_its_events_with_why() -> None:
    async def story() -> None:
        store = memory.MemoryStore()
        booked = event_recorder.EventRecorder(store, lambda: 1000.0)
        async with serving() as server:
            every = controllers.controllers(lambda _: (), drain.DrainTimes(most=8.0))
            working = manager.Manager(Posted(server), every, outbox.Outbox(events=booked.tell))
            tasks = [asyncio.create_task(each.run()) for each in (working, booked)]
            async with asyncio.timeout(60):
                while len(store.appended) < 3:
                    await store.moved.wait()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert told(store, CLUSTER) == [
            ("NORMAL", "NodeDeleted", "node gone is deleted: its host is gone"),
            (
                "WARNING",
                "CertificateDenied",
                "a certificate that eve asked for is denied: usages server auth: a node's are digital signature and "
                "client auth",
            ),
        ]
        ((_, reason, message),) = told(store, GROUP)
        assert reason == "DrainBlocked"
        assert message.startswith(
            "the time for the pods of node going to leave is over, it goes with them: pod default/held"
        )
        assert "The disruption budget calm needs 1" in message

    asyncio.run(story())


def test_who_asks_for_certificates_without_end_does_not_fill_the_book() -> None:
    async def story() -> None:
        now = 1000.0
        store = memory.MemoryStore()
        booked = event_recorder.EventRecorder(store, lambda: now)
        task = asyncio.create_task(booked.run())

        async def denied(messages: int) -> int:
            before = len(store.appended)
            for number in range(messages):
                notice = outbox.Notice(reason="CertificateDenied", message=f"denied: {number}")
                booked.tell(CLUSTER.text, notice)
                booked.tell(CLUSTER.text, notice)
            for _ in range(5 * messages):
                await asyncio.sleep(0)
            return len(store.appended) - before

        assert await denied(5) == 5
        assert await denied(5) == 0
        assert await denied(100) == 25
        booked.tell(CLUSTER.text, outbox.Notice(reason="NodeDeleted", message="node a is deleted"))
        await asyncio.sleep(0.01)
        assert told(store, CLUSTER)[0][1] == "NodeDeleted"
        now += 3600.0
        assert await denied(5) == 5
        task.cancel()

    asyncio.run(story())
