"""A host: its legs, its root and disk, its PID 1; adopted when it runs, made again when it died."""

from __future__ import annotations

import time

from roadstead.agent.hosts import processes
from roadstead.agent.idmaps import ranges
from roadstead.agent.kinds import context, groups
from roadstead.agent.records import desired as store
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.core.loops import loop

_STOP_TIMEOUT = 15.0
_END_TIMEOUT = 0.5
"""Seconds that what is deleted is given: nothing of it is kept."""
_HEALTHY_AFTER = 60.0
"""Seconds a host runs until its earlier deaths no longer slow its next start."""
_BACKOFF = loop.Backoff()


async def step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A host made, kept running, or taken away.

    Returns the seconds until to look again; None: what it waits for wakes it.
    """
    if record.deleting:
        await _remove(now, record)
        return None
    host = record.spec
    assert isinstance(host, desired.Host)
    zone = now.wanted().zones.get(host.zone)
    if zone is not None and zone.state == "stopped":
        return await _stopped(now, record, host)
    missing = sorted({leg.network for leg in host.legs if now.phase("networks", leg.network) != "ready"})
    if missing:
        now.observe(record, "pending", reason=f"waits for the network {', '.join(missing)}")
        return None
    if host.kind == "node" and (coming := runc_to_come(now)) is not None and not _was_made(now, record.id):
        # By the machine's own runc it might be made without users of its own, for its life.
        now.observe(record, "pending", reason=f"waits for the engine {coming}")
        return None
    ids = await ids_of(now, record.id, host)
    await now.fabric.make_host(record.id, now.wanted().topology(), ids)
    uid = _uid(now, record.id, host)
    running = await now.hosts.adopt(record.id)
    if running is not None:
        running = await _up_to_date(now, record, host, (uid, ids), running)
        if running is None:
            return None
    else:
        wait = _too_soon(now, record.id)
        if wait > 0:
            now.observe(record, "failing", reason=f"PID 1 died; made again in {wait:.1f} s")
            return wait
        now.observe(record, "making")
        running = await now.hosts.make(record.id, host, uid, ids)
    await now.pods.listen(record.id)
    _report(now, record, running)
    return None


def _uid(now: context.StepContext, id: str, host: desired.Host) -> int:
    return 0 if host.kind == "node" else now.records.uid(id, now.instance.id)


async def ids_of(now: context.StepContext, id: str, host: desired.Host) -> ranges.Range | None:
    """A node's own ids on the machine, None for one without.

    What it was made with stays for as long as it has its disk: containerd marks on it what layers of images hide, with
    users of its own in another way than without.
    """
    if host.kind != "node":
        return None
    if _was_made(now, id):
        return now.records.range(id)
    lacking = await now.hosts.lacks_for_users()
    if lacking is None:
        return now.records.give_range(id, now.instance.id)
    # Else whoever takes away what it needs (the engine runc is serve's to ask for) would have root of the machine.
    if now.records.range_given() and now.hosts.node_users == "own":
        raise errors.Failed(
            f"node {id}: nodes of this instance have users of their own, and now they cannot: {lacking}. "
            "`roadstead start --node-users machine` lets them be made without",
            host=id,
        )
    return None


def runc_to_come(now: context.StepContext) -> str | None:
    """The engine that hosts are to be made by, while it is on its way to its place."""
    return next(
        (id for id in now.wanted().engines if id.startswith(layout.RUNC) and now.phase("engines", id) != "ready"), None
    )


def _was_made(now: context.StepContext, id: str) -> bool:
    """Whether it was decided before whose users a node has."""
    return now.records.range(id) is not None or now.hosts.has_disk(id)


async def _up_to_date(
    now: context.StepContext,
    record: store.DesiredRecord,
    host: desired.Host,
    users: tuple[int, ranges.Range | None],
    running: processes.Running,
) -> processes.Running | None:
    """The host as its desired state is now: changed in place, or made again in its turn (None: not yet)."""
    uid, ids = users
    await now.hosts.update(record.id, host, uid)
    if now.hosts.up_to_date(record.id, host, uid):
        return running
    async with now.remaking:
        waits_for = groups.not_ready_beside(now, record.id)
        if waits_for:
            reason = f"is made again when these are ready: {', '.join(waits_for)}"
            now.observe(record, "ready", reason=reason, pid=running.pid, since=running.since, restart_pending=True)
            return None
        now.observe(record, "making", reason="its desired state changed: made again")
        await now.hosts.stop(record.id, _STOP_TIMEOUT)
        return await now.hosts.make(record.id, host, uid, ids)


def _report(now: context.StepContext, record: store.DesiredRecord, running: processes.Running) -> None:
    deaths = now.deaths.setdefault(record.id, context.Deaths())
    now.observe(record, "ready", pid=running.pid, since=running.since, restarts=deaths.restarts)
    if now.watched.get(record.id) != running.pid:
        now.watched[record.id] = running.pid
        now.spawn(_watch(now, record.id, running))
        for id in now.records.of_kind("units"):
            if id.split("/")[0] == record.id:
                now.wake("units", id)


async def _watch(now: context.StepContext, id: str, running: processes.Running) -> None:
    """Wait for the end of PID 1, whoever is its parent, then look at the host again."""
    await now.hosts.exited(running)
    # Whoever deletes or stops the host is not to wait for a unit that cannot start any more.
    now.units.host_ended(id)
    if now.watched.get(id) == running.pid:
        del now.watched[id]
        deaths = now.deaths.setdefault(id, context.Deaths())
        deaths.restarts += 1
        lived = time.time() - running.since
        deaths.count = 1 if lived > _HEALTHY_AFTER else deaths.count + 1
        # The first time it comes back at once; then slower and slower.
        pause = 0.0 if deaths.count == 1 else _BACKOFF.delay(deaths.count - 1)
        deaths.not_before = now.loop_now() + pause
        now.wake("hosts", id, pause)


def _too_soon(now: context.StepContext, id: str) -> float:
    deaths = now.deaths.get(id)
    return 0.0 if deaths is None else deaths.not_before - now.loop_now()


async def _stopped(now: context.StepContext, record: store.DesiredRecord, host: desired.Host) -> float | None:
    now.watched.pop(record.id, None)
    await now.hosts.stop(record.id, _STOP_TIMEOUT)
    now.deaths.pop(record.id, None)
    if now.observe(record, "stopped", reason=f"zone {host.zone} is stopped"):
        for unit in now.records.of_kind("units"):
            if unit.split("/")[0] == record.id:
                now.wake("units", unit)
    return None


async def _remove(now: context.StepContext, record: store.DesiredRecord) -> None:
    """Total, also for a host that is half made; its units go with it."""
    now.observe(record, "deleting")
    now.watched.pop(record.id, None)
    await now.hosts.stop(record.id, _END_TIMEOUT)
    await now.pods.forget(record.id)
    await now.hosts.remove(record.id)
    await now.fabric.remove_host(record.id)
    for unit in list(now.records.of_kind("units").values()):
        if unit.id.split("/")[0] == record.id:
            now.units.forget(*unit.id.split("/"))
            now.written.pop(unit.id, None)
            now.importing.pop(unit.id, None)
            now.late.pop(unit.id, None)
            now.filling.pop(unit.id, None)
            now.gone(unit)
    now.deaths.pop(record.id, None)
    now.near.pop(record.id, None)
    now.gone(record)
    for network in now.records.of_kind("networks").values():
        if network.deleting:
            now.wake("networks", network.id)
