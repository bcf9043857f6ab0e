"""A new node's disk begins with a store: its containerd waits for it, and nothing that goes wrong keeps the node."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.unit.test_agent_stores import COMPONENTS, FIRST, SECOND, asked, store

from roadstead.agent.kinds import context, kind
from roadstead.agent.kinds.node_images import filling as work
from roadstead.agent.records import desired as records
from roadstead.agent.stores import copying
from roadstead.contract.messages import desired
from roadstead.core import errors
from roadstead.core.instance import HostPlaces

__all__ = ["store"]
"""A fixture."""

CONTAINERD = desired.Unit(engine="containerd-2.3", component="containerd")
KUBELET = desired.Unit(engine="kubernetes", component="kubelet", after="containerd", images=(SECOND, FIRST))


def host(role: desired.Role) -> desired.Host:
    privilege: desired.Privilege = "privileged" if role == "node" else "unprivileged"
    return desired.Host(role=role, privilege=privilege, zone="a", legs=(), hostname="h")


def wanted(
    hosts: Mapping[str, desired.Host], units: Mapping[str, desired.Unit], engines: Mapping[str, desired.Engine]
) -> kind.Wanted:
    every = (("hosts", hosts), ("units", units), ("engines", engines))
    return kind.Wanted(
        records.DesiredRecord(name, id, 1, "", spec=spec) for name, specs in every for id, spec in specs.items()
    )


@dataclass
class Agent:
    """What the step needs of its context: four new nodes, with disks in a folder and stores that are a fake's."""

    folder: Path
    store: Path | None
    units: dict[str, desired.Unit] = field(default_factory=dict)
    role: desired.Role = "node"
    fault: Exception | None = None
    vouched: bool = True
    got: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    woken: list[str] = field(default_factory=list)
    memories: dict[type[object], Any] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(4):
            self.units |= {f"n{number}/containerd": CONTAINERD, f"n{number}/kubelet": KUBELET}
            (self.disk(f"n{number}") / "lib").mkdir(parents=True)
            (self.places(f"n{number}").node_root / "stores").mkdir(parents=True)

    def places(self, host: str) -> HostPlaces:
        return HostPlaces(*(self.folder / host / name for name in ("state", "run", "log", "netns")))

    def disk(self, host: str) -> Path:
        return self.places(host).disk

    @property
    def instance(self) -> Any:
        return SimpleNamespace(host=self.places)

    @property
    def stores(self) -> Any:
        return self

    @property
    def register(self) -> Any:
        return SimpleNamespace(vouches=lambda _id, _engine: self.vouched)

    async def get(self, of: Any, used: Any) -> Path | None:
        self.got.append(of.key)
        self.used |= used()
        return self.store

    async def fill(self, store: Path, host: Any) -> bool:
        if self.fault is not None:
            raise self.fault
        return await copying.fill(store, host.disk)

    def wanted(self) -> Any:
        hosts = {f"n{number}": host(self.role) for number in range(4)}
        return wanted(hosts, self.units, {"containerd-2.3": desired.Engine(components=COMPONENTS)})

    def memory(self, of: type[object]) -> Any:
        return self.memories.setdefault(of, of())

    def wake(self, _: str, id: str) -> None:
        self.woken.append(id)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        self.tasks.append(asyncio.ensure_future(cast("Any", work)))

    def wait(self, id: str) -> float | None:
        return work.wait(cast("context.StepContext", self), id)

    def mark(self, host: str) -> str:
        file = self.disk(host) / "lib" / "roadstead-images"
        return file.read_text() if file.exists() else ""

    async def ended(self) -> None:
        await asyncio.gather(*self.tasks)


IDS = [f"n{number}/containerd" for number in range(4)]


def test_nodes_wait_for_their_store_and_have_its_images_marked(tmp_path: Path, store: Path) -> None:
    async def story() -> None:
        agent = Agent(tmp_path / "hosts", store)
        assert all(agent.wait(id) is not None for id in IDS)
        assert all(agent.wait(id) is not None for id in IDS), "it is on its way"
        await agent.ended()
        assert sorted(agent.woken) == IDS
        assert agent.got == [asked(FIRST, SECOND).key] * 4
        assert agent.used == {asked(FIRST, SECOND).key}
        assert [agent.wait(id) for id in IDS] == [None] * 4
        assert agent.mark("n3") == f"{FIRST}\n{SECOND}\n"
        assert (agent.disk("n3") / "lib" / "containerd" / "folder" / "file").exists()
        assert agent.wait("n3/containerd") is None, "its disk has something now"
        assert [memory.units for memory in agent.memories.values()] == [{}]

    asyncio.run(story())


@pytest.mark.parametrize("fault", [None, errors.Failed("cp: no space left"), OSError(28, "full")])
def test_whatever_keeps_a_store_from_a_disk_keeps_no_node(
    tmp_path: Path, store: Path, fault: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a mark its images are imported before its kubelet is started."""

    async def story() -> None:
        agent = Agent(tmp_path / "hosts", None if fault is None else store, fault=fault)
        assert agent.wait(IDS[0]) is not None
        await agent.ended()
        assert agent.woken == [IDS[0]]
        assert agent.wait(IDS[0]) is None
        assert agent.mark("n0") == ""

    asyncio.run(story())
    assert len(caplog.records) == (0 if fault is None else 1), "what was not made was told by who makes it"


def test_an_engine_that_nobody_vouches_for_is_not_run_to_make_a_store(tmp_path: Path, store: Path) -> None:
    async def story() -> None:
        agent = Agent(tmp_path / "hosts", store, vouched=False)
        assert [agent.wait(id) for id in IDS] == [None] * 4
        assert agent.tasks == []
        assert agent.got == []
        agent.vouched = True
        assert agent.wait(IDS[0]) is not None
        await agent.ended()

    asyncio.run(story())


def test_one_that_nobody_foresaw_keeps_no_node_either(tmp_path: Path, store: Path) -> None:
    async def story() -> None:
        agent = Agent(tmp_path / "hosts", store, fault=RuntimeError("unforeseen"))
        agent.wait(IDS[0])
        await asyncio.gather(*agent.tasks, return_exceptions=True)
        assert agent.wait(IDS[0]) is None

    asyncio.run(story())


def test_a_disk_that_has_something_and_units_that_need_nothing_wait_for_no_store(tmp_path: Path, store: Path) -> None:
    async def story() -> None:
        agent = Agent(tmp_path / "hosts", store)
        (agent.disk("n0") / "lib" / "containerd" / "of an older life").mkdir(parents=True)
        assert agent.wait("n0/containerd") is None
        assert agent.wait("n1/kubelet") is None
        del agent.units["n2/kubelet"]
        assert agent.wait("n2/containerd") is None
        (agent.places("n3").node_root / "stores").rmdir()
        assert agent.wait("n3/containerd") is None, "an older agent made it, and it sees no stores"
        (agent.places("n3").root / "stores").mkdir(parents=True)
        agent.role = "api"
        assert agent.wait("n3/containerd") is None
        assert agent.tasks == []
        agent.role = "node"
        assert agent.wait("n3/containerd") is not None, "one that does had its root beside its disk"
        await asyncio.gather(*agent.tasks)

    asyncio.run(story())


def test_one_that_was_deleted_meanwhile_leaves_nothing(tmp_path: Path, store: Path) -> None:
    async def story() -> None:
        agent = Agent(tmp_path / "hosts", store)
        agent.wait(IDS[0])
        work.forget(cast("context.StepContext", agent), IDS[0])
        await agent.ended()
        assert [memory.units for memory in agent.memories.values()] == [{}]

    asyncio.run(story())


def test_an_engine_without_the_programs_makes_no_store() -> None:
    units = {"n/containerd": CONTAINERD, "n/kubelet": KUBELET}
    lacking = {"containerd-2.3": desired.Engine(components={"containerd": FIRST})}
    assert work.asked(wanted({"n": host("node")}, units, lacking), "n/containerd") is None
