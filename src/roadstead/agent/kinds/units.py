"""A unit: its folder of definitions on the host, its process, its readiness; restarted only in its turn."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from roadstead.agent.kinds import context, groups
from roadstead.agent.kinds import engines as engine_kind
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.kinds.node_images import filling, imports
from roadstead.agent.records import desired as store
from roadstead.agent.units import units as unit_room
from roadstead.contract import layout
from roadstead.contract.messages import desired

_LONGEST = 3600.0
"""Seconds for which anything may be waited for."""
_PATH = re.compile(r"/[!-~]*")
_AFTER_PAUSE = 0.2
_HEALTH_EVERY = 10.0
"""Seconds between looks at a unit that is ready."""
_FILES_EVERY = 5.0
"""Seconds between looks at the files of a unit that starts."""


def _check(new: Mapping[str, desired.Unit], now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    for id, unit in new.items():
        yield from _one(id, unit, now, facts)
    yield from _doubted(new, now, facts)


def _engines(unit: desired.Unit) -> set[str]:
    """Those that it runs programs of, itself and by its probe."""
    probe = {unit.ready.engine} if isinstance(unit.ready, desired.CommandProbe) else set[str]()
    return {unit.engine, *probe} - {layout.SYSTEM}


def _doubted(new: Mapping[str, desired.Unit], now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    """What is new is not to run an engine that nobody vouches for."""
    asked = {engine for unit in new.values() for engine in _engines(unit)}
    engines = {id: engine for id, engine in now.all(desired.Engine).items() if id in asked}
    doubted = {id for id, engine in engines.items() if not facts.vouches(id, engine)}
    for id, unit in new.items():
        for engine_id in sorted(_engines(unit) & doubted):
            yield (
                f"unit {id}: engine {engine_id} is of an earlier release, and nobody vouches for its files: "
                f"{engine_kind.GETS}"
            )


def _components(now: kinds.Wanted, engine: str) -> Collection[str]:
    known = now.get(desired.Engine, engine)
    return () if known is None else known.components


def _one(id: str, unit: desired.Unit, now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    host = id.split("/")[0]
    if host not in now.all(desired.Host):
        yield f"unit {id}: there is no host {host}; put it first, or in the same batch"
    if unit.engine == layout.SYSTEM:
        if unit.component not in facts.system:
            yield f"unit {id}: hosts may run these programs of the machine: {', '.join(sorted(facts.system))}"
    elif (engine := now.get(desired.Engine, unit.engine)) is None:
        yield f"unit {id}: engine {unit.engine} is not installed"
    elif unit.component not in engine.components:
        known = ", ".join(engine.components)
        yield f"unit {id}: engine {unit.engine} has no component {unit.component}; it has {known}"
    for name, file in unit.files.items():
        if (file.content is None) == (file.blob is None):
            yield f"unit {id}: file {name} needs either content or blob"
        elif file.blob is not None and not facts.has_blob(file.blob):
            yield f"unit {id}: file {name}: blob {file.blob} is not here; stream it first"
        if file.secret and file.content is not None:
            yield f"unit {id}: file {name} is secret: send its bytes as a blob, not in the desired state"
    if unit.environment_file is not None and unit.environment_file not in unit.files:
        yield f"unit {id}: its environment is in the file {unit.environment_file}, which the unit does not have"
    if not 0 <= unit.stop_timeout <= _LONGEST:
        yield f"unit {id}: a stop takes 0 to {_LONGEST:g} s"
    yield from _probe(id, unit, now)
    yield from _first(id, unit, now)
    yield from _after(id, unit, now)
    yield from _images(id, unit, now, facts.has_blob)


def _after(id: str, unit: desired.Unit, now: kinds.Wanted) -> Iterator[str]:
    """Whoever starts after another is started in the end: the row ends at one that starts by itself."""
    host, row, one = id.split("/")[0], {id}, unit
    while one.after is not None:
        next_id = f"{host}/{one.after}"
        following = now.get(desired.Unit, next_id)
        if following is None or next_id in row:
            yield f"unit {id}: it starts after {unit.after}, which is no unit of its host that starts by itself"
            return
        row.add(next_id)
        one = following


def _images(id: str, unit: desired.Unit, now: kinds.Wanted, has_blob: Callable[[str], bool]) -> Iterator[str]:
    if not unit.images:
        return
    before = now.get(desired.Unit, f"{id.split('/')[0]}/{unit.after}")
    if before is None or "ctr" not in _components(now, before.engine):
        yield f"unit {id}: it has images, and starts after no unit whose engine imports them"
    for digest in unit.images:
        if not has_blob(digest):
            yield f"unit {id}: the image {digest} is not here; stream it first"


def _first(id: str, unit: desired.Unit, now: kinds.Wanted) -> Iterator[str]:
    if unit.first is None:
        return
    if unit.engine == layout.SYSTEM:
        yield f"unit {id}: what is run before its first start must be of an engine"
    elif unit.engine in now.all(desired.Engine) and unit.first.component not in _components(now, unit.engine):
        yield f"unit {id}: engine {unit.engine} has no component {unit.first.component} to run before its first start"
    if unit.first.folder not in unit.folders:
        yield f"unit {id}: what is run before its first start fills {unit.first.folder}, which is none of its folders"
    if "data-dir" in unit.first.flags:
        yield f"unit {id}: where what is run before its first start writes to is not for the unit to say"


def _probe(id: str, unit: desired.Unit, now: kinds.Wanted) -> Iterator[str]:
    match unit.ready:
        case desired.NotifyProbe(descriptor=descriptor) if not 3 <= descriptor <= 9:
            yield f"unit {id}: notification descriptor {descriptor}: use 3 to 9"
        case desired.CommandProbe(engine=engine, component=component, timeout=timeout):
            if not 0 < timeout <= _LONGEST:
                yield f"unit {id}: a probe's command may take up to {_LONGEST:g} s"
            if engine != layout.SYSTEM and component not in _components(now, engine):
                yield f"unit {id}: its probe is {component} of engine {engine}, which there is not"
        case desired.HttpsProbe(path=path, ca=ca, certificate=certificate, key=key):
            if not _PATH.fullmatch(path):
                yield f"unit {id}: its probe asks for {path!r}, which is no path of a URL"
            for name in (ca, certificate, key):
                if name is not None and name not in unit.files:
                    yield f"unit {id}: its probe names the file {name}, which the unit does not have"
        case _:
            return


def _uses(_id: str, unit: desired.Unit) -> list[store.Key]:
    return [("engines", engine) for engine in sorted(_engines(unit))]


def _blobs(unit: desired.Unit) -> list[str]:
    return [*unit.images, *(file.blob for file in unit.files.values() if file.blob is not None)]


@dataclass(frozen=True)
class _WrittenFile:
    """A unit's definition as it was written into one life of its host. `at` is on the loop's clock."""

    generation: int
    host: int | None
    """The host's PID 1."""
    at: float


@dataclass
class _Written:
    units: dict[str, _WrittenFile] = field(default_factory=dict)
    """What was last written of each: a look that only asks whether it is ready reads no file again."""


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A unit made, started, changed, or taken away."""
    host_id, unit_id = record.id.split("/")
    host = now.records.get(("hosts", host_id))
    up = now.phase("hosts", host_id) == "ready"
    if record.deleting:
        # Also on a host that is down: its folders would start it again with the host.
        if host is not None and not host.deleting:
            await now.units.remove(host_id, unit_id)
        now.gone(record)
        return None
    unit = record.spec
    assert isinstance(unit, desired.Unit)
    if unit.first is not None and now.begun.has(record.id):
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
    return await _report(now, record, unit, waits_for, imports.follow(now, record.id, unit))


def _before_the_first_start(now: context.StepContext, record: store.DesiredRecord, unit: desired.Unit) -> float | None:
    """Seconds until to look again while its host's disk is given what it begins with; None when it may be started."""
    again = filling.wait(now, record.id)
    if again is not None:
        now.observe(record, "pending", reason=filling.REASON)
        return again
    again = imports.wait(now, record.id, unit)
    if again is not None:
        now.observe(record, "pending", reason=imports.REASON)
    return again


def _write(now: context.StepContext, record: store.DesiredRecord, unit: desired.Unit) -> unit_room.Change:
    """Its files as they are wanted. While it starts it is looked at every moment, and its files only now and then."""
    host_id, unit_id = record.id.split("/")
    host = now.observations.get(("hosts", host_id))
    fresh = _WrittenFile(record.generation, None if host is None else host.pid, now.loop_now())
    written = now.memory(_Written).units
    known = written.get(record.id)
    if known is not None and now.phase(*record.key) == "running":
        same = (known.generation, known.host) == (fresh.generation, fresh.host)
        if same and fresh.at - known.at < _FILES_EVERY:
            return unit_room.Change("nothing")
    change = now.units.write(host_id, unit_id, unit, uid_of(now, host_id), now.blobs.path)
    if change.action in ("new", "nothing"):
        written[record.id] = fresh
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
            async with groups.deciding(now):
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
        now.begun.begin(record.id)
        # Its script is written without it at once: the process may die the next moment, with its disk.
        again = 0.0
    if phase == "ready" and (before is None or before.phase != "ready"):
        groups.wake_waiting(now, record.id)
        for id, other in now.wanted().all(desired.Unit).items():
            if other.after == unit_id and id.startswith(f"{host_id}/"):
                now.wake("units", id)
    return again


def _comes_too_early(now: context.StepContext, id: str, after: str) -> bool:
    """One that was written once is started again with its host, whatever it waited for the first time."""
    host_id, unit_id = id.split("/")
    return now.phase("units", f"{host_id}/{after}") != "ready" and not now.units.installed(host_id, unit_id)


def uid_of(now: context.StepContext, host_id: str) -> int:
    """The user id that a host's units run as."""
    host = now.wanted().get(desired.Host, host_id)
    return 0 if host is None or host.privilege == "privileged" else now.ids.uid(host_id, now.instance.id)


def _forget(now: context.StepContext, id: str) -> None:
    now.units.forget(*id.split("/"))
    now.memory(_Written).units.pop(id, None)
    now.begun.forget(id)
    imports.forget(now, id)
    filling.forget(now, id)


KIND = kinds.Kind(
    name="units",
    message=desired.Unit,
    step=_step,
    order=4,
    check=_check,
    uses=_uses,
    blobs=_blobs,
    forget=_forget,
    part_of="hosts",
)
