"""A new node's containerd begins with a store of the images that units after it need: nothing is to be imported.

What a disk has is left alone, and whatever keeps a store from a disk keeps no node: its images are imported then,
when it runs (`imports`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from roadstead.agent.hosts import bundle
from roadstead.agent.kinds import context
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.kinds.node_images import imports
from roadstead.agent.stores import copying, stores
from roadstead.contract.messages import desired
from roadstead.core import errors, instance

log = logging.getLogger(__name__)

REASON = "waits until its host's disk has the store of the images that every node has"

_LOOK = 5.0
"""Seconds until a look at what has not been heard of: its end wakes the unit."""


@dataclass
class _Filling:
    units: dict[str, bool] = field(default_factory=dict)
    """By unit whose store is on its way to its host's disk: whether that is over."""


def forget(now: context.StepContext, id: str) -> None:
    """A unit is gone."""
    now.memory(_Filling).units.pop(id, None)


def wait(now: context.StepContext, id: str) -> float | None:
    """Seconds until to look again while the store is on its way to the disk; None when the unit may be started.

    For a unit that was never started.
    """
    filling = now.memory(_Filling).units
    if id in filling:
        if not filling[id]:
            return _LOOK
        del filling[id]
        return None
    wanted = now.wanted()
    of = asked(wanted, id)
    host = now.instance.host(id.split("/")[0])
    if of is None or not copying.is_empty(host.disk) or not _sees(host):
        return None
    engine = wanted.all(desired.Unit)[id].engine
    if not now.register.vouches(engine, wanted.all(desired.Engine)[engine]):
        # The store is made by running it outside of hosts.
        log.warning("%s: nobody vouches for the engine %s, so its disk has no store", id.split("/")[0], engine)
        return None
    filling[id] = False
    now.spawn(_fill(now, id, of))
    return _LOOK


def _sees(host: instance.HostPlaces) -> bool:
    """Whether the host was made by an agent that shows it the stores: one of an older agent runs on."""
    return any((root / bundle.STORES.removeprefix("/")).is_dir() for root in (host.root, host.node_root))


def asked(wanted: kinds.Wanted, id: str) -> stores.Asked | None:
    """The store that a unit begins with; None for all but containerd on a node where others need images."""
    host_id, name = id.split("/")
    units = wanted.all(desired.Unit)
    unit, host = units[id], wanted.get(desired.Host, host_id)
    if unit.component != stores.PROGRAMS[0] or host is None or host.role != "node":
        return None
    engine = wanted.get(desired.Engine, unit.engine)
    if engine is None or not engine.components.keys() >= set(stores.PROGRAMS):
        return None
    after = (other for other_id, other in units.items() if other_id.startswith(f"{host_id}/"))
    needed = frozenset(digest for other in after if other.after == name for digest in other.images)
    return stores.Asked(engine.components, needed) if needed else None


def _used(now: context.StepContext) -> frozenset[str]:
    wanted = now.wanted()
    return frozenset(of.key for id in wanted.all(desired.Unit) if (of := asked(wanted, id)) is not None)


async def _fill(now: context.StepContext, id: str, of: stores.Asked) -> None:
    host = id.split("/")[0]
    try:
        store = await now.stores.get(of, lambda: _used(now))
        if store is not None and await now.stores.fill(store, now.instance.host(host)):
            imports.mark(now, host, of.images)
    except (errors.Error, OSError) as error:
        log.warning("%s: its disk has no store, it imports for itself: %s", host, error)
    finally:
        # One that was deleted meanwhile has no step that would hear of it.
        filling = now.memory(_Filling).units
        if id in filling:
            filling[id] = True
        now.wake("units", id)
