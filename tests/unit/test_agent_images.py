"""The images that a host has before a unit is started: brought once for each disk, and told when they cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from roadstead.agent.kinds import context, kind
from roadstead.agent.kinds.node_images import imports
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired
from roadstead.core import errors

FIRST, SECOND = (f"sha256:{letter * 64}" for letter in "ab")
ID = "node/kubelet"
CONTAINERD = desired.Unit(engine="containerd-2.3", component="containerd")


def kubelet(*digests: str) -> desired.Unit:
    return desired.Unit(engine="kubernetes", component="kubelet", after="containerd", images=digests)


@dataclass
class Agent:
    """What `imports` needs of the steps' context, with a disk in a folder."""

    disk: Path
    refused: str = ""
    refusal: Exception = field(default_factory=lambda: errors.Failed("no space left on device"))
    brought: list[tuple[str, str, str]] = field(default_factory=list)
    woken: list[str] = field(default_factory=list)
    memories: dict[type[object], Any] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    containerd: str = "ready"

    def phase(self, kind: str, id: str) -> str:
        assert (kind, id) == ("units", "node/containerd")
        return self.containerd

    @property
    def instance(self) -> Any:
        return SimpleNamespace(host=lambda _: SimpleNamespace(disk=self.disk))

    def wanted(self) -> Any:
        return kind.Wanted([store.DesiredRecord("units", "node/containerd", 1, "", spec=CONTAINERD)])

    def memory(self, of: type[object]) -> Any:
        return self.memories.setdefault(of, of())

    async def bring(self, host: str, engine: str, digest: str) -> None:
        if digest == self.refused:
            raise self.refusal
        self.brought.append((host, engine, digest))

    def wake(self, _: str, id: str) -> None:
        self.woken.append(id)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        self.tasks.append(asyncio.ensure_future(cast("Any", work)))

    def wait(self, unit: desired.Unit) -> float | None:
        return imports.wait(cast("context.StepContext", self), ID, unit)

    def follow(self, unit: desired.Unit) -> str:
        return imports.follow(cast("context.StepContext", self), ID, unit)

    async def ended(self) -> None:
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    (tmp_path / "lib").mkdir()
    return tmp_path


def test_they_are_brought_once_for_each_disk(disk: Path) -> None:
    async def story() -> None:
        agent = Agent(disk)
        assert agent.wait(kubelet(FIRST, SECOND)) is not None
        assert agent.wait(kubelet(FIRST, SECOND)) is not None, "they are on their way"
        await agent.ended()
        assert agent.brought == [("node", "containerd-2.3", FIRST), ("node", "containerd-2.3", SECOND)]
        assert agent.woken == [ID]
        assert agent.wait(kubelet(FIRST, SECOND)) is None
        # An agent that comes later, and a machine that was started again, find what the disk has.
        later = Agent(disk)
        assert later.wait(kubelet(FIRST)) is None
        (disk / "lib" / "roadstead-images").unlink()
        assert later.wait(kubelet(FIRST)) is not None
        await later.ended()
        assert later.brought == [("node", "containerd-2.3", FIRST)]

    asyncio.run(story())


def test_what_keeps_one_is_told_and_only_the_rest_is_brought_again(disk: Path) -> None:
    async def story() -> None:
        agent = Agent(disk, refused=SECOND)
        agent.wait(kubelet(FIRST, SECOND))
        await agent.ended()
        with pytest.raises(errors.Failed, match="no space left"):
            agent.wait(kubelet(FIRST, SECOND))
        agent.refused = ""
        assert agent.wait(kubelet(FIRST, SECOND)) is not None
        await agent.ended()
        assert agent.wait(kubelet(FIRST, SECOND)) is None
        assert [digest for _, _, digest in agent.brought] == [FIRST, SECOND]

    asyncio.run(story())


@pytest.mark.parametrize("refusal", [TimeoutError(), RuntimeError("nobody foresaw it")])
def test_whatever_keeps_one_it_is_tried_again(disk: Path, refusal: Exception) -> None:
    """What has no words, and what nobody foresaw, would else be on its way for ever, and its kubelet never start."""

    async def story() -> None:
        agent = Agent(disk, refused=FIRST, refusal=refusal)
        agent.wait(kubelet(FIRST))
        await agent.ended()
        assert agent.woken == [ID]
        with pytest.raises(errors.Failed, match=r"could not be imported: ."):
            agent.wait(kubelet(FIRST))
        agent.refused = ""
        assert agent.wait(kubelet(FIRST)) is not None
        await agent.ended()
        assert agent.wait(kubelet(FIRST)) is None

    asyncio.run(story())


def test_one_that_was_deleted_meanwhile_leaves_nothing(disk: Path) -> None:
    async def story() -> None:
        agent = Agent(disk, refused=FIRST)
        agent.wait(kubelet(FIRST))
        imports.forget(cast("context.StepContext", agent), ID)
        await agent.ended()
        assert [memory.units for memory in agent.memories.values()] == [{}]

    asyncio.run(story())


def test_a_link_in_place_of_the_mark_is_not_followed(disk: Path) -> None:
    """The disk is a privileged node's: what its pods lay there must not lead root elsewhere."""
    other = disk / "other"
    other.write_text(FIRST)
    (disk / "lib" / "roadstead-images").symlink_to(other)

    async def story() -> None:
        agent = Agent(disk)
        assert agent.wait(kubelet(FIRST)) is not None
        await agent.ended()
        assert agent.wait(kubelet(FIRST)) is None

    asyncio.run(story())
    assert other.read_text() == FIRST


def test_what_a_unit_that_runs_is_to_have_by_now_is_brought_once_and_keeps_it_from_nothing(disk: Path) -> None:
    async def story() -> None:
        agent = Agent(disk, containerd="running")
        imports.mark(cast("context.StepContext", agent), "node", [FIRST])
        assert agent.follow(kubelet(FIRST)) == ""
        assert agent.follow(kubelet(FIRST, SECOND)) == ""
        assert not agent.tasks, "nobody is there to import it"
        agent.containerd = "ready"
        for _ in range(3):
            assert agent.follow(kubelet(FIRST, SECOND)) == ""
        await agent.ended()
        assert agent.brought == [("node", "containerd-2.3", SECOND)]
        assert agent.woken == [ID]
        assert agent.follow(kubelet(FIRST, SECOND)) == ""
        # What it has was seen: nothing is read for it any more.
        (disk / "lib" / "roadstead-images").unlink()
        assert agent.follow(kubelet(FIRST, SECOND)) == ""
        assert len(agent.tasks) == 1
        # On another disk it has none of them.
        assert agent.wait(kubelet(FIRST, SECOND)) is not None

    asyncio.run(story())


def test_what_keeps_an_image_from_a_unit_that_runs_is_said_until_it_is_there(disk: Path) -> None:
    async def story() -> None:
        agent = Agent(disk, refused=SECOND)
        assert agent.follow(kubelet(SECOND)) == ""
        await agent.ended()
        said = "an image could not be imported: no space left on device"
        assert agent.follow(kubelet(SECOND)) == said
        agent.refused = ""
        assert agent.follow(kubelet(SECOND)) == said, "it is tried again, and not there yet"
        await agent.ended()
        assert agent.follow(kubelet(SECOND)) == ""
        assert agent.brought == [("node", "containerd-2.3", SECOND)]

    asyncio.run(story())
