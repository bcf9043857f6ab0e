"""The nodes' images: nobody waits for their engines, and one that cannot be had is told of."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from pathlib import Path

import pytest
from testkit.worlds import machine

from roadstead.core import clock
from roadstead.engine import settings
from roadstead.provider import engine_supply, mirror
from roadstead.serve.images import system_images


async def asked_until_known(shown: system_images.SystemImages) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(engine_supply.Coming):
                await shown.names()
            await asyncio.sleep(0.01)


def test_an_engine_that_is_not_here_is_waited_for_by_nobody_until_it_is_known_that_it_cannot_be_had(
    tmp_path: Path,
) -> None:
    # Nothing to build from, and nobody to ask.
    nothing = dataclasses.replace(
        settings.from_environment({"ROADSTEAD_CACHE": str(tmp_path)}),
        modules=None,
        downloads=dict.fromkeys(("coredns", "pause", "volumes"), "http://127.0.0.1:1"),
    )

    async def story() -> None:
        agent = machine.Machine()
        shelved = engine_supply.EngineSupply(agent, mirror.AgentMirror(agent, clock.FakeClock()), nothing)
        shown = system_images.SystemImages(shelved, nothing, tmp_path / "images")
        for _ in range(2):
            with pytest.raises(engine_supply.Coming, match="the engine pause is being fetched or built"):
                await shown.names()
        running = asyncio.create_task(shelved.run())
        try:
            with pytest.raises(engine_supply.Unobtainable, match="is not to be had"):
                await asked_until_known(shown)
        finally:
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(story())
