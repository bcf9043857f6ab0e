"""What controllers cause outside of their cluster's API: one outbox, with a member for each kind of it.

Who runs the controllers says where each goes. What a later controller causes that has no member yet (an object of the
agent, a write to the store) gets one here, and is no channel of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from roadstead.controllers.runtime import reports, targets
from roadstead.core import foreign


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


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Of all clusters. None of its members waits."""

    events: Callable[[targets.ClusterKey, Notice], None]
    """Is told of each notice once."""
    reports: reports.Reports = field(default_factory=reports.Reports)


class ClusterOutbox:
    """Of one cluster. `reported` is told of each report that says something else than the last of its type."""

    def __init__(self, key: targets.ClusterKey, to: Outbox, reported: Callable[[object], None]) -> None:
        self._key = key
        self._to = to
        self._reported = reported

    def notice(self, notice: Notice) -> None:
        """Of what was done: work that is done again tells it again."""
        self._to.events(self._key, notice)

    def report(self, report: object) -> None:
        """A frozen dataclass, whole: see `reports`."""
        if self._to.reports.keep(self._key, report):
            self._reported(report)
