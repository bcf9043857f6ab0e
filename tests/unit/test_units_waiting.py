"""Who waits for a unit is told when its host has ended. No supervisor runs here: nothing else could end the wait."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from roadstead.agent.units import units
from roadstead.core import errors, instance


def open_socket(netns: Path | None, family: int, kind: int) -> socket.socket:
    raise AssertionError((netns, family, kind))


async def run(host_id: str, uid: int, argv: list[str], timeout: float) -> tuple[int, str]:
    raise AssertionError((host_id, uid, argv, timeout))


@pytest.fixture
def places(tmp_path: Path) -> instance.Instance:
    """With a unit that is installed on a host."""
    made = instance.Instance("i", tmp_path / "state", tmp_path / "run", tmp_path / "log")
    (made.host("h1").service / "u1" / "supervise").mkdir(parents=True)
    return made


def play(places: instance.Instance, story: Callable[[units.Units], Awaitable[None]]) -> None:
    async def within() -> None:
        room = units.Units(places, open_socket, run)
        try:
            await story(room)
        finally:
            room.close()

    asyncio.run(within())


def test_a_start_ends_with_its_host_and_with_no_other(places: instance.Instance) -> None:
    async def story(room: units.Units) -> None:
        starts = asyncio.create_task(room.start("h1", "u1"))
        await asyncio.sleep(0.01)
        room.host_ended("h2")
        await asyncio.sleep(0.01)
        assert not starts.done()
        room.host_ended("h1")
        with pytest.raises(errors.Failed, match="unit h1/u1: its host has ended"):
            await starts
        room.host_ended("h1")

    play(places, story)


def test_a_start_after_the_end_of_an_earlier_host_waits_anew(places: instance.Instance) -> None:
    async def story(room: units.Units) -> None:
        room.host_ended("h1")
        starts = asyncio.create_task(room.start("h1", "u1"))
        await asyncio.sleep(0.01)
        assert not starts.done()
        starts.cancel()
        await asyncio.wait({starts})

    play(places, story)
