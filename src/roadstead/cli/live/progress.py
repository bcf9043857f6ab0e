"""What is known while a command works: phases in order, each with its time; members; nodes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

State = Literal["waiting", "working", "done", "failed"]
MEMBERS = ("etcd", "api")
"""The kinds of a control plane's members, of which each zone has one."""


@dataclass(frozen=True)
class ProgressPart:
    """A member of the control plane, or a node."""

    name: str
    state: str
    """MAKING, READY, FAILING or REFUSED."""
    zone: str = ""
    nodegroup: str = ""
    reason: str = ""

    @property
    def ready(self) -> bool:
        return self.state == "READY"

    @property
    def hindrance(self) -> str:
        """What it waits for, in one line; empty when it is ready, or does not say."""
        return "" if self.ready or not self.reason else f"{self.name}: {' '.join(self.reason.split())}"


@dataclass(frozen=True)
class ProgressPhase:
    """`begun` and `ended` in seconds of one clock; `said` is what there is to say of it."""

    name: str
    begun: float | None = None
    ended: float | None = None
    failed: bool = False
    said: str = ""
    parts: tuple[ProgressPart, ...] = ()
    wanted: int = 0
    """How many parts it shall have; 0 where that says nothing."""

    @property
    def state(self) -> State:
        """One word for all that is known of it."""
        if self.failed:
            return "failed"
        if self.ended is not None:
            return "done"
        return "waiting" if self.begun is None else "working"

    @property
    def hindrance(self) -> str:
        """Of the first of its parts that is hindered, while it goes on."""
        if self.state != "working":
            return ""
        return next((each.hindrance for each in self.parts if each.hindrance), "")

    def seconds(self, now: float) -> float | None:
        """How long it takes or took; None before it has begun."""
        return None if self.begun is None else (now if self.ended is None else self.ended) - self.begun


@dataclass(frozen=True)
class CreationProgress:
    """All phases, in the order in which they are shown."""

    phases: tuple[ProgressPhase, ...]
    note: str = ""
    """What hinders it now."""

    def phase(self, name: str) -> ProgressPhase:
        """Of those that there are."""
        return next(each for each in self.phases if each.name == name)

    @property
    def hindrance(self) -> str:
        """Of the first phase that is hindered; empty: none is."""
        return next((each.hindrance for each in self.phases if each.hindrance), "")

    def having(self, name: str, **changes: object) -> CreationProgress:
        """The progress with a phase changed."""
        changed = tuple(replace(each, **changes) if each.name == name else each for each in self.phases)  # type: ignore[arg-type]
        return replace(self, phases=changed)

    def begin(self, name: str, now: float) -> CreationProgress:
        """A phase that has begun keeps its time."""
        return self if self.phase(name).begun is not None else self.having(name, begun=now)

    def end(self, name: str, now: float, said: str | None = None) -> CreationProgress:
        """A phase that never began has begun just now."""
        before = self.phase(name)
        if before.ended is not None:
            return self
        begun = now if before.begun is None else before.begun
        return self.having(name, begun=begun, ended=now, said=before.said if said is None else said)


CREATE = ("network", "roles", "control plane", "endpoint", "access", "nodes", "kubeconfig")
DELETE = ("nodes", "control plane", "network", "roles", "kubeconfig")


def empty(*names: str) -> CreationProgress:
    """Nothing has begun. The phases in the order in which they are shown."""
    return CreationProgress(tuple(ProgressPhase(name) for name in names))


@dataclass(frozen=True)
class ProgressSeen:
    """One look at the service: statuses by EKS's words, and parts."""

    cluster: str | None = None
    """None: there is none."""
    endpoint: str = ""
    nodegroups: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[ProgressPart] = ()

    def members(self) -> tuple[ProgressPart, ...]:
        """etcd and API servers, of all zones."""
        return tuple(each for each in self.parts if not each.nodegroup and each.name.partition("-")[0] in MEMBERS)

    def part(self, name: str) -> ProgressPart | None:
        """A part of the control plane: `edge`, `access`, `etcd-a`. None: it is not there yet."""
        return next((each for each in self.parts if not each.nodegroup and each.name == name), None)

    def nodes(self) -> tuple[ProgressPart, ...]:
        """Of all nodegroups."""
        return tuple(each for each in self.parts if each.nodegroup)


def creating(progress: CreationProgress, seen: ProgressSeen, now: float) -> CreationProgress:
    """The progress of `create cluster` after a look, from the time when the cluster was asked for.

    What the service does not tell of by itself (the endpoint's and the access's part) is ready when the cluster is.
    """
    active = seen.cluster in ("ACTIVE", "UPDATING")
    members = seen.members()
    progress = progress.begin("control plane", now).having("control plane", parts=members)
    if active or (members and all(each.ready for each in members)):
        progress = progress.end("control plane", now)
    for name, part in (("endpoint", seen.part("edge")), ("access", seen.part("access"))):
        if part is not None:
            progress = progress.begin(name, now).having(name, parts=(part,))
        if active or (part is not None and part.ready):
            progress = progress.end(name, now)
    if seen.endpoint:
        progress = progress.having("endpoint", said=seen.endpoint)
    return nodes(progress, seen, now)


def nodes(progress: CreationProgress, seen: ProgressSeen, now: float) -> CreationProgress:
    """The phase of the nodes that are awaited, after a look."""
    awaited = tuple(each for each in seen.nodes() if each.nodegroup in seen.nodegroups)
    progress = progress.having("nodes", parts=awaited)
    if seen.nodegroups:
        progress = progress.begin("nodes", now)
        if all(status == "ACTIVE" for status in seen.nodegroups.values()):
            progress = progress.end("nodes", now)
    return progress


def deleting(progress: CreationProgress, seen: ProgressSeen, now: float) -> CreationProgress:
    """The progress of `delete cluster` after a look."""
    progress = progress.having("nodes", parts=seen.nodes()).having("control plane", parts=seen.members())
    if not seen.nodegroups and not seen.nodes():
        progress = progress.end("nodes", now)
    if seen.cluster is None:
        progress = progress.end("nodes", now).end("control plane", now)
    return progress
