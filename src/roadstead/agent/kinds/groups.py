"""Members of one group are never taken down by the agent while another is not ready.

The group's size does not matter here: of three members the agent takes one down only while the other two serve. It
decides the order, never whether: that was asked for with a newer generation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roadstead.agent.kinds import context
from roadstead.contract.messages import desired, observed


@dataclass
class _Deciding:
    one: asyncio.Lock = field(default_factory=asyncio.Lock)


def deciding(now: context.StepContext) -> asyncio.Lock:
    """One decision at a time: two members that look at each other must not both see the other ready."""
    return now.memory(_Deciding).one


def others_not_ready(
    unit_id: str,
    units: Mapping[str, desired.Unit],
    seen: Mapping[str, observed.Observation | None],
) -> list[str]:
    """The other running members of this unit's group that are not ready, or wait for their own restart's end."""
    unit = units.get(unit_id)
    if unit is None or unit.group is None:
        return []
    return sorted(
        id
        for id, other in units.items()
        if id != unit_id and other.group == unit.group and other.run and not _serves(seen.get(id))
    )


def _serves(observation: observed.Observation | None) -> bool:
    return observation is not None and observation.phase == "ready"


def not_ready_for(now: context.StepContext, unit_ids: Iterable[str]) -> list[str]:
    """The members that must be ready before these units may go down."""
    units = now.wanted().all(desired.Unit)
    seen = {id: now.observations.get(("units", id)) for id in units}
    return sorted({other for id in unit_ids for other in others_not_ready(id, units, seen)})


def not_ready_beside(now: context.StepContext, host: str) -> list[str]:
    """The same for all units of a host that is to be made again."""
    return not_ready_for(now, [id for id in now.wanted().all(desired.Unit) if id.split("/")[0] == host])


def wake_waiting(now: context.StepContext, unit_id: str) -> None:
    """A member became ready: those of its group that wait for their turn, and their hosts, look again."""
    units = now.wanted().all(desired.Unit)
    unit = units.get(unit_id)
    if unit is None or unit.group is None:
        return
    for id, other in units.items():
        if other.group == unit.group and id != unit_id:
            now.wake("units", id)
            now.wake("hosts", id.split("/")[0])
