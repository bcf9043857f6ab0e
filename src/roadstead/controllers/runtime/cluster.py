"""One cluster: its mirrors, and the controllers at work there, for as long as the cluster is wanted.

Everything it knows it learns by looking, so that it can begin anew at any time. While no API server answers it waits,
says so once, and goes on when one does. Which controllers there are it does not know.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from roadstead.controllers.runtime import complaints, controller, outbox, reports, targets
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import loop, reconciler
from roadstead.kube import connection as connections
from roadstead.kube import mirror, resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

R = TypeVar("R")

_BACKOFF = loop.Backoff(first=0.1, most=15.0)


@dataclass(frozen=True, kw_only=True)
class RuntimeSettings:
    """What all runtimes have in common."""

    controllers: tuple[controller.Controller, ...]
    outbox: outbox.Outbox
    clock: clocks.Clock
    now: Callable[[], float]
    """Seconds since 1970."""


class ClusterRuntime:
    """`run` works until it is cancelled.

    Whether the API answers is known from the mirrors: without a controller that watches something, nothing is done.
    """

    def __init__(self, target: targets.ClusterTarget, settings: RuntimeSettings) -> None:
        self.target = target
        self.settings = settings
        self.connection = connections.Connection(target.servers, target.credentials)
        self.answering = False
        self.mirrors: dict[resources.Resource, mirror.Mirror] = {}
        self.outbox = outbox.ClusterOutbox(
            target.key, settings.outbox, lambda report: self._happened(controller.Reported(report))
        )
        self._listed: set[resources.Resource] = set()
        self._at_work: tuple[_AtWork, ...] = ()
        self._retargeted = asyncio.Event()

    async def run(self) -> None:
        """Begins with nothing known, whatever an earlier run has left."""
        self._begin()
        async with self.connection, asyncio.TaskGroup() as tasks:
            for each in self._at_work:
                tasks.create_task(each.run())
            for watched in self.mirrors.values():
                tasks.create_task(watched.run())
            self._happened(controller.Began())

    def _begin(self) -> None:
        """Nothing known, nothing done."""
        controllers = self.settings.controllers
        self.answering = False
        self._listed = set()
        self.mirrors = {
            resource: mirror.Mirror(
                self.connection,
                resource,
                changed=functools.partial(self._changed, resource),
                told=functools.partial(self._told, resource),
                clock=self.settings.clock,
            )
            for resource in dict.fromkeys(resource for each in controllers for resource in each.watches)
        }
        self._at_work = tuple(_AtWork(each, self) for each in controllers)

    @property
    def name(self) -> str:
        """For people: the cluster's name as its owner gave it."""
        return self.target.system.name

    def reaches(self, target: targets.ClusterTarget) -> bool:
        """Whether this runtime's connection is that target's."""
        return (self.target.servers, self.target.credentials) == (target.servers, target.credentials)

    def update(self, target: targets.ClusterTarget) -> None:
        """What is now wanted of the same cluster."""
        before, self.target = self.target, target
        if target != before:
            self._retargeted.set()
            self._retargeted = asyncio.Event()
            self._happened(controller.Retargeted(before, target))

    async def until(self, what: Callable[[targets.ClusterTarget], bool]) -> None:
        """See controller.Cluster."""
        while not what(self.target):
            await self._retargeted.wait()

    def _happened(self, change: controller.Change) -> None:
        for each in self._at_work:
            each.happened(change)

    def _changed(self, resource: resources.Resource, key: str) -> None:
        self._happened(controller.Changed(resource, key))

    def _told(self, resource: resources.Resource, error: errors.Error | None) -> None:
        """A list or a watch went well, or did not."""
        if error is None and resource not in self._listed:
            self._listed.add(resource)
            self._happened(controller.Listed(resource))
        if error is None and not self.answering:
            self.answering = True
            log.info("cluster %s: its API answers", self.name)
            self.outbox.report(reports.ApiReport(answering=True))
            self._happened(controller.Began())
        elif isinstance(error, errors.Busy) and (self.answering or not self._is_told_away()):
            if self.answering:
                log.warning("cluster %s: its API does not answer: %s", self.name, error)
            self.answering = False
            self.outbox.report(reports.ApiReport(reason=f"its API does not answer: {error}"))

    def _is_told_away(self) -> bool:
        last = self.settings.outbox.reports.of(self.target.key, reports.ApiReport)
        return last is not None and bool(last.reason)


class _Scope:
    """A cluster as one controller has it: see controller.Cluster."""

    def __init__(self, what: controller.Controller, runtime: ClusterRuntime) -> None:
        self._runtime = runtime
        self._mirrors = {resource: runtime.mirrors[resource] for resource in what.watches}
        self.connection = runtime.connection
        self.outbox = runtime.outbox
        self.clock = runtime.settings.clock
        self.now = runtime.settings.now
        self.until = runtime.until

    @property
    def target(self) -> targets.ClusterTarget:
        return self._runtime.target

    @property
    def answering(self) -> bool:
        return self._runtime.answering

    def objects(self, resource: resources.Resource) -> Mapping[str, Json]:
        return self._mirrors[resource].objects

    def listed(self, resource: resources.Resource) -> bool:
        return self._mirrors[resource].synced.is_set()

    def reported(self, kind: type[R]) -> R | None:
        return self._runtime.settings.outbox.reports.of(self.target.key, kind)


class _AtWork:
    """One controller in one cluster."""

    def __init__(self, what: controller.Controller, runtime: ClusterRuntime) -> None:
        self._what = what
        self._runtime = runtime
        self._scope = _Scope(what, runtime)
        self._do = what.work(self._scope)
        self._complaints = complaints.QuietComplaints(log, lambda key: f"cluster {runtime.name}: {what.named(key)}")
        self._reconciler: reconciler.Reconciler[str] = reconciler.Reconciler(
            self._work,
            (),
            log=log,
            clock=runtime.settings.clock,
            at_once=what.at_once,
            backoff=_BACKOFF,
            said=self._complaints,
        )

    async def run(self) -> None:
        await self._reconciler.run()

    def happened(self, change: controller.Change) -> None:
        if isinstance(change, controller.Listed | controller.Changed) and change.resource not in self._what.watches:
            return
        for key in self._what.wakes(change, self._scope):
            self._reconciler.wake(key)

    async def _work(self, key: str) -> float | None:
        if not self._runtime.answering and not self._what.away:
            # Everything is woken when it answers.
            return None
        again = await self._do(key)
        self._complaints.forget(key)
        return again
