"""Roadstead's own column: every case as AWS's model and reference have it, but for what is known to be missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.peer import compare, instance_types, servers

from roadstead.network import sizes

pytestmark = pytest.mark.skipif(not servers.has_moto(), reason="moto is not installed: uv sync --group peer")


def test_cases_have_names_of_their_own() -> None:
    assert len({one.name for one in compare.CASES}) == len(compare.CASES)


def test_roadstead_answers_as_aws(tmp_path: Path) -> None:
    with servers.roadstead(tmp_path) as client:
        found = compare.run(client)
    lacking = {one.name for one in compare.CASES if one.lacking}
    assert {name: one.what for name, one in found.items() if one.kind != "ok" and name not in lacking} == {}
    # One that is built by now is said to be so.
    assert {name for name in lacking if found[name].kind == "ok"} == set()


def test_instance_types_are_those_that_moto_carries() -> None:
    found = {one["InstanceType"]: one for one in sizes.described(lambda _: True)}
    assert found.items() >= instance_types.of_moto().items()


def test_moto_can_be_asked_the_same(tmp_path: Path) -> None:
    with servers.moto_clients(tmp_path) as client:
        found = compare.run(client)
    assert found["a VPC"] == found["a role"] == compare.OK
