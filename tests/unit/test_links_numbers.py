"""Numbers that must not collide on a machine, and their file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.links import numbers
from roadstead.core import errors


@given(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), unique=True, max_size=30))
def test_every_network_has_a_31_of_its_own_and_keeps_it(names: list[str]) -> None:
    held = numbers.NumberAllocations()
    for name in names:
        held = numbers.with_network(held, "main", name, ())
        assert numbers.with_network(held, "main", name, ("198.18.0.0/16",)) == held
    ends = [
        address
        for number in held.networks.values()
        for address in (numbers.machine_address(number), numbers.router_address(number))
    ]
    assert len(set(ends)) == 2 * len(names)
    assert all(address.startswith("198.18.") for address in ends)


def test_what_the_machine_uses_already_is_stepped_over() -> None:
    first = numbers.with_network(numbers.NumberAllocations(), "main", "n", ()).networks["n"]
    taken = [f"{numbers.machine_address(first)}/31", f"{numbers.router_address(first + 1)}/32", "10.0.0.0/8"]
    assert numbers.with_network(numbers.NumberAllocations(), "main", "n", taken).networks["n"] == first + 2
    # A route for the whole range, or the default, forbids nothing.
    assert numbers.with_network(numbers.NumberAllocations(), "main", "n", ["198.18.0.0/15"]).networks["n"] == first


def test_instances_begin_at_different_places() -> None:
    begins = {
        numbers.with_network(numbers.NumberAllocations(), instance, "n", ()).networks["n"]
        for instance in ("main", "test", "t-1", "t-2")
    }
    assert len(begins) == 4


def test_no_place_left_is_told() -> None:
    every = [f"198.18.{block}.0/24" for block in range(256)]
    with pytest.raises(errors.LimitExceeded, match=r"network n: no /31 of 198.18.0.0/16 is free"):
        numbers.with_network(numbers.NumberAllocations(), "main", "n", every)


def test_ports_stay_with_their_publish_and_are_freed() -> None:
    held = numbers.with_publishes(numbers.NumberAllocations(), ["a", "b", "c"])
    assert len(set(held.ports.values())) == 3
    fewer = numbers.with_publishes(held, ["c", "a"])
    assert fewer.ports == {"a": held.ports["a"], "c": held.ports["c"]}
    again = numbers.with_publishes(fewer, ["a", "c", "d"])
    assert again.ports["d"] == held.ports["b"]


def test_the_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "state" / "allotments.json"
    assert numbers.load(path) == numbers.NumberAllocations()
    held = numbers.NumberAllocations({"n": 7}, {"p": 20000})
    numbers.save(path, held)
    assert numbers.load(path) == held
    assert [each.name for each in path.parent.iterdir()] == ["allotments.json"]
    assert numbers.without_network(held, "n") == msgspec.structs.replace(held, networks={})
    path.write_text('{"networks": {"n": "seven"}}')
    with pytest.raises(errors.Failed, match="cannot be read"):
        numbers.load(path)
