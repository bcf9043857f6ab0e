"""What may be asked of the agent, decided over all desired states together, before anything is kept.

Each check is one small pure function that yields sentences; the first object that is wrong refuses the whole batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from roadstead.agent.api import bounds
from roadstead.agent.links import topology as topologies
from roadstead.agent.records import desired as store
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.core import errors

_LONGEST = 3600.0
"""Seconds for which anything may be waited for."""
_GETS = "`roadstead engine get` as root gets engines, or `start` shares those that are here"
_PATH = re.compile(r"/[!-~]*")


@dataclass(frozen=True)
class MachineFacts:
    """What is decided by beside the desired states themselves."""

    has_blob: Callable[[str], bool]
    system: Collection[str]
    """Programs of the machine that hosts may run."""
    bounds: bounds.Bounds | None = None
    """Of who asks; None: root does, whose machine it is."""
    vouches: Callable[[str, desired.Engine], bool] = lambda _id, _engine: True
    """Whether somebody else than who asks says that an engine is what it is said to be."""


@dataclass(frozen=True)
class WantedStates:
    """All desired states that are understood, by kind and id. `leaving` are the keys being deleted."""

    networks: Mapping[str, desired.Network]
    hosts: Mapping[str, desired.Host]
    units: Mapping[str, desired.Unit]
    engines: Mapping[str, desired.Engine]
    zones: Mapping[str, desired.Zone]
    publishes: Mapping[str, desired.Publish]
    listeners: Mapping[str, desired.Listener]

    def topology(self) -> topologies.Topology:
        """The part that the network is made of."""
        return topologies.Topology(self.networks, self.hosts, self.zones, self.publishes)


def wanted(records: Iterable[store.DesiredRecord]) -> WantedStates:
    """What the records ask for, without those that are being deleted or not understood."""
    by_kind: dict[str, dict[str, desired.Message]] = {kind: {} for kind in desired.KINDS}
    for record in records:
        if record.spec is not None and not record.deleting:
            by_kind[record.kind][record.id] = record.spec
    return WantedStates(**by_kind)  # type: ignore[arg-type]  # each kind holds its own type: see understood()


def after(records: Mapping[store.Key, store.DesiredRecord], changed: Iterable[store.DesiredRecord]) -> WantedStates:
    """What will be asked for when these changes are kept."""
    return wanted({**records, **{record.key: record for record in changed}}.values())


def check(now: WantedStates, changed: Collection[store.DesiredRecord], facts: MachineFacts) -> None:
    """Raises Conflict or Invalid with every reason why these changes may not be kept."""
    keys = {record.key for record in changed}
    problems = [str(problem) for problem in topologies.check(now.topology())]
    for id, unit in now.units.items():
        if ("units", id) in keys:
            problems += _unit(id, unit, now, facts)
    for id, engine in now.engines.items():
        if ("engines", id) in keys:
            problems += _engine(id, engine, facts.has_blob)
    problems += _doubted(now, keys, facts)
    for id, host in now.hosts.items():
        if ("hosts", id) in keys:
            problems += _host(id, host)
    for id, listener in now.listeners.items():
        problems += _listener(id, listener, now)
    if facts.bounds is not None:
        problems += bounds.check(facts.bounds, changed)
    for record in changed:
        if record.deleting:
            problems += _still_needed(record, now)
    if problems:
        raise errors.Invalid("; ".join(problems[:10]), problems=len(problems))


def _unit(id: str, unit: desired.Unit, now: WantedStates, facts: MachineFacts) -> Iterator[str]:
    host = id.split("/")[0]
    if host not in now.hosts:
        yield f"unit {id}: there is no host {host}; put it first, or in the same batch"
    if unit.engine == layout.SYSTEM:
        if unit.component not in facts.system:
            yield f"unit {id}: hosts may run these programs of the machine: {', '.join(sorted(facts.system))}"
    elif unit.engine not in now.engines:
        yield f"unit {id}: engine {unit.engine} is not installed"
    elif unit.component not in now.engines[unit.engine].components:
        known = ", ".join(now.engines[unit.engine].components)
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


def _after(id: str, unit: desired.Unit, now: WantedStates) -> Iterator[str]:
    """Whoever starts after another is started in the end: the row ends at one that starts by itself."""
    host, row, one = id.split("/")[0], {id}, unit
    while one.after is not None:
        next_id = f"{host}/{one.after}"
        following = now.units.get(next_id)
        if following is None or next_id in row:
            yield f"unit {id}: it starts after {unit.after}, which is no unit of its host that starts by itself"
            return
        row.add(next_id)
        one = following


def _images(id: str, unit: desired.Unit, now: WantedStates, has_blob: Callable[[str], bool]) -> Iterator[str]:
    if not unit.images:
        return
    before = now.units.get(f"{id.split('/')[0]}/{unit.after}")
    if before is None or "ctr" not in getattr(now.engines.get(before.engine), "components", ()):
        yield f"unit {id}: it has images, and starts after no unit whose engine imports them"
    for digest in unit.images:
        if not has_blob(digest):
            yield f"unit {id}: the image {digest} is not here; stream it first"


def _first(id: str, unit: desired.Unit, now: WantedStates) -> Iterator[str]:
    if unit.first is None:
        return
    if unit.engine == layout.SYSTEM:
        yield f"unit {id}: what is run before its first start must be of an engine"
    elif unit.engine in now.engines and unit.first.component not in now.engines[unit.engine].components:
        yield f"unit {id}: engine {unit.engine} has no component {unit.first.component} to run before its first start"
    if unit.first.folder not in unit.folders:
        yield f"unit {id}: what is run before its first start fills {unit.first.folder}, which is none of its folders"
    if "data-dir" in unit.first.flags:
        yield f"unit {id}: where what is run before its first start writes to is not for the unit to say"


def _probe(id: str, unit: desired.Unit, now: WantedStates) -> Iterator[str]:
    match unit.ready:
        case desired.NotifyProbe(descriptor=descriptor) if not 3 <= descriptor <= 9:
            yield f"unit {id}: notification descriptor {descriptor}: use 3 to 9"
        case desired.CommandProbe(engine=engine, component=component, timeout=timeout):
            if not 0 < timeout <= _LONGEST:
                yield f"unit {id}: a probe's command may take up to {_LONGEST:g} s"
            if engine != layout.SYSTEM and component not in getattr(now.engines.get(engine), "components", ()):
                yield f"unit {id}: its probe is {component} of engine {engine}, which there is not"
        case desired.HttpsProbe(path=path, ca=ca, certificate=certificate, key=key):
            if not _PATH.fullmatch(path):
                yield f"unit {id}: its probe asks for {path!r}, which is no path of a URL"
            for name in (ca, certificate, key):
                if name is not None and name not in unit.files:
                    yield f"unit {id}: its probe names the file {name}, which the unit does not have"
        case _:
            return


def _engine(id: str, engine: desired.Engine, has_blob: Callable[[str], bool]) -> Iterator[str]:
    if id == layout.SYSTEM:
        yield f"engine {id}: this name stands for programs of the machine"
    for component, digest in engine.components.items():
        if not has_blob(digest):
            yield f"engine {id}: component {component}: blob {digest} is not here; stream it first"


def _doubted(now: WantedStates, keys: Collection[store.Key], facts: MachineFacts) -> Iterator[str]:
    """Engines that are new, or that what is new is to run, and that nobody vouches for."""
    users: dict[str, list[str]] = {}
    for id, unit in now.units.items():
        if ("units", id) in keys:
            for engine in {
                unit.engine,
                *((unit.ready.engine,) if isinstance(unit.ready, desired.CommandProbe) else ()),
            }:
                users.setdefault(engine, []).append(id)
    for id, spec in now.engines.items():
        new = ("engines", id) in keys
        if (not new and id not in users) or facts.vouches(id, spec):
            continue
        if new:
            yield f"engine {id}: its files are not those of an engine that root or the supplier got: {_GETS}"
        for unit_id in users.get(id, ()):
            yield f"unit {unit_id}: engine {id} is of an earlier release, and nobody vouches for its files: {_GETS}"


def _host(id: str, host: desired.Host) -> Iterator[str]:
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


def _listener(id: str, listener: desired.Listener, now: WantedStates) -> Iterator[str]:
    match listener.namespace:
        case "machine":
            known = listener.of is None
        case "network":
            known = listener.of in now.networks
        case "host":
            known = listener.of in now.hosts
    if not known:
        yield f"listener {id}: there is no {listener.namespace} {listener.of}"
    if listener.user == 0:
        yield f"listener {id}: sockets are passed to unprivileged users only"


def _still_needed(record: store.DesiredRecord, now: WantedStates) -> Iterator[str]:
    """What is used by something that stays is not deleted."""
    match record.kind:
        case "networks":
            users = [id for id, host in now.hosts.items() if any(leg.network == record.id for leg in host.legs)]
        case "engines":
            users = [id for id, unit in now.units.items() if unit.engine == record.id]
        case _:
            users = []
    if users:
        yield f"{record.kind}/{record.id} is in use by {', '.join(sorted(users)[:5])}; delete these first"
