"""A host: its legs, its root and disk, its PID 1; adopted when it runs, made again when it died."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from roadstead.agent.hosts import processes
from roadstead.agent.idmaps import ranges
from roadstead.agent.kinds import context, groups, networks
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.records import desired as store
from roadstead.contract import layout
from roadstead.contract.messages import desired, earlier
from roadstead.core import errors
from roadstead.core.loops import loop

_STOP_TIMEOUT = 15.0
_END_TIMEOUT = 0.5
"""Seconds that what is deleted is given: nothing of it is kept."""
_HEALTHY_AFTER = 60.0
"""Seconds a host runs until its earlier deaths no longer slow its next start."""
_BACKOFF = loop.Backoff()


@dataclass
class _Deaths:
    """How often a host died soon after its start, for the back-off of its re-making."""

    count: int = 0
    restarts: int = 0
    not_before: float = 0.0
    """On the loop's clock."""


@dataclass
class _Lives:
    """What is remembered of hosts by this agent, by id."""

    deaths: dict[str, _Deaths] = field(default_factory=dict)
    watched: dict[str, int] = field(default_factory=dict)
    """The PID 1 of each host whose end is waited for."""

    def of(self, id: str) -> _Deaths:
        return self.deaths.setdefault(id, _Deaths())


def _check(new: Mapping[str, desired.Host], _now: kinds.Wanted, _facts: kinds.Facts) -> Iterator[str]:
    for id, host in new.items():
        yield from _one(id, host)


def _one(id: str, host: desired.Host) -> Iterator[str]:
    if (host.role == "node") != (host.privilege == "privileged"):
        yield f"host {id}: nodes are privileged, since they run containers of their own, and no others are"
    if (host.disk.kind == "ext4") != (host.disk.size is not None):
        yield f"host {id}: a disk of kind ext4 has a size, a folder has none"
    if host.disk.size is not None and host.disk.size < 16 * 2**20:
        yield f"host {id}: an ext4 disk needs 16 MiB or more"
    if host.shape is not None and not 1 <= host.shape.vcpus <= 1024:
        yield f"host {id}: a shape has 1 to 1024 vcpus"
    if host.limits.cpus is not None and host.limits.cpus < 0.01:
        yield f"host {id}: a limit of cpus is 0.01 or more"
    if host.limits.memory is not None and host.limits.memory < 16 * 2**20:
        yield f"host {id}: a limit of memory is 16 MiB or more"
    if not 1 <= host.limits.cpu_weight <= 10_000:
        yield f"host {id}: cpu_weight is 1 to 10000"


def _uses(_id: str, host: desired.Host) -> list[store.Key]:
    return [("networks", leg.network) for leg in host.legs]


def _refuses(before: desired.Host, host: desired.Host) -> str:
    """A node is made with users of its own or without by what is on its disk: never by that of another kind of host."""
    if before.privilege != host.privilege:
        return f"is {before.privilege} and does not become {host.privilege}"
    if earlier.kind(before.role) != earlier.kind(host.role):
        return f"is a host of {before.role} and does not become one of {host.role}"
    return ""


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A host made, kept running, or taken away."""
    if record.deleting:
        await _remove(now, record)
        return None
    host = record.spec
    assert isinstance(host, desired.Host)
    zone = now.wanted().get(desired.Zone, host.zone)
    if zone is not None and zone.state == "stopped":
        return await _stopped(now, record, host)
    missing = sorted({leg.network for leg in host.legs if now.phase("networks", leg.network) != "ready"})
    if missing:
        now.observe(record, "pending", reason=f"waits for the network {', '.join(missing)}")
        return None
    if host.privilege == "privileged" and (coming := runc_to_come(now)) is not None and not _was_made(now, record.id):
        # By the machine's own runc it might be made without users of its own, for its life.
        now.observe(record, "pending", reason=f"waits for the engine {coming}")
        return None
    ids = await ids_of(now, record.id, host)
    await now.fabric.make_host(record.id, networks.topology(now.wanted()), ids)
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
    return 0 if host.privilege == "privileged" else now.ids.uid(id, now.instance.id)


async def ids_of(now: context.StepContext, id: str, host: desired.Host) -> ranges.Range | None:
    """A node's own ids on the machine, None for one without.

    What it was made with stays for as long as it has its disk: containerd marks on it what layers of images hide, with
    users of its own in another way than without.
    """
    if host.privilege != "privileged":
        return None
    if _was_made(now, id):
        return now.ids.range(id)
    lacking = await now.hosts.lacks_for_users()
    if lacking is None:
        return now.ids.give_range(id, now.instance.id)
    # Else whoever takes away what it needs (the engine runc is serve's to ask for) would have root of the machine.
    if now.ids.range_given() and now.hosts.node_users == "own":
        raise errors.Failed(
            f"node {id}: nodes of this instance have users of their own, and now they cannot: {lacking}. "
            "`roadstead start --node-users machine` lets them be made without",
            host=id,
        )
    return None


def runc_to_come(now: context.StepContext) -> str | None:
    """The engine that hosts are to be made by, while it is on its way to its place."""
    engines = (id for id in now.wanted().all(desired.Engine) if id.startswith(layout.RUNC))
    return next((id for id in engines if now.phase("engines", id) != "ready"), None)


def _was_made(now: context.StepContext, id: str) -> bool:
    """Whether it was decided before whose users a node has."""
    return now.ids.range(id) is not None or now.hosts.has_disk(id)


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
    async with groups.deciding(now):
        waits_for = groups.not_ready_beside(now, record.id)
        if waits_for:
            reason = f"is made again when these are ready: {', '.join(waits_for)}"
            now.observe(record, "ready", reason=reason, pid=running.pid, since=running.since, restart_pending=True)
            return None
        now.observe(record, "making", reason="its desired state changed: made again")
        await now.hosts.stop(record.id, _STOP_TIMEOUT)
        return await now.hosts.make(record.id, host, uid, ids)


def _report(now: context.StepContext, record: store.DesiredRecord, running: processes.Running) -> None:
    lives = now.memory(_Lives)
    restarts = lives.of(record.id).restarts
    now.observe(record, "ready", pid=running.pid, since=running.since, restarts=restarts)
    if lives.watched.get(record.id) != running.pid:
        lives.watched[record.id] = running.pid
        now.spawn(_watch(now, record.id, running))
        now.wake_parts(record.key)


async def _watch(now: context.StepContext, id: str, running: processes.Running) -> None:
    """Wait for the end of PID 1, whoever is its parent, then look at the host again."""
    await now.hosts.exited(running)
    # Whoever deletes or stops the host is not to wait for a unit that cannot start any more.
    now.units.host_ended(id)
    lives = now.memory(_Lives)
    if lives.watched.get(id) == running.pid:
        del lives.watched[id]
        deaths = lives.of(id)
        deaths.restarts += 1
        lived = time.time() - running.since
        deaths.count = 1 if lived > _HEALTHY_AFTER else deaths.count + 1
        # The first time it comes back at once; then slower and slower.
        pause = 0.0 if deaths.count == 1 else _BACKOFF.delay(deaths.count - 1)
        deaths.not_before = now.loop_now() + pause
        now.wake("hosts", id, pause)


def _too_soon(now: context.StepContext, id: str) -> float:
    deaths = now.memory(_Lives).deaths.get(id)
    return 0.0 if deaths is None else deaths.not_before - now.loop_now()


async def _stopped(now: context.StepContext, record: store.DesiredRecord, host: desired.Host) -> float | None:
    lives = now.memory(_Lives)
    lives.watched.pop(record.id, None)
    await now.hosts.stop(record.id, _STOP_TIMEOUT)
    lives.deaths.pop(record.id, None)
    if now.observe(record, "stopped", reason=f"zone {host.zone} is stopped"):
        now.wake_parts(record.key)
    return None


async def _remove(now: context.StepContext, record: store.DesiredRecord) -> None:
    """Total, also for a host that is half made; its units go with it."""
    now.observe(record, "deleting")
    now.memory(_Lives).watched.pop(record.id, None)
    await now.hosts.stop(record.id, _END_TIMEOUT)
    await now.pods.forget(record.id)
    await now.hosts.remove(record.id)
    await now.fabric.remove_host(record.id)
    for part in now.parts(record.key):
        now.gone(part)
    now.gone(record)
    for network in now.records.of_kind("networks").values():
        if network.deleting:
            now.wake("networks", network.id)


def _forget(now: context.StepContext, id: str) -> None:
    lives = now.memory(_Lives)
    lives.deaths.pop(id, None)
    lives.watched.pop(id, None)
    now.ids.forget(id)
    now.jobs.forget(id)


KIND = kinds.Kind(
    name="hosts",
    message=desired.Host,
    step=_step,
    order=3,
    check=_check,
    uses=_uses,
    forget=_forget,
    refuses=_refuses,
)
