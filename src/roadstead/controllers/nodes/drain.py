"""Nodes that are to go are drained: side by side, for a bounded time, and then they go all the same.

What an eviction is, is in `eviction`. The time for a node runs from when it was first seen that it is to go, also while
the API is away; what holds it when it is over is told once, and asked again until its host is gone.
"""

from __future__ import annotations

import asyncio
import logging
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from roadstead.contract import leaving
from roadstead.controllers.nodes import eviction, states
from roadstead.controllers.nodes import node as nodes
from roadstead.controllers.runtime import controller, outbox, targets
from roadstead.core import concurrency, errors
from roadstead.kube import resources
from roadstead.kube.resources import Json

log = logging.getLogger(__name__)

_AT_ONCE = 24
"""Each of them keeps a connection busy, and there is other work."""
_LATER = 1.0
_NAMED = 5
"""Pods that are named of those that hold a node."""


@dataclass(frozen=True, kw_only=True)
class DrainTimes:
    """In seconds."""

    most: float = 15 * 60.0
    """For a node's pods to leave; then it goes all the same. As EKS has it (EKS User Guide, "Managed node update
    behavior": PodEvictionFailure)."""
    turn: float = 5.0
    """Until it is told what is left, and looked at anew; and the pause after it was told that the time is over."""
    again: float = 2.0
    """Until a refused eviction is asked for again."""


@dataclass(frozen=True)
class Stay:
    """It is not to go."""


@dataclass(frozen=True)
class Go:
    """Nothing is to be moved off it."""


@dataclass(frozen=True)
class Wait:
    """The API is away; there is time left."""


@dataclass(frozen=True)
class GiveUp:
    """The time is over, and nobody could ask its pods."""

    reason: str


@dataclass(frozen=True)
class Evict:
    """Its pods are asked to leave."""

    mine: targets.ExpectedNode
    node: Json
    leave: leaving.Leave


Step: TypeAlias = Stay | Go | Wait | GiveUp | Evict


def decide(mine: targets.ExpectedNode | None, node: Json | None, *, known: bool, left: float) -> Step:
    """What is next for a node.

    node: as it is there; known: whether that can be believed, and the API asked; left: seconds of its time.
    """
    if mine is None or mine.leave is None:
        return Stay()
    if mine.leave is leaving.Leave.DROPPED:
        return Go()
    if not known:
        return Wait() if left > 0 else GiveUp("the cluster's API does not answer")
    if node is None or nodes.another(node, mine.instance):
        return Go()
    return Evict(mine, node, mine.leave)


def controller_of(times: DrainTimes) -> controller.Controller:
    """Its keys are names of nodes."""
    return controller.Controller(
        named="drain of node {}".format,
        watches=(resources.NODES,),
        wakes=_wakes,
        work=lambda cluster: _Drains(cluster, times).work,
        # The time for it is over at some time, whoever answers.
        away=True,
        at_once=64,
    )


def _wakes(change: controller.Change, view: controller.View) -> Iterable[str]:
    if isinstance(change, controller.Changed):
        return (change.key,)
    before: Mapping[str, object] = change.before.nodes if isinstance(change, controller.Retargeted) else {}
    return {*before, *view.target.nodes} if controller.anew(change, operator.attrgetter("nodes")) else ()


class _Drains:
    """Of one cluster."""

    def __init__(self, cluster: controller.Cluster, times: DrainTimes) -> None:
        self._cluster = cluster
        self._times = times
        self._since: dict[str, float] = {}
        self._drains: dict[str, states.Drain] = {}
        self._at_work = 0

    async def work(self, name: str) -> float | None:
        cluster = self._cluster
        mine = cluster.target.nodes.get(name)
        now = cluster.clock.now()
        until = self._since.get(name, now) + self._times.most
        known = cluster.answering and cluster.listed(resources.NODES)
        step = decide(mine, cluster.objects(resources.NODES).get(name), known=known, left=until - now)
        if not isinstance(step, Stay):
            self._since.setdefault(name, now)
        match step:
            case Stay():
                self._since.pop(name, None)
                self._tell(name, None)
            case Go():
                self._tell(name, states.Drain(states.DrainState.DONE))
            case Wait():
                self._tell(name, states.Drain(states.DrainState.AT_WORK))
                return until - now
            case GiveUp(reason):
                self._tell(name, states.Drain(states.DrainState.BLOCKED, (reason,)))
            case Evict():
                return await self._evict(name, step, until)
            case _:
                assert_never(step)
        return None

    async def _evict(self, name: str, step: Evict, until: float) -> float | None:
        before = self._drains.get(name, states.Drain())
        if before.state is states.DrainState.DONE:
            return None
        if before.state is states.DrainState.NOT_ASKED:
            self._tell(name, states.Drain(states.DrainState.AT_WORK))
        if self._at_work >= _AT_ONCE:
            return _LATER
        self._at_work += 1
        try:
            left = await self._turn(name, step, before.state, until)
        except errors.NotFound:
            left = ()
        except errors.Error as error:
            if self._is_over(until) and not self._is_other(name, step):
                self._tell(name, states.Drain(states.DrainState.BLOCKED, (str(error),)))
            raise
        finally:
            self._at_work -= 1
        if self._is_other(name, step):
            return 0.0
        return self._took(name, before, left, until)

    async def _turn(self, name: str, step: Evict, now: states.DrainState, until: float) -> tuple[str, ...]:
        """For a while; what is left then. It ends at once when something else is wanted of the node."""
        cluster, most = self._cluster, self._times.turn
        seconds = most if now is states.DrainState.BLOCKED else min(most, until - cluster.clock.now())
        at_work = eviction.Eviction(cluster.connection, step.node, cluster.clock, self._times.again)

        async def watch() -> None:
            await cluster.until(lambda _: self._is_other(name, step))
            at_work.stop()

        watching = asyncio.create_task(watch())
        try:
            dead = nodes.is_dead(step.node, cluster.now())
            return await at_work.run(seconds, leave=step.leave, dead=dead)
        finally:
            await concurrency.end(watching)

    def _took(self, name: str, before: states.Drain, left: tuple[str, ...], until: float) -> float | None:
        if not left:
            log.info("cluster %s: node %s is drained", self._cluster.target.system.name, name)
            self._tell(name, states.Drain(states.DrainState.DONE))
            return None
        if self._is_over(until):
            self._tell(name, states.Drain(states.DrainState.BLOCKED, left))
            return self._times.turn
        now = states.Drain(states.DrainState.AT_WORK, left)
        if now.blocked != before.blocked:
            log.info(
                "cluster %s: node %s is being drained: %s", self._cluster.target.system.name, name, "; ".join(left)
            )
        self._tell(name, now)
        return 0.0

    def _is_over(self, until: float) -> bool:
        return self._cluster.clock.now() >= until

    def _is_other(self, name: str, step: Evict) -> bool:
        return self._cluster.target.nodes.get(name) != step.mine

    def _tell(self, name: str, drain: states.Drain | None) -> None:
        """None: it is not to go."""
        before = self._drains.pop(name, states.Drain())
        if drain is not None:
            self._drains[name] = drain
            if drain.state is states.DrainState.BLOCKED is not before.state:
                self._tell_blocked(name, drain.blocked)
        self._cluster.outbox.report(states.Drains(dict(self._drains)))

    def _tell_blocked(self, name: str, blocked: tuple[str, ...]) -> None:
        """Once for each node that is to go: what holds it is asked again, and nobody waits for it any more."""
        more = len(blocked) - _NAMED
        why = "; ".join(blocked[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
        log.warning("cluster %s: node %s: %s", self._cluster.target.system.name, name, why)
        message = f"the time for the pods of node {name} to leave is over, it goes with them: {why}"
        nodegroup = self._cluster.target.nodes[name].nodegroup
        self._cluster.outbox.notice(
            outbox.Notice(reason="DrainBlocked", message=message, nodegroup=nodegroup, facts={"node": name})
        )
