"""What the controllers are told: which clusters there are, how each is reached, and which nodes it is to have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from roadstead.contract import leaving
from roadstead.controllers.runtime import facts
from roadstead.kube import connection

ClusterKey: TypeAlias = str
"""Whatever names a cluster for who gives the targets; the controllers only compare it."""


@dataclass(frozen=True, kw_only=True)
class NodeTaint:
    """In Kubernetes' words: `NoSchedule`. Taints are told apart by key and effect."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeMarks:
    """The labels and taints that a node is given by its nodegroup."""

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[NodeTaint, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ExpectedNode:
    """A node that belongs to the cluster. As long as it is listed, its host is there or is to be.

    `leave`: None while it is to stay, else what becomes of its pods. When it is listed no more its host is gone, and
    its Node object and its pods are deleted.
    """

    instance: str
    """`i-0123456789abcdef0`; a Node of another instance under the same name is an old one."""
    address: str
    """Its private address."""
    token_id: str
    """Six of a-z0-9, its own: the bootstrap user is `system:bootstrap:<id>`."""
    token_secret: str = field(repr=False)
    """Sixteen of a-z0-9."""
    nodegroup: str
    """Whatever names its nodegroup for who gives the targets."""
    leave: leaving.Leave | None = None
    marks: NodeMarks = NodeMarks()
    near: tuple[str, ...] = ()
    """What of it, or of the machine that it is on, is near its end, a sentence each."""


@dataclass(frozen=True, kw_only=True)
class ClusterTarget:
    """One cluster. `nodes` is complete: what it leaves out is not there."""

    key: ClusterKey
    servers: tuple[str, ...]
    """`https://ADDRESS:443` of its API servers, the one to be tried first in front."""
    credentials: connection.Credentials
    """Of the user `roadstead:serve`."""
    system: facts.SystemFacts
    nodes: Mapping[str, ExpectedNode] = field(default_factory=dict)
    """By the name of the Node."""
    refresh: str = ""
    """The refresh of its insights that is asked for and has not ended; empty: none."""


class Targets(Protocol):
    """Implemented by who knows the clusters. Called in the controllers' event loop."""

    def current(self) -> Mapping[ClusterKey, ClusterTarget]:
        """All clusters that have an API, also one that does not answer yet."""
        ...

    def changes(self) -> AsyncIterator[object]:
        """Yields once at once, and then whenever `current` may answer differently. Never ends."""
        ...
