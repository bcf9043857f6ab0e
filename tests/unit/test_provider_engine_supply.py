"""Which engines a cluster waits for, and which it does without."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from roadstead.core import errors
from roadstead.engine import settings
from roadstead.provider import engine_supply


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


def test_hosts_are_made_by_the_machines_runc_where_ours_is_not_to_be_had(tmp_path: Path) -> None:
    one = Supply(tmp_path, {"runc": engine_supply.Unobtainable("no network, no compiler")})
    assert asyncio.run(one.engines("1.37.2")).runc == ""
    assert asyncio.run(one.engines("1.37.2")).containerd == "containerd-1"
    assert one.asked.count("runc") == 1, "who cannot have it does not wait for it again and again"
    assert asyncio.run(Supply(tmp_path, {}).engines("1.37.2")).runc == "runc-1"


@pytest.mark.parametrize(
    ("spec", "trouble"),
    [("runc", engine_supply.Coming("it is built")), ("etcd", engine_supply.Unobtainable("no network"))],
)
def test_what_is_on_its_way_is_waited_for_and_what_nothing_does_instead_of_is_missed(
    tmp_path: Path, spec: str, trouble: errors.Error
) -> None:
    with pytest.raises(type(trouble)):
        asyncio.run(Supply(tmp_path, {spec: trouble}).engines("1.37.2"))
