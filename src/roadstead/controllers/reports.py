"""What the controllers saw: in memory only, made anew by looking when serve starts."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

from roadstead.controllers import targets
from roadstead.core import foreign


class DrainState(enum.Enum):
    """How far a node is that is to go."""

    NOT_ASKED = "not asked"
    AT_WORK = "at work"
    """NodeState.blocked says what is left."""
    DONE = "done"
    """Nothing is left there that can go."""
    BLOCKED = "blocked"
    """The time for it is over: the node goes against what NodeState.blocked says. Until it does it is tried again."""


@dataclass(frozen=True, kw_only=True)
class SystemState:
    """A cluster's API and the system objects in it."""

    answering: bool = False
    """An API server answered the last request."""
    applied: bool = False
    """All objects are there as they are now to be."""
    reason: str = ""
    """Why not: one sentence."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


@dataclass(frozen=True, kw_only=True)
class NodeState:
    """A Node as the cluster sees it."""

    ready: bool
    reason: str = ""
    """Why it is not ready: the condition's words."""
    version: str = ""
    """Of its kubelet: `1.37.2`."""
    unschedulable: bool = False
    drain: DrainState = DrainState.NOT_ASKED
    blocked: tuple[str, ...] = ()
    """One sentence for each pod that is still there, with the budget that holds it."""
    marks: targets.NodeMarks | None = None
    """What it was given last of its nodegroup's."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason", "version")
        object.__setattr__(self, "blocked", tuple(map(foreign.bounded, self.blocked)))


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something that was decided, for who asks what happened to a cluster."""

    reason: str
    """One word for programs."""
    message: str
    """One sentence for people, with why."""
    nodegroup: str = ""
    """Whose node it is about, as `targets.ExpectedNode` has it; empty: it is the cluster's own."""
    facts: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        foreign.bind(self, "message")
        object.__setattr__(self, "facts", {name: foreign.bounded(fact) for name, fact in self.facts.items()})


Tell: TypeAlias = Callable[[targets.ClusterKey, Notice], None]
"""Is told of each notice once, and never waits."""


_NO_NODES: Mapping[str, NodeState] = MappingProxyType({})


class Reports:
    """The last that was seen of each cluster. Written by the runtimes, read by everyone."""

    def __init__(self) -> None:
        self._systems: dict[targets.ClusterKey, SystemState] = {}
        self._nodes: dict[targets.ClusterKey, Mapping[str, NodeState]] = {}
        self._followers: list[_Follower] = []

    def system(self, key: targets.ClusterKey) -> SystemState:
        """Never asked before: not answering, not applied."""
        return self._systems.get(key, SystemState())

    def nodes(self, key: targets.ClusterKey) -> Mapping[str, NodeState]:
        """By the Node's name; one that never registered is missing, unless it is being drained."""
        return self._nodes.get(key, _NO_NODES)

    async def changes(self) -> AsyncGenerator[targets.ClusterKey, None]:
        """First all clusters of which something is reported, then each of which something else is, for ever.

        Several may follow; many changes of one cluster may come as one.
        """
        follower = _Follower({*self._systems, *self._nodes})
        self._followers.append(follower)
        try:
            while True:
                await follower.woken.wait()
                follower.woken.clear()
                while follower.keys:
                    yield follower.keys.pop()
        finally:
            self._followers.remove(follower)

    def tell_system(self, key: targets.ClusterKey, state: SystemState) -> None:
        if self.system(key) != state:
            self._systems[key] = state
            self._changed(key)

    def tell_nodes(self, key: targets.ClusterKey, nodes: Mapping[str, NodeState]) -> None:
        if self.nodes(key) != nodes:
            self._nodes[key] = MappingProxyType(dict(nodes))
            self._changed(key)

    def forget(self, key: targets.ClusterKey) -> None:
        """The cluster is gone."""
        known = key in self._systems or key in self._nodes
        self._systems.pop(key, None)
        self._nodes.pop(key, None)
        if known:
            self._changed(key)

    def _changed(self, key: targets.ClusterKey) -> None:
        for follower in self._followers:
            follower.keys.add(key)
            follower.woken.set()


class _Follower:
    def __init__(self, keys: set[targets.ClusterKey]) -> None:
        self.keys = keys
        self.woken = asyncio.Event()
        if keys:
            self.woken.set()
