"""A small API server for the controllers' tests: objects with revisions, watches, patches, refused evictions.

It does what the controllers ask of a real one, and no more; `live/test_controllers.py` asks a real one the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from roadstead.controllers.runtime import facts
from roadstead.kube.resources import Json

SYSTEM = facts.SystemFacts(
    id="c-1a2b3c4d",
    name="one",
    account="111122223333",
    region="eu-central-1",
    zones=("eu-central-1a",),
    release="1.37.2",
    service_cidr="10.100.0.0/16",
    dns="10.100.0.10",
    vpc_cidr="192.168.0.0/16",
    resolvers=("192.168.0.2",),
    images=facts.Images(coredns="coredns", provisioner="provisioner"),
)
"""A cluster that a controllers' manager is sent to."""
Place = tuple[str, str, str]
"""The plural, the namespace, the name."""
BUDGET = "The disruption budget calm needs 1 healthy pods and has 1 currently"


@dataclass
class Api:
    """`held`: names of pods that a budget holds. `lingering`: those that take their time to end; the rest is gone at
    once. `asked`: every change that was asked for. `listed`: the plural of every list. `conflicts`: so many patches
    still meet another one's change. `metrics`: the text at /metrics. `groups`: versions of groups, by their names.
    """

    objects: dict[Place, Json] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    lingering: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    conflicts: int = 0
    metrics: str = ""
    groups: dict[str, list[str]] = field(default_factory=dict)
    url: str = ""
    _events: list[tuple[int, Place, str, Json]] = field(default_factory=list)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _revision: int = 1

    def put(self, place: Place, thing: Json, kind: str = "MODIFIED") -> Json:
        self._revision += 1
        meta = {"uid": f"u-{place[2]}", **thing["metadata"], "resourceVersion": str(self._revision)}
        kept = {**thing, "metadata": meta}
        self.objects[place] = kept
        self._tell(place, kind, kept)
        return kept

    def take(self, place: Place) -> None:
        self._revision += 1
        gone = self.objects.pop(place)
        revision = {**gone["metadata"], "resourceVersion": str(self._revision)}
        self._tell(place, "DELETED", {**gone, "metadata": revision})

    def node(self, name: str, **spec: Any) -> None:
        """A Node as kubelet registers it."""
        ready = {"type": "Ready", "status": "True"}
        thing = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": spec.pop("labels", {})},
            "spec": {"providerID": f"aws:///eu-central-1a/i-{name}", **spec},
            "status": {"conditions": [ready]},
        }
        self.put(("nodes", "", name), thing, "ADDED")

    def says(self, name: str, status: str) -> None:
        """What a Node's condition `Ready` is from now on."""
        node = self.objects["nodes", "", name]
        self.put(("nodes", "", name), {**node, "status": {"conditions": [{"type": "Ready", "status": status}]}})

    def pod(self, name: str, node: str) -> None:
        thing = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node},
            "status": {"phase": "Running"},
        }
        self.put(("pods", "default", name), thing, "ADDED")

    def names(self, plural: str) -> set[str]:
        return {name for kind, _, name in self.objects if kind == plural}

    def _tell(self, place: Place, kind: str, thing: Json) -> None:
        self._events.append((self._revision, place, kind, thing))
        self._moved.set()
        self._moved = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        steps = request.path.strip("/").split("/")
        if steps == ["metrics"]:
            return web.Response(text=self.metrics)
        if steps[0] == "apis" and len(steps) == 2:
            return web.json_response({"versions": [{"version": each} for each in self.groups[steps[1]]]})
        if steps[0] == "apis" and steps[2] not in self.groups.get(steps[1], [steps[2]]):
            return _refused(404, "there is no such version")
        steps = steps[3 if steps[0] == "apis" else 2 :]
        namespace = ""
        if steps[0] == "namespaces" and len(steps) > 2:
            namespace, steps = steps[1], steps[2:]
        plural, name, part = (*steps, "", "")[:3]
        place = (plural, namespace, name)
        if request.method != "GET":
            self.asked.append(f"{request.method} {'/'.join(step for step in (plural, name, part) if step)}")
        body = msgspec.json.decode(await request.read() or b"{}")
        if request.method == "GET":
            return await self._get(request, place)
        if request.method == "PATCH":
            return self._patch(place, body, form=request.content_type)
        if request.method == "POST" and part != "eviction":
            made = (plural, namespace, body["metadata"]["name"])
            return web.json_response(self.put(made, body, "ADDED"), status=201)
        if place not in self.objects:
            return _refused(404, "there is none")
        if part == "eviction" and name in self.held:
            causes = {"causes": [{"reason": "DisruptionBudget", "message": BUDGET}]}
            return _refused(429, "Cannot evict pod as it would violate the pod's disruption budget.", details=causes)
        return self._end(place)

    def _end(self, place: Place) -> web.Response:
        thing = self.objects[place]
        if place[2] in self.lingering:
            self.put(place, {**thing, "metadata": {**thing["metadata"], "deletionTimestamp": "2026-11-01T00:00:00Z"}})
        else:
            self.take(place)
        return web.json_response({"kind": "Status", "status": "Success"})

    def _patch(self, place: Place, body: Json, form: str) -> web.Response:
        there = self.objects.get(place)
        if form != "application/merge-patch+json":
            return web.json_response(self.put(place, body, "MODIFIED" if there else "ADDED"))
        if there is None:
            return _refused(404, "there is none")
        revision = body["metadata"].pop("resourceVersion", None)
        if revision is not None and self.conflicts:
            self.conflicts -= 1
            there = self.put(place, there)
        if revision not in (None, there["metadata"]["resourceVersion"]):
            return _refused(409, "the object has been modified")
        return web.json_response(self.put(place, _merged(there, body)))

    async def _get(self, request: web.Request, place: Place) -> web.StreamResponse:
        if place[2]:
            there = self.objects.get(place)
            return web.json_response(there) if there else _refused(404, "there is none")
        node = request.query.get("fieldSelector", "").removeprefix("spec.nodeName=")
        label, _, wanted = request.query.get("labelSelector", "").partition("=")

        def fits(of: Place, thing: Json) -> bool:
            if of[0] != place[0] or place[1] not in ("", of[1]):
                return False
            if wanted and (thing["metadata"].get("labels") or {}).get(label) != wanted:
                return False
            return not node or thing["spec"].get("nodeName") == node

        if "watch" not in request.query:
            self.listed.append(place[0])
            items = [thing for of, thing in self.objects.items() if fits(of, thing)]
            return web.json_response({"metadata": {"resourceVersion": str(self._revision)}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        since = int(request.query["resourceVersion"])
        while True:
            moved = self._moved
            for revision, of, kind, thing in self._events:
                if revision > since and fits(of, thing):
                    await response.write(msgspec.json.encode({"type": kind, "object": thing}) + b"\n")
            since = max(since, self._revision)
            await moved.wait()


def _merged(there: Json, change: Json) -> Json:
    """RFC 7386."""
    made = dict(there)
    for name, value in change.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict):
            made[name] = _merged(made.get(name) or {}, value)
        else:
            made[name] = value
    return made


def _refused(status: int, message: str, **more: Any) -> web.Response:
    return web.json_response({"kind": "Status", "code": status, "message": message, **more}, status=status)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Api]:
    api = Api()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()
