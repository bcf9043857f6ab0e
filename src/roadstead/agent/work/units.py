"""A unit: its folder of definitions on the host, its process, its readiness; restarted only in its turn."""

from __future__ import annotations

from roadstead.agent.records import desired as store
from roadstead.agent.units import units as unit_room
from roadstead.agent.work import groups, scene
from roadstead.messages import desired

_HEALTH_EVERY = 10.0
"""Seconds between looks at a unit that is ready."""


async def step(now: scene.Scene, record: store.Record) -> float | None:
    host_id, unit_id = record.id.split("/")
    host = now.records.get(("hosts", host_id))
    up = now.phase("hosts", host_id) == "ready"
    if record.deleting:
        # Also on a host that is down: its folders would start it again with the host.
        if host is not None and not host.deleting:
            await now.units.remove(host_id, unit_id)
        now.units.forget(host_id, unit_id)
        now.gone(record)
        return None
    unit = record.spec
    assert isinstance(unit, desired.Unit)
    if not up or host is None or host.deleting or not isinstance(host.spec, desired.Host):
        now.observe(record, "pending", reason=f"waits for the host {host_id}")
        return None
    if unit.engine != "system" and now.phase("engines", unit.engine) != "ready":
        now.observe(record, "pending", reason=f"waits for the engine {unit.engine}")
        return None
    uid = 0 if host.spec.kind == "node" else now.records.uid(host_id, now.instance.id)
    change = now.units.write(host_id, unit_id, unit, uid, now.blobs.path)
    waits_for = await _apply(now, record, unit, change)
    return await _report(now, record, unit, waits_for)


async def _apply(now: scene.Scene, record: store.Record, unit: desired.Unit, change: unit_room.Change) -> list[str]:
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


async def _report(now: scene.Scene, record: store.Record, unit: desired.Unit, waits_for: list[str]) -> float | None:
    host_id, unit_id = record.id.split("/")
    pid1 = now.journal.get(("hosts", host_id))
    assert pid1 is not None
    status = now.units.status(host_id, unit_id, pid1.pid)
    before = now.journal.get(record.key)
    again: float | None = None
    reason = status.reason
    phase: scene.Phase
    match status.state:
        case "down":
            phase = "failing" if unit.run else "stopped"
        case "backoff":
            phase = "failing"
        case "starting" | "up":
            check = await now.units.check(host_id, unit_id, unit, uid_of(now, host_id))
            phase = "ready" if check.ready else "running"
            reason = check.reason
            again = _HEALTH_EVERY if check.ready else check.again
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
    if phase == "ready" and (before is None or before.phase != "ready"):
        groups.wake_waiting(now, record.id)
    return again


def uid_of(now: scene.Scene, host_id: str) -> int:
    """The user id that a host's units run as."""
    host = now.wanted().hosts.get(host_id)
    return 0 if host is None or host.kind == "node" else now.records.uid(host_id, now.instance.id)
