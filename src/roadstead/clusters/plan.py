"""The plan of clusters and nodegroups: from what is wanted and seen to the steps that are safe now. Pure.

Why it is safe:
- Nothing that disturbs is done before every part is seen to know the current generation. From then on an agent refuses
  each older step that is still on its way.
- What runs another release than is wanted is replaced one at a time, and only while all others are ready; a replacement
  names the incarnation that it is for, so that a late or doubled one is refused.
- What fails is not replaced: its agent starts it again, and the same again would fail no less. It is told of, makes a
  nodegroup degraded until it is ready, and holds up what would disturb others.
- A thing is gone when each part that was ever asked for is seen to be absent by the deleting generation: a late step of
  an earlier one finds the agent knowing better, and makes nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from roadstead.clusters import observed, provider
from roadstead.core import lifecycle

AGAIN = 3.0
"""Seconds until a step that had no visible effect is taken again."""

REFUSED_AGAIN = 60.0
"""Seconds until what was refused is looked at again: it may have become possible."""

Phase = observed.Phase


@dataclass(frozen=True)
class Tell:
    """Give the part's agent the current desired state. Makes what is absent, disturbs nothing that runs."""

    part: str
    generation: int
    wanted: provider.PartSpec
    reason: str


@dataclass(frozen=True)
class Replace:
    """Begin a part anew, as `wanted`: only while it is of that generation and incarnation."""

    part: str
    generation: int
    incarnation: int
    wanted: provider.PartSpec
    reason: str


@dataclass(frozen=True)
class Remove:
    """A part shall not be there, from that generation on."""

    part: str
    generation: int
    reason: str


@dataclass(frozen=True)
class Turn:
    """An event of the life cycle. `gone` ends it."""

    event: str
    generation: int
    reason: str


Step: TypeAlias = Tell | Replace | Remove | Turn


@dataclass(frozen=True)
class Situation:
    """All that the plan knows. `status`: as shown, of `life`."""

    life: lifecycle.Lifecycle
    status: str
    generation: int
    wanted: Mapping[str, provider.PartSpec]
    """The parts that shall be, in the order in which they are replaced."""
    ever: tuple[str, ...]
    """The parts that were ever asked for, `wanted` among them."""
    seen: Mapping[str, observed.Part]

    def part(self, name: str) -> observed.Part:
        return self.seen.get(name) or observed.Part(name)


def plan(now: Situation) -> tuple[tuple[Step, ...], float | None]:
    """The steps, and the seconds until to look again (None: when something is seen, or asked for)."""
    if now.life.can(now.status, "gone"):
        return _deleting(now)
    if now.life.events(now.status).keys() <= {"delete"}:
        return (), None
    untold = [name for name in now.wanted if now.part(name).generation < now.generation]
    if untold:
        return tuple(Tell(name, now.generation, now.wanted[name], _news(now.part(name))) for name in untold), AGAIN
    removes = _removes(now, [name for name in _names(now) if name not in now.wanted], "not wanted any more")
    refused = [now.part(name) for name in now.wanted if now.part(name).phase is Phase.REFUSED]
    if refused and now.life.can(now.status, "failed"):
        return (*removes, Turn("failed", now.generation, f"{refused[0].name}: {refused[0].reason}")), AGAIN
    steps: tuple[Step, ...] = (*removes, *_replaces(now), *_degraded(now))
    if steps:
        return steps, AGAIN
    return _settling(now)


def _news(part: observed.Part) -> str:
    return "asked for" if part.phase is Phase.ABSENT else "settings changed"


def _names(now: Situation) -> list[str]:
    return sorted({*now.ever, *now.wanted, *now.seen})


def _deleting(now: Situation) -> tuple[tuple[Step, ...], float | None]:
    removes = _removes(now, _names(now), "being deleted")
    if removes:
        return removes, AGAIN
    return (Turn("gone", now.generation, "no part is left"),), AGAIN


def _removes(now: Situation, names: list[str], reason: str) -> tuple[Remove, ...]:
    return tuple(
        Remove(name, now.generation, reason)
        for name in names
        if now.part(name).phase is not Phase.ABSENT or now.part(name).generation < now.generation
    )


def _replaces(now: Situation) -> tuple[Replace, ...]:
    """Always the first of them: whatever a late observation shows of it, no second one is taken while it is away."""
    parts = [(now.part(name), wanted) for name, wanted in now.wanted.items()]
    if any(part.phase is not Phase.READY for part, _ in parts):
        return ()
    for part, wanted in parts:
        if wanted.runs_kubernetes and part.release != wanted.release:
            reason = f"runs {part.release}, not {wanted.release}"
            return (Replace(part.name, now.generation, part.incarnation, wanted, reason),)
    return ()


def _degraded(now: Situation) -> tuple[Turn, ...]:
    failing = [now.part(name) for name in now.wanted if now.part(name).phase is Phase.FAILING]
    if not failing or not now.life.can(now.status, "degraded"):
        return ()
    return (Turn("degraded", now.generation, f"{failing[0].name}: {failing[0].reason or 'failing'}"),)


def _settling(now: Situation) -> tuple[tuple[Step, ...], float | None]:
    if any(now.part(name).phase is Phase.REFUSED for name in now.wanted):
        return (), REFUSED_AGAIN
    waiting = [name for name in now.wanted if now.part(name).phase is not Phase.READY]
    if waiting:
        return (), AGAIN
    if now.life.can(now.status, "ready"):
        return (Turn("ready", now.generation, "all parts are ready"),), AGAIN
    return (), None
