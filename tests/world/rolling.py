"""A small plan to show the world with: bring all hosts to a version, never two of them away at once.

Why it is safe: a step of an older generation is refused by every agent that was told of the current one, and the plan
disturbs nothing before all have been seen to be. From then on it only ever disturbs one host, the first that is not as
it should be, until that one is seen to be up with the version; a delayed or doubled step for it is refused, as the
incarnation it was made for is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.world import hosts

AGAIN = 3.0
"""Seconds until a step that had no visible effect is sent again."""


@dataclass(frozen=True)
class Wanted:
    """The desired state of the group."""

    generation: int
    version: int


def plan(wanted: Wanted, seen: Mapping[str, hosts.Host]) -> tuple[tuple[hosts.Step, ...], float | None]:
    """The steps that are safe now, and the seconds until to look again (None: when something is seen)."""
    behind = [host for host in seen.values() if host.generation != wanted.generation]
    if behind:
        return tuple(hosts.Tell(host.name, wanted.generation, wanted.version) for host in behind), AGAIN
    # One that is away comes first: to disturb another would be the second.
    order = sorted(seen.values(), key=lambda host: (host.condition is hosts.Condition.UP, host.name))
    unfit = [host for host in order if host.condition is not hosts.Condition.UP or host.version != wanted.version]
    if not unfit:
        return (), None
    first = unfit[0]
    if first.condition is hosts.Condition.STARTING:
        return (), AGAIN
    return (hosts.Restart(first.name, wanted.generation, first.incarnation),), AGAIN
