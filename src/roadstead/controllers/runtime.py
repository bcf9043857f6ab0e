"""One cluster: its watches, its loop, and what is to be done there; as long as the cluster is wanted.

Everything it knows it learns by looking, so that it can begin anew at any time. While no API server answers it waits,
says so once, and goes on when one does.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

from roadstead.clusters import nodegroups
from roadstead.controllers import applying, approval, csr, drain, facts, nodes, rbac, reports, targets, tokens
from roadstead.controllers.system import budget, coredns, parts
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.core.loops import loop
from roadstead.kube import connection as connections
from roadstead.kube import mirror, resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

_TOKENS_AGAIN = 3600.0
_TURN = 5.0
"""Seconds that a node is drained for until it is told what is left, and looked at anew; and of the pause after it
was told that the time is over."""
_DRAINS_AT_ONCE = 24
"""Each of them keeps a connection busy, and there is other work."""
_DRAIN_LATER = 1.0
_NAMED = 5
"""Pods that are named of those that hold a node."""
_USUAL = 1.0
"""Seconds: failures that are tried again sooner are usual while an API server starts, or another one writes."""
_BACKOFF = loop.Backoff(first=0.1, most=15.0)


class Work(enum.Enum):
    """What a runtime does. `NODE`, `DRAIN` and `REQUEST` are of one object, by its name."""

    OWN = "own objects"
    SYSTEM = "system objects"
    TOKENS = "bootstrap tokens"
    NODE = "node"
    DRAIN = "drain of node"
    REQUEST = "certificate request"
    BUDGET = "budget of cluster DNS"


Key: TypeAlias = tuple[Work, str]


@dataclass(frozen=True, kw_only=True)
class RuntimeSettings:
    """What all runtimes have in common."""

    objects: Callable[[facts.SystemFacts], tuple[Json, ...]]
    """The system's objects, pure."""
    tell: reports.Tell
    drain: float
    """Seconds for a node's pods to leave."""
    clock: clocks.Clock
    now: Callable[[], float]
    """Seconds since 1970."""


class ClusterRuntime:
    """`run` works until it is cancelled."""

    def __init__(self, target: targets.ClusterTarget, settings: RuntimeSettings, told: reports.Reports) -> None:
        self._target = target
        self._settings = settings
        self._reports = told
        self._connection = connections.Connection(target.servers, target.credentials)
        self._begin()

    def _begin(self) -> None:
        """Nothing known, nothing done."""
        clock = self._settings.clock
        self._loop: loop.Loop[Key] = loop.Loop(
            self._work, failed=self._failed, clock=clock, at_once=64, backoff=_BACKOFF
        )
        watched: dict[str, Any] = {"told": self._told, "clock": clock}
        self._nodes = mirror.Mirror(self._connection, resources.NODES, changed=self._node_changed, **watched)
        self._requests = mirror.Mirror(
            self._connection,
            resources.SIGNING_REQUESTS,
            changed=lambda name: self._loop.wake((Work.REQUEST, name)),
            **watched,
        )
        self._done: set[Work] = set()
        self._answering = False
        self._listed = False
        self._drains: dict[str, tuple[reports.DrainState, tuple[str, ...]]] = {}
        self._drained_since: dict[str, float] = {}
        self._draining: dict[str, drain.Drain] = {}
        self._complaints: dict[Key, str] = {}
        self._opened: bool | None = None
        """What the budget of cluster DNS was looked at for last."""

    async def run(self) -> None:
        self._begin()
        async with self._connection, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._loop.run())
            tasks.create_task(self._nodes.run())
            tasks.create_task(self._requests.run())
            self._wake_all()

    def reaches(self, target: targets.ClusterTarget) -> bool:
        """Whether this runtime's connection is that target's."""
        return (self._target.servers, self._target.credentials) == (target.servers, target.credentials)

    def update(self, target: targets.ClusterTarget) -> None:
        """What is now wanted of the same cluster."""
        before, self._target = self._target, target
        if target.system != before.system:
            self._done.discard(Work.SYSTEM)
            self._tell_system("the system's objects are to change")
            self._loop.wake((Work.SYSTEM, ""))
        if target.nodes != before.nodes:
            for name, at_work in self._draining.items():
                if target.nodes.get(name) != before.nodes.get(name):
                    at_work.stop()
            self._wake_nodes()

    # What happens.

    def _told(self, error: errors.Error | None) -> None:
        """A list or a watch went well, or did not."""
        if error is None and self._nodes.synced.is_set() and not self._listed:
            self._listed = True
            self._wake_nodes()
        if error is None and not self._answering:
            self._answering = True
            log.info("cluster %s: its API answers", self._name)
            self._wake_all()
            self._tell_system("the system's objects are being applied")
        elif isinstance(error, errors.Busy) and (self._answering or not self._reported.reason):
            if self._answering:
                log.warning("cluster %s: its API does not answer: %s", self._name, error)
            self._answering = False
            self._tell_system(f"its API does not answer: {error}")

    def _node_changed(self, name: str) -> None:
        self._loop.wake((Work.NODE, name))
        self._loop.wake((Work.DRAIN, name))
        self._loop.wake((Work.BUDGET, ""))
        self._tell_nodes()

    def _failed(self, key: Key, error: Exception, delay: float) -> None:
        """Says each failure once, until it is another one or over."""
        task, name = key
        if task in (Work.OWN, Work.SYSTEM) and isinstance(error, errors.Error):
            self._tell_system(f"{task.value}: {error}")
        if isinstance(error, errors.Error) and delay < _USUAL:
            return
        complaint = type(error).__name__ + str(getattr(error, "facts", {}).get("status", ""))
        if self._complaints.get(key) == complaint:
            return
        self._complaints[key] = complaint
        if not isinstance(error, errors.Error):
            log.error("cluster %s: %s %s: a fault of ours", self._name, task.value, name, exc_info=error)
        elif not isinstance(error, errors.Busy):
            log.warning("cluster %s: %s %s: %s; tried again in %.1f s", self._name, task.value, name, error, delay)

    # What is done.

    async def _work(self, key: Key) -> float | None:
        if not self._answering and key[0] is not Work.DRAIN:
            # Everything is woken when it answers.
            return None
        again = await self._do(key)
        self._complaints.pop(key, None)
        return again

    async def _do(self, key: Key) -> float | None:
        task, name = key
        match task:
            case Work.OWN:
                if task not in self._done:
                    await applying.apply_all(self._connection, rbac.objects())
                    self._finish(task)
            case Work.SYSTEM:
                await self._system()
            case Work.TOKENS:
                return await self._tokens()
            case Work.NODE:
                await self._node(name)
            case Work.DRAIN:
                return await self._drain(name)
            case Work.REQUEST:
                await self._request(name)
            case Work.BUDGET:
                await self._budget()
            case _:
                assert_never(task)
        return None

    async def _system(self) -> None:
        wanted = self._target.system
        if Work.SYSTEM in self._done:
            return
        if await applying.apply_once(self._connection, self._settings.objects(wanted), wanted.release):
            log.info("cluster %s: the system's objects of %s are applied", self._name, wanted.release)
        self._opened = None
        self._loop.wake((Work.BUDGET, ""))
        if wanted == self._target.system:
            self._finish(Work.SYSTEM)

    async def _budget(self) -> None:
        opened = budget.nowhere(self._nodes.objects.values(), self._target.system)
        if not self._nodes.synced.is_set() or opened == self._opened:
            return
        try:
            there = await self._connection.get(resources.BUDGETS, coredns.NAME, parts.NAMESPACE)
        except errors.NotFound:
            # It may be made yet: then this is looked at anew.
            return
        if (change := budget.change(there, opened=opened)) is not None:
            await self._connection.patch(resources.BUDGETS, coredns.NAME, change, parts.NAMESPACE)
            where = "nowhere" if opened else "somewhere"
            log.info("cluster %s: pods of cluster DNS have %s to go while nodes are drained", self._name, where)
        self._opened = opened

    async def _tokens(self) -> float:
        there, _ = await self._connection.list(resources.SECRETS, tokens.OURS)
        todo = tokens.plan(self._target.nodes, there, self._settings.now())
        await applying.apply_all(self._connection, todo.apply)
        for name in todo.delete:
            await self._connection.delete(resources.SECRETS, name, tokens.NAMESPACE)
        return _TOKENS_AGAIN

    async def _request(self, name: str) -> None:
        request = self._requests.objects.get(name)
        if request is not None:
            judged = await approval.decide(self._connection, request, self._target.nodes, self._name)
            if isinstance(judged, csr.Refuse):
                user = str(request["spec"].get("username") or "somebody")
                message = f"a certificate that {user} asked for is denied: {judged.reason}"
                self._notice("CertificateDenied", message, user=user, request=name)

    async def _node(self, name: str) -> None:
        node, mine = self._nodes.objects.get(name), self._target.nodes.get(name)
        if node is None:
            return
        if nodes.due(name, node, self._target.nodes) is nodes.Due.DELETE:
            await approval.delete_node(self._connection, node)
            log.info("cluster %s: node %s is deleted: its host is gone", self._name, name)
            self._notice("NodeDeleted", f"node {name} is deleted: its host is gone", node=name)
        elif mine is not None and (change := nodes.change(node, mine)) is not None:
            await self._connection.patch(resources.NODES, name, change)
        elif mine is not None and (change := nodes.condition(node, mine, self._settings.now())) is not None:
            await self._connection.patch(resources.NODES, name, change, part="status")

    async def _drain(self, name: str) -> float | None:
        mine = self._target.nodes.get(name)
        clock = self._settings.clock
        if mine is None or mine.leave is None:
            self._drained_since.pop(name, None)
            self._set_drain(name, None)
            return None
        if mine.leave is nodegroups.Leave.DROPPED:
            self._set_drain(name, reports.DrainState.DONE)
            return None
        since = self._drained_since.setdefault(name, clock.now())
        if not (self._answering and self._nodes.synced.is_set()):
            return self._wait_to_drain(name, since)
        node = self._nodes.objects.get(name)
        if node is None or nodes.another(node, mine.instance):
            self._set_drain(name, reports.DrainState.DONE)
            return None
        return await self._drain_node(name, node, mine.leave, since)

    def _wait_to_drain(self, name: str, since: float) -> float | None:
        """While the API is away; the time for it runs on."""
        left = since + self._settings.drain - self._settings.clock.now()
        if left > 0:
            self._set_drain(name, reports.DrainState.AT_WORK)
            return left
        self._set_drain(name, reports.DrainState.BLOCKED, ("the cluster's API does not answer",))
        return None

    async def _drain_node(self, name: str, node: Json, leave: nodegroups.Leave, since: float) -> float | None:
        now, told = self._drains.get(name, (reports.DrainState.NOT_ASKED, ()))
        if now is reports.DrainState.DONE:
            return None
        if now is reports.DrainState.NOT_ASKED:
            self._set_drain(name, reports.DrainState.AT_WORK)
        if len(self._draining) >= _DRAINS_AT_ONCE:
            return _DRAIN_LATER
        clock, until = self._settings.clock, since + self._settings.drain
        seconds = min(_TURN, until - clock.now()) if now is not reports.DrainState.BLOCKED else _TURN
        at_work = self._draining[name] = drain.Drain(self._connection, node, clock)
        try:
            dead = nodes.is_dead(node, self._settings.now())
            left = await at_work.run(seconds, leave=leave, dead=dead)
        except errors.NotFound:
            left = ()
        except errors.Error as error:
            if clock.now() >= until:
                self._set_drain(name, reports.DrainState.BLOCKED, (str(error),))
            raise
        finally:
            del self._draining[name]
        if at_work.stopped:
            return 0.0
        if not left:
            log.info("cluster %s: node %s is drained", self._name, name)
            self._set_drain(name, reports.DrainState.DONE)
            return None
        if clock.now() < until:
            if left != told:
                log.info("cluster %s: node %s is being drained: %s", self._name, name, "; ".join(left))
            self._set_drain(name, reports.DrainState.AT_WORK, left)
            return 0.0
        self._set_drain(name, reports.DrainState.BLOCKED, left)
        return _TURN

    # What is told.

    @property
    def _name(self) -> str:
        return self._target.system.name

    @property
    def _reported(self) -> reports.SystemState:
        return self._reports.system(self._target.key)

    def _finish(self, task: Work) -> None:
        self._done.add(task)
        if {Work.OWN, Work.SYSTEM} <= self._done:
            self._tell_system("")

    def _tell_system(self, reason: str) -> None:
        applied = {Work.OWN, Work.SYSTEM} <= self._done
        state = reports.SystemState(
            answering=self._answering, applied=applied, reason="" if applied and self._answering else reason
        )
        self._reports.tell_system(self._target.key, state)

    def _tell_nodes(self) -> None:
        if self._nodes.synced.is_set():
            seen = nodes.states(self._nodes.objects, self._target.nodes, self._drains)
            self._reports.tell_nodes(self._target.key, seen)

    def _set_drain(self, name: str, drain: reports.DrainState | None, blocked: tuple[str, ...] = ()) -> None:
        if drain is None:
            self._drains.pop(name, None)
        else:
            before, _ = self._drains.get(name, (None, ()))
            self._drains[name] = (drain, blocked)
            if drain is reports.DrainState.BLOCKED is not before:
                self._tell_blocked(name, blocked)
        self._tell_nodes()

    def _tell_blocked(self, name: str, blocked: tuple[str, ...]) -> None:
        """Once for each node that is to go: what holds it is asked again, and nobody waits for it any more."""
        more = len(blocked) - _NAMED
        why = "; ".join(blocked[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
        log.warning("cluster %s: node %s: %s", self._name, name, why)
        message = f"the time for the pods of node {name} to leave is over, it goes with them: {why}"
        self._notice("DrainBlocked", message, self._target.nodes[name].nodegroup, node=name)

    def _notice(self, reason: str, message: str, nodegroup: str = "", **facts: str) -> None:
        notice = reports.Notice(reason=reason, message=message, nodegroup=nodegroup, facts=facts)
        self._settings.tell(self._target.key, notice)

    def _wake_all(self) -> None:
        for task in (Work.OWN, Work.SYSTEM):
            if task not in self._done:
                self._loop.wake((task, ""))
        self._wake_nodes()

    def _wake_nodes(self) -> None:
        """Tokens, Nodes and waiting requests depend on the nodes that are expected."""
        self._loop.wake((Work.TOKENS, ""))
        self._loop.wake((Work.BUDGET, ""))
        for name in {*self._nodes.objects, *self._target.nodes, *self._drains}:
            self._loop.wake((Work.NODE, name))
            self._loop.wake((Work.DRAIN, name))
        for name in self._requests.objects:
            self._loop.wake((Work.REQUEST, name))
        self._tell_nodes()
