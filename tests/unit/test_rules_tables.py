"""What changes between two tables by elements, and what a listing says: recorded, of nft 1.0.6."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import test_pods_wiring, test_rules_text

from roadstead.agent.links import wiring
from roadstead.agent.rules import nft, tables, text
from roadstead.core import errors

GOLDEN = Path(__file__).parent / "golden"
NAME = "roadstead-main"
PORTS = (
    *test_pods_wiring.PORTS,
    *(text.NodePort("tcp", 8100 + n, f"10.0.0.{20 + n}", 80, f"rp{n:012d}") for n in range(5)),
)
NODE = text.node(NAME, wiring.POD_LINKS, PORTS)
ROUTER = text.router(NAME, test_rules_text.ROUTER)


def test_one_pod_more_is_its_own_elements() -> None:
    more = text.NodePort("sctp", 9, "10.0.0.99", 90, "rp000000000099", "10.0.0.4")
    after = text.node(NAME, wiring.POD_LINKS, (*PORTS, more))
    come = (
        "add element inet roadstead-main ports-of-one { 10.0.0.4 . 132 . 9 : 10.0.0.99 . 90 }\n"
        'add element inet roadstead-main selves { "rp000000000099" . 10.0.0.99 }\n'
        'add element inet roadstead-main served { "rp000000000099" }\n'
    )
    assert tables.change(NODE, after) == come
    gone = come.replace("add element", "delete element").replace(" : 10.0.0.99 . 90", "")
    assert tables.change(after, NODE) == gone


def test_a_port_that_leads_elsewhere_is_taken_and_given_in_one_transaction() -> None:
    facts = test_rules_text.ROUTER
    after = text.router(NAME, replace(facts, ports=(replace(facts.ports[0], target="10.0.0.5"),), black=frozenset()))
    assert tables.change(ROUTER, after) == (
        'delete element inet roadstead-main black { "rs000000000003", "rs000000000009" }\n'
        "delete element inet roadstead-main ports { 20000 }\n"
        "add element inet roadstead-main ports { 20000 : 10.0.0.5 . 6443 }\n"
    )


def test_what_is_the_same_is_no_change_and_other_rules_are_another_table() -> None:
    assert tables.change(ROUTER, text.router(NAME, test_rules_text.ROUTER)) == ""
    assert tables.change(ROUTER, text.router(NAME, replace(test_rules_text.ROUTER, egress=False))) is None
    assert tables.change(ROUTER, replace(ROUTER, name="other")) is None
    wider = {**ROUTER.sets, "black": replace(ROUTER.sets["black"], type="ipv4_addr")}
    assert tables.change(ROUTER, replace(ROUTER, sets=wider)) is None


def done(text_: str, before: tables.Table) -> dict[str, dict[str, str]]:
    """What the kernel makes of a transaction: it takes no element twice, and none that is not there."""
    sets = {name: dict(one.elements) for name, one in before.sets.items()}
    for line in text_.splitlines():
        said = re.fullmatch(r"(add|delete) element inet t (\S+) \{ (.*) \}", line)
        assert said is not None
        for element in said[3].split(", "):
            key, _, value = element.partition(" : ")
            if said[1] == "delete":
                del sets[said[2]][key]
            else:
                assert key not in sets[said[2]]
                sets[said[2]][key] = value
    return sets


_ELEMENTS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["", "x", "y"]), max_size=6)


@given(_ELEMENTS, _ELEMENTS, _ELEMENTS, _ELEMENTS)
def test_the_elements_are_as_they_are_wanted_afterwards(
    one: dict[str, str], two: dict[str, str], three: dict[str, str], four: dict[str, str]
) -> None:
    def table(first: Mapping[str, str], second: Mapping[str, str]) -> tables.Table:
        return tables.Table("t", "", {"first": tables.NamedSet("a : b", first), "second": tables.NamedSet("a", second)})

    before, after = table(one, two), table(three, four)
    said = tables.change(before, after)
    assert said is not None
    assert done(said, before) == {"first": three, "second": four}
    assert (said == "") == (before == after)


@pytest.mark.parametrize(("name", "table"), [("node-listed.nft", NODE), ("router-listed.nft", ROUTER)])
def test_what_nft_lists_is_what_was_put(name: str, table: tables.Table) -> None:
    listed = (GOLDEN / name).read_text()
    seen = tables.listing(listed, table)
    assert seen == tables.wanted(table, seen.rest)
    assert set(seen.elements) == set(table.sets)
    assert "elements =" not in seen.rest
    # Whatever somebody else does to it is seen.
    for word, other in ((" 6443", " 6444"), ("20000", "20001"), ("8102", "8112"), ("policy accept", "policy drop")):
        if word in listed:
            changed = tables.listing(listed.replace(word, other, 1), table)
            assert changed != tables.wanted(table, seen.rest), word
    foreign = listed.replace(
        "\tchain arrive", "\tset theirs {\n\t\ttype mark\n\t\telements = { 1 }\n\t}\n\n\tchain arrive"
    )
    assert tables.listing(foreign, table).rest != seen.rest


def test_a_listing_without_elements_is_of_the_same_rest() -> None:
    empty = text.node(NAME, wiring.POD_LINKS, ())
    listed = re.sub(r"\t\telements = \{ .*? \}\n", "", (GOLDEN / "node-listed.nft").read_text(), flags=re.DOTALL)
    assert tables.listing(listed, empty) == tables.wanted(
        empty, tables.listing((GOLDEN / "node-listed.nft").read_text(), NODE).rest
    )


def test_the_kernels_count_is_read_as_it_says_it() -> None:
    answer = bytes.fromhex(
        "300000000f0a0000000000003b7df2ac000000030800010000000003080002000000334f0b000300707974686f6e0000"
    )
    assert nft.generation(answer) == 3
    for other in (b"", answer[:20], answer[:4] + b"\2\0" + answer[6:]):
        with pytest.raises(errors.Failed, match="does not tell of its rules"):
            nft.generation(other)
