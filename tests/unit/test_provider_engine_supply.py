"""Which engines a cluster waits for, and which it does without."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from testkit.worlds import machine

from roadstead import engine
from roadstead.core import clock as clocks
from roadstead.core import errors
from roadstead.engine import settings
from roadstead.provider import engine_supply, mirror


class Supply(engine_supply.EngineSupply):
    """What is asked of it is there at once, or in trouble."""

    def __init__(self, folder: Path, troubles: dict[str, errors.Error]) -> None:
        none: Any = None
        super().__init__(none, none, settings.from_environment({"ROADSTEAD_CACHE": str(folder)}))
        self.troubles = troubles
        self.asked: list[str] = []

    async def id(self, spec: str) -> str:
        self.asked.append(spec)
        if spec in self.troubles:
            raise self.troubles[spec]
        return f"{spec}-1"


def test_hosts_are_made_by_the_machines_runc_while_ours_is_not_to_be_had(tmp_path: Path) -> None:
    one = Supply(tmp_path, {"runc": engine_supply.Unobtainable("no network, no compiler")})
    assert asyncio.run(one.engines("1.37.2")).runc == ""
    assert asyncio.run(one.engines("1.37.2")).containerd == "containerd-1"
    one.troubles["runc"] = engine_supply.Coming("it is tried again")
    assert asyncio.run(one.engines("1.37.2")).runc == "", "who did without it does not wait for it"
    del one.troubles["runc"]
    assert asyncio.run(one.engines("1.37.2")).runc == "runc-1"
    one.troubles["runc"] = engine_supply.Coming("it is built")
    with pytest.raises(engine_supply.Coming):
        asyncio.run(one.engines("1.37.2"))


def test_what_could_not_be_had_is_tried_again_after_a_while(tmp_path: Path) -> None:
    """Whoever asks meanwhile is told why."""
    passing, tries = clocks.FakeClock(), 0
    agent = machine.Machine()

    class Tried(engine_supply.EngineSupply):
        async def _had(self, spec: str) -> engine.Installed:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise errors.Failed("no network")
            return engine.Installed(spec, "1.5.3", "amd64", {}, cast("Any", None))

    async def story() -> None:
        known_of = mirror.AgentMirror(agent, passing)
        given = settings.from_environment({"ROADSTEAD_CACHE": str(tmp_path)})
        supply = Tried(agent, known_of, given, clock=passing)

        async def known() -> str:
            while True:
                try:
                    await supply.here("runc")
                except engine_supply.Coming:
                    await asyncio.sleep(0.001)
                except engine_supply.Unobtainable as error:
                    return error.message
                else:
                    return "here"

        getting = asyncio.create_task(supply.run())
        async with asyncio.timeout(20):
            assert "the engine runc is not to be had: no network" in await known()
            await passing.advance(59.0)
            assert "no network" in await known()
            assert tries == 1
            await passing.advance(2.0)
            assert await known() == "here"
        getting.cancel()
        await asyncio.wait([getting])

    asyncio.run(story())


@pytest.mark.parametrize(
    ("spec", "trouble"),
    [("runc", engine_supply.Coming("it is built")), ("etcd", engine_supply.Unobtainable("no network"))],
)
def test_what_is_on_its_way_is_waited_for_and_what_nothing_does_instead_of_is_missed(
    tmp_path: Path, spec: str, trouble: errors.Error
) -> None:
    with pytest.raises(type(trouble)):
        asyncio.run(Supply(tmp_path, {spec: trouble}).engines("1.37.2"))
