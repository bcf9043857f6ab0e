"""A simulated machine behind the agent's client: the agent's real door decides what is taken, and all of it comes to
be ready, or to be gone, a little later. It can be cut off before or after any call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import msgspec

from roadstead.agent import kinds
from roadstead.agent.api import checks, generations
from roadstead.agent.kinds import bounds, kind
from roadstead.agent.records import desired as stored
from roadstead.agent.records import observation_log
from roadstead.agent_client import asynchronous, client
from roadstead.clusters.components import facts as components
from roadstead.contract.messages import desired, observed, requests
from roadstead.core import errors
from roadstead.provider import engine_supply, node_metadata, reports
from roadstead.store import keys

BLOB = b"a program"
PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubectl")
OTHERS = ("etcd", "etcdctl", "etcdutl", "containerd", "ctr", "containerd-shim-runc-v2", "roadstead-cni")


USER, PORTER = 64001, 64002
"""The user ids of serve and porter here."""
BOUNDS = bounds.Bounds(users=frozenset({USER}), passed=frozenset({PORTER}))
"""The usual ones: what serve asks for is within them."""


KINDS = kind.by_name(kinds.KINDS)


class CutOff(Exception):
    """The caller died here."""


class Machine(asynchronous.AsyncClient):
    """See asynchronous.AsyncClient. `cut`: the call at which the caller dies, from 1 on, and whether it is done.
    `failing`: what does not come to be ready, and why. `near`: what hosts are near the end of."""

    def __init__(self) -> None:
        self.records: dict[stored.Key, stored.DesiredRecord] = {}
        self.blobs: set[str] = set()
        self.log = observation_log.ObservationLog(first=1)
        self.calls = 0
        self.cut: tuple[int, bool] | None = None
        self.failing: dict[stored.Key, str] = {}
        self.near: dict[stored.Key, tuple[str, ...]] = {}

    async def accept(
        self, put: asynchronous.Put | None = None, delete: asynchronous.Generations | None = None
    ) -> requests.BatchAnswer:
        self.calls += 1
        if self.cut == (self.calls, False):
            raise CutOff
        batch = msgspec.json.decode(client.batch(put or {}, delete or {}), type=requests.Batch)
        asked, answer = generations.decide(KINDS, self.records, batch)
        changed = checks.with_parts(KINDS, self.records, asked)
        if changed:
            checks.check(KINDS, self.records, changed, kind.Facts(self.blobs.__contains__, ("haproxy",), BOUNDS))
        for record in changed:
            self.take(record)
        if self.cut == (self.calls, True):
            raise CutOff
        await asyncio.sleep(0)
        return requests.BatchAnswer(accepted=answer)

    @property
    def is_cut(self) -> bool:
        """Whether the caller has died."""
        return self.cut is not None and self.calls >= self.cut[0]

    def work(self) -> None:
        """One thing more of each is done: what goes is gone when nothing needs it any more."""
        for key, record in list(self.records.items()):
            if not record.deleting:
                self._see(record, "failing" if key in self.failing else "ready", self.failing.get(key, ""))
            elif not self._needed(key):
                del self.records[key]
                self.log.gone(key)

    async def wanted(self) -> dict[str, dict[str, asynchronous.AgentRecord]]:
        found: dict[str, dict[str, asynchronous.AgentRecord]] = {}
        for (name, id), record in self.records.items():
            found.setdefault(name, {})[id] = asynchronous.AgentRecord(
                generation=record.generation, deleting=record.deleting, spec=msgspec.Raw(record.text.encode())
            )
        return found

    async def observations(self) -> requests.Observations:
        return requests.Observations(revision=self.log.revision, observations=self.log.all())

    async def keep_blob(self, content: bytes | Path, digest: str | None = None) -> str:
        assert isinstance(content, bytes)
        named = digest or client.digest(content)
        self.blobs.add(named)
        return named

    async def watch(self, since: int) -> AsyncIterator[observed.Changed]:
        async for change in self.log.watch(since):
            yield change

    def take(self, record: stored.DesiredRecord) -> None:
        """It is wanted from now on, as the door has let it in. What was seen of it is so until it is worked on."""
        self.records[record.key] = record
        if record.deleting or self.log.get(record.key) is None:
            self._see(record, "deleting" if record.deleting else "pending")

    def zone(self, id: str, generation: int, state: Literal["up", "black", "stopped"]) -> None:
        """What somebody else than the caller asks for."""
        zone = desired.Zone(state=state)
        self.take(stored.DesiredRecord("zones", id, generation, msgspec.json.encode(zone).decode(), False, zone))

    def _see(self, record: stored.DesiredRecord, phase: str, reason: str = "") -> None:
        said = {"kind": record.kind, "id": record.id, "generation": record.generation, "phase": phase, "reason": reason}
        said["warnings"] = self.near.get(record.key, ())
        self.log.put(msgspec.convert(said, observed.Observation))

    def _needed(self, key: stored.Key) -> bool:
        records = self.records.values()
        return bool(kind.parts(KINDS, records, key) or kind.users(KINDS, records).get(key))


class Supply:
    """See engine_supply.EngineSupply. `missing`: why no engine is to be had, if none is; `refuses`: releases that are
    not; `troubles`: with one that is not lent."""

    def __init__(self, machine: Machine, missing: str = "") -> None:
        self._machine = machine
        self._missing = missing
        self.refuses: frozenset[str] = frozenset()
        self.troubles: dict[str, errors.Error] = {}

    async def here(self, spec: str) -> None:
        if spec in self.troubles:
            raise self.troubles[spec]

    async def blob(self, path: Path) -> str:
        return await self._machine.keep_blob(path.read_bytes())

    async def engines(self, release: str) -> components.Engines:
        if self._missing:
            raise engine_supply.Unobtainable(self._missing)
        if release in self.refuses:
            raise engine_supply.Unobtainable(f"there is no engine {release}")
        ids = [await self.id(name) for name in (f"kubernetes-{release}", "etcd-3.6.16", "containerd-2.3.7")]
        return components.Engines(kubernetes=ids[0], etcd=ids[1], containerd=ids[2])

    async def id(self, spec: str) -> str:
        if ("engines", spec) not in self._machine.records:
            digest = await self._machine.keep_blob(BLOB)
            engine = desired.Engine(components=dict.fromkeys((*PROGRAMS, *OTHERS), digest))
            text = msgspec.json.encode(engine).decode()
            self._machine.take(stored.DesiredRecord("engines", spec, 1, text, False, engine))
        return spec


class Told:
    """See reports.Reports: in every cluster all is well at once, but for pods that are `held` where they are."""

    def __init__(self) -> None:
        self.held = False

    def access(self, _: keys.Key) -> reports.PartReport:
        return reports.PartReport(True)

    def node(self, _: keys.Key, _name: str, _marked: node_metadata.NodeMetadata) -> reports.PartReport:
        return reports.PartReport(True)

    def drained(self, _: keys.Key, _name: str) -> bool:
        return not self.held

    async def changes(self) -> AsyncIterator[keys.Key]:
        await asyncio.Event().wait()
        yield keys.Key("000000000000", "none", "none", "none")
