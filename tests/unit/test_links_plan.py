"""From a topology to steps: nothing where all is as wanted, and just the difference where it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.agent.links import plan, resources, wiring
from roadstead.agent.links import topology as topologies
from roadstead.contract.messages import desired
from roadstead.core import instance as instances

T = TypeVar("T")

PLACES = instances.Instance("t-plan")
VPC = desired.Network(
    cidrs=("10.0.0.0/16", "10.2.0.0/16"), subnets=(desired.Subnet(id="s", cidr="10.0.0.0/24", zone="a"),)
)
CONTROL = desired.Network(
    cidrs=("198.19.0.0/26",),
    subnets=(desired.Subnet(id="s", cidr="198.19.0.0/28", zone="a"),),
    machine_users=(990,),
)
API = desired.Host(
    role="api",
    privilege="unprivileged",
    zone="a",
    hostname="api",
    legs=(
        desired.Leg(network="vpc", address="10.0.0.4", prefixes=("10.0.0.16/28",)),
        desired.Leg(network="control", address="198.19.0.4"),
    ),
)
TOPOLOGY = topologies.Topology({"vpc": VPC, "control": CONTROL}, {"api": API}, {}, {})
UPLINK = wiring.Uplink("vpc", "rsup", "198.18.0.0", "198.18.0.1")

SIDES = {
    "host": wiring.host_side(API, TOPOLOGY.networks),
    "leg": wiring.leg_side(PLACES, "vpc", "api", API.legs),
    "router": wiring.router_side(PLACES, UPLINK, TOPOLOGY),
    "machine": wiring.machine_side(PLACES, replace(UPLINK, network="control"), CONTROL),
}


def made(side: resources.Side) -> resources.View:
    """The view of a namespace that holds what the side wants, and no more."""
    links = {
        link.name: resources.SeenLink(link.name, number, 0, True, link.mac, link.alias)
        for number, link in enumerate(side.links, 1)
    }
    return resources.View(links, side.addresses, side.neighbours, side.routes, side.rules)


def applied(view: resources.View, steps: list[plan.Step]) -> resources.View:
    """What a kernel would hold after the steps, as far as sets go."""
    sets: dict[type, set[resources.Thing]] = {
        resources.Address: set(view.addresses),
        resources.Neighbour: set(view.neighbours),
        resources.LinkRoute: set(view.routes),
        resources.PolicyRule: set(view.rules),
    }
    links = dict(view.links)
    for step in steps:
        match step:
            case plan.PutLink(resources.Link() as link):
                links[link.name] = resources.SeenLink(link.name, 1, 0, True, link.mac, link.alias)
            case plan.Drop(resources.Link() as link):
                links.pop(link.name)
            case plan.PutLink(thing):
                sets[type(thing)].add(thing)
            case plan.Drop(thing):
                sets[type(thing)].discard(thing)
                if isinstance(thing, resources.Address):
                    source = thing.cidr.partition("/")[0]
                    routes = sets[resources.LinkRoute]
                    routes -= {r for r in routes if isinstance(r, resources.LinkRoute) and r.source == source}
    return resources.View(links, *(frozenset(found) for found in sets.values()))  # type: ignore[arg-type]


@pytest.mark.parametrize("side", SIDES.values(), ids=SIDES.keys())
def test_what_is_as_wanted_needs_no_step(side: resources.Side) -> None:
    assert plan.plan(side, made(side)) == []
    assert plan.strays(side, made(side)) == []


@pytest.mark.parametrize("side", SIDES.values(), ids=SIDES.keys())
@given(data=st.data())
def test_one_plan_leads_from_any_part_to_the_whole(side: resources.Side, data: st.DataObject) -> None:
    whole = made(side)

    def some(kind: frozenset[T]) -> frozenset[T]:
        return frozenset(thing for thing in sorted(kind, key=str) if data.draw(st.booleans()))

    links = {name: whole.links[name] for name in sorted(some(frozenset(whole.links)))}
    part = resources.View(links, some(whole.addresses), some(whole.neighbours), some(whole.routes), some(whole.rules))
    steps = plan.plan(side, part)
    assert plan.plan(side, applied(part, steps)) == []
    assert all(isinstance(step, plan.PutLink) for step in steps)


def test_a_host_is_wired_as_the_design_says() -> None:
    side = SIDES["host"]
    assert resources.Address("eth0", "10.0.0.4/32") in side.addresses
    assert resources.Neighbour("eth1", "169.254.1.1", "ee:ee:ee:ee:ee:ee") in side.neighbours
    assert side.routes == {
        resources.LinkRoute("0.0.0.0/0", "eth0", "169.254.1.1", "10.0.0.4"),
        resources.LinkRoute("198.19.0.0/26", "eth1", "169.254.1.1", "198.19.0.4"),
        resources.LinkRoute("0.0.0.0/0", "eth0", "169.254.1.1", "10.0.0.4", 100),
        resources.LinkRoute("0.0.0.0/0", "eth1", "169.254.1.1", "198.19.0.4", 101),
    }
    assert side.rules == {resources.PolicyRule("10.0.0.4/32", 100), resources.PolicyRule("198.19.0.4/32", 101)}


def test_a_host_with_one_leg_needs_no_rules() -> None:
    one = desired.Host(role="node", privilege="privileged", zone="a", hostname="n", legs=API.legs[:1])
    assert wiring.host_side(one, TOPOLOGY.networks).rules == frozenset()


def test_a_router_routes_each_host_and_prefix_and_nothing_else_of_its_networks() -> None:
    name = wiring.leg_name(PLACES, "vpc", "api", 0)
    assert SIDES["leg"].routes == {
        resources.LinkRoute("10.0.0.4/32", name),
        resources.LinkRoute("10.0.0.16/28", name, "10.0.0.4"),
    }
    assert SIDES["router"].routes == {
        resources.LinkRoute("0.0.0.0/0", "up", "198.18.0.0"),
        resources.LinkRoute("10.0.0.0/16"),
        resources.LinkRoute("10.2.0.0/16"),
    }
    assert {address.cidr for address in SIDES["router"].addresses} == {
        "127.0.0.1/8",
        "198.18.0.1/31",
        "10.0.0.1/32",
        "10.0.0.2/32",
        "10.0.0.3/32",
    }


def test_the_machine_has_a_route_only_where_its_users_may_enter() -> None:
    assert {route.to for route in SIDES["machine"].routes} == {"198.19.0.0/26"}
    assert wiring.machine_side(PLACES, UPLINK, VPC).routes == frozenset()


def test_what_others_hold_is_left_alone() -> None:
    for key, foreign in (
        ("machine", resources.LinkRoute("10.9.0.0/16", "docker0", "", "")),
        ("leg", resources.LinkRoute("10.0.0.5/32", "rsother")),
    ):
        view = made(SIDES[key])
        assert plan.plan(SIDES[key], replace(view, routes=view.routes | {foreign})) == []
    view = made(SIDES["host"])
    pods = resources.Address("lo", "169.254.20.10/32")
    assert plan.plan(SIDES["host"], replace(view, addresses=view.addresses | {pods})) == []


def test_what_is_too_much_goes_first() -> None:
    view = made(SIDES["leg"])
    name = wiring.leg_name(PLACES, "vpc", "api", 0)
    old = resources.LinkRoute("10.0.0.32/28", name, "10.0.0.4")
    assert plan.plan(SIDES["leg"], replace(view, routes=view.routes | {old})) == [plan.Drop(old)]


def test_a_changed_address_takes_its_routes_along() -> None:
    side = SIDES["host"]
    moved = wiring.host_side(
        desired.Host(
            role="api",
            privilege="unprivileged",
            zone="a",
            hostname="api",
            legs=(desired.Leg(network="vpc", address="10.0.0.9"), API.legs[1]),
        ),
        TOPOLOGY.networks,
    )
    steps = plan.plan(moved, made(side))
    assert plan.Drop(resources.Address("eth0", "10.0.0.4/32")) in steps
    assert plan.plan(moved, applied(made(side), steps)) == []


@pytest.mark.parametrize("change", [{"up": False}, {"mac": "02:00:00:00:00:09"}, {"alias": "other"}])
def test_a_link_that_is_not_as_wanted_is_set(change: dict[str, object]) -> None:
    view = made(SIDES["leg"])
    name = wiring.leg_name(PLACES, "vpc", "api", 0)
    links = {**view.links, name: replace(view.links[name], **change)}  # type: ignore[arg-type]
    assert plan.plan(SIDES["leg"], replace(view, links=links)) == [plan.PutLink(SIDES["leg"].links[0])]


def test_strays_are_known_by_their_alias_or_name() -> None:
    def seen(name: str, alias: str = "") -> resources.SeenLink:
        return resources.SeenLink(name, 9, 0, True, "", alias)

    router = made(SIDES["router"])
    spared = wiring.leg_name(PLACES, "vpc", "api", 0)
    links = {
        "rsold": seen("rsold", PLACES.alias("vpc", "gone", "0")),
        "rsnear": seen("rsnear", PLACES.alias("vpc2", "gone", "0")),
        spared: seen(spared, PLACES.alias("vpc", "api", "0")),
    }
    stray = plan.strays(SIDES["router"], replace(router, links={**router.links, **links}))
    assert stray == [plan.Drop(resources.Link("rsold"))]
    inside = made(SIDES["host"])
    stray = plan.strays(
        SIDES["host"], replace(inside, links={**inside.links, "eth2": seen("eth2"), "cni0": seen("cni0")})
    )
    assert stray == [plan.Drop(resources.Link("eth2"))]


def test_a_pair_is_whole_only_with_its_own_other_end() -> None:
    pair = resources.Pair(resources.Link("near"), resources.Link("far"))
    near = resources.View({"near": resources.SeenLink("near", 5, 7, True, "", "")})
    far = resources.View({"far": resources.SeenLink("far", 7, 5, True, "", "")})
    other = resources.View({"far": resources.SeenLink("far", 7, 6, True, "", "")})
    assert plan.pair_is_whole(pair, near, far)
    assert not plan.pair_is_whole(pair, near, other)
    assert not plan.pair_is_whole(pair, resources.View(), far)
    assert not plan.pair_is_whole(pair, near, resources.View())


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (plan.PutLink(resources.Link("up")), "link up is missing, down or changed"),
        (plan.PutLink(resources.LinkRoute("10.0.0.0/16")), "route to 10.0.0.0/16 unreachable is missing"),
        (
            plan.Drop(resources.LinkRoute("0.0.0.0/0", "eth1", "169.254.1.1", "", 101)),
            "route to 0.0.0.0/0 via 169.254.1.1 by eth1 in table 101 should not be there",
        ),
        (plan.PutLink(resources.Address("lo", "10.0.0.1/32")), "address 10.0.0.1/32 of lo is missing"),
    ],
)
def test_steps_are_told_in_words(step: plan.Step, said: str) -> None:
    assert plan.say(step) == said
