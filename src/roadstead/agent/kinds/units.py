"""A unit: its folder of definitions on the host, its process, its readiness; restarted only in its turn."""

from __future__ import annotations

import msgspec

from roadstead.agent.kinds import context, groups, images, stores
from roadstead.agent.records import desired as store
from roadstead.agent.units import units as unit_room
from roadstead.contract import layout
from roadstead.contract.messages import desired

_AFTER_PAUSE = 0.2
_HEALTH_EVERY = 10.0
"""Seconds between looks at a unit that is ready."""
_FILES_EVERY = 5.0
"""Seconds between looks at the files of a unit that starts."""


async def step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A unit made, started, changed, or taken away.

    Returns the seconds until to look again; None: what it waits for wakes it.
    """
    host_id, unit_id = record.id.split("/")
    host = now.records.get(("hosts", host_id))
    up = now.phase("hosts", host_id) == "ready"
    if record.deleting:
        # Also on a host that is down: its folders would start it again with the host.
        if host is not None and not host.deleting:
            await now.units.remove(host_id, unit_id)
        now.units.forget(host_id, unit_id)
        now.written.pop(record.id, None)
        now.importing.pop(record.id, None)
        now.late.pop(record.id, None)
        now.filling.pop(record.id, None)
        now.gone(record)
        return None
    unit = record.spec
    assert isinstance(unit, desired.Unit)
    if unit.first is not None and now.records.has_begun(record.id):
        unit = msgspec.structs.replace(unit, first=None)
    if not up or host is None or host.deleting or not isinstance(host.spec, desired.Host):
        now.observe(record, "pending", reason=f"waits for the host {host_id}")
        return None
    if unit.engine != layout.SYSTEM and now.phase("engines", unit.engine) != "ready":
        now.observe(record, "pending", reason=f"waits for the engine {unit.engine}")
        return None
    if unit.after is not None and _comes_too_early(now, record.id, unit.after):
        now.observe(record, "pending", reason=f"waits until {unit.after} is ready")
        return None
    if not now.units.installed(host_id, unit_id):
        again = _before_the_first_start(now, record, unit)
        if again is not None:
            return again
    change = _write(now, record, unit)
    waits_for = await _apply(now, record, unit, change)
    return await _report(now, record, unit, waits_for, images.follow(now, record.id, unit))


def _before_the_first_start(now: context.StepContext, record: store.DesiredRecord, unit: desired.Unit) -> float | None:
    """Seconds until to look again while its host's disk is given what it begins with; None when it may be started."""
    again = stores.wait(now, record.id)
    if again is not None:
        now.observe(record, "pending", reason=stores.REASON)
        return again
    again = images.wait(now, record.id, unit)
    if again is not None:
        now.observe(record, "pending", reason=images.REASON)
    return again


def _write(now: context.StepContext, record: store.DesiredRecord, unit: desired.Unit) -> unit_room.Change:
    """Its files as they are wanted. While it starts it is looked at every moment, and its files only now and then."""
    host_id, unit_id = record.id.split("/")
    host = now.observations.get(("hosts", host_id))
    fresh = context.WrittenFile(record.generation, None if host is None else host.pid, now.loop_now())
    known = now.written.get(record.id)
    if known is not None and now.phase(*record.key) == "running":
        same = (known.generation, known.host) == (fresh.generation, fresh.host)
        if same and fresh.at - known.at < _FILES_EVERY:
            return unit_room.Change("nothing")
    change = now.units.write(host_id, unit_id, unit, uid_of(now, host_id), now.blobs.path)
    if change.action in ("new", "nothing"):
        now.written[record.id] = fresh
    return change


async def _apply(
    now: context.StepContext, record: store.DesiredRecord, unit: desired.Unit, change: unit_room.Change
) -> list[str]:
    """Do what the change asks for; returns the members it has to wait for, else nothing."""
    host_id, unit_id = record.id.split("/")
    if not unit.run:
        await now.units.stop(host_id, unit_id, unit)
        return []
    match change.action:
        case "new" | "nothing":
            await now.units.start(host_id, unit_id)
        case "signal":
            await now.units.signal(host_id, unit_id, unit)
        case "restart":
            # One decision at a time: two members that look at each other must not both see the other ready.
            async with now.remaking:
                waits_for = groups.not_ready_for(now, [record.id])
                if waits_for:
                    return waits_for
                now.observe(record, "making", reason=f"restarts: {change.reason}")
                await now.units.restart(host_id, unit_id, unit)
    return []


async def _report(
    now: context.StepContext, record: store.DesiredRecord, unit: desired.Unit, waits_for: list[str], lacks: str
) -> float | None:
    """`lacks`: why its host has not all images that it is to have; it is none the less ready."""
    host_id, unit_id = record.id.split("/")
    pid1 = now.observations.get(("hosts", host_id))
    assert pid1 is not None
    status = now.units.status(host_id, unit_id, pid1.pid)
    before = now.observations.get(record.key)
    again: float | None = None
    reason = status.reason
    phase: context.Phase
    match status.state:
        case "down":
            phase = "failing" if unit.run else "stopped"
        case "backoff":
            phase = "failing"
            # The end of a pause is no event of s6's.
            again = _AFTER_PAUSE
        case "starting" | "up":
            check = await now.units.check(host_id, unit_id, unit, uid_of(now, host_id))
            phase = "ready" if check.ready else "running"
            reason = check.reason
            again = _HEALTH_EVERY if check.ready else check.again
    reason = reason or lacks
    if waits_for:
        reason = f"restarts when these are ready: {', '.join(waits_for)}"
    now.observe(
        record,
        phase,
        reason=reason,
        pid=status.pid,
        since=status.since,
        restarts=status.restarts,
        exit=status.exit,
        restart_pending=bool(waits_for),
    )
    if phase == "ready" and unit.first is not None:
        now.records.begin(record.id)
        # Its script is written without it at once: the process may die the next moment, with its disk.
        again = 0.0
    if phase == "ready" and (before is None or before.phase != "ready"):
        groups.wake_waiting(now, record.id)
        for id, other in now.wanted().units.items():
            if other.after == unit_id and id.startswith(f"{host_id}/"):
                now.wake("units", id)
    return again


def _comes_too_early(now: context.StepContext, id: str, after: str) -> bool:
    """One that was written once is started again with its host, whatever it waited for the first time."""
    host_id, unit_id = id.split("/")
    return now.phase("units", f"{host_id}/{after}") != "ready" and not now.units.installed(host_id, unit_id)


def uid_of(now: context.StepContext, host_id: str) -> int:
    """The user id that a host's units run as."""
    host = now.wanted().hosts.get(host_id)
    return 0 if host is None or host.kind == "node" else now.records.uid(host_id, now.instance.id)
