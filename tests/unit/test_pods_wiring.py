"""How pods are wired to their node, and that node and pods do not take each other's routes for strays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from roadstead.agent.links import plan, resources, wiring
from roadstead.agent.rules import text
from roadstead.contract.messages import desired
from roadstead.core import instance as instances

GOLDEN = Path(__file__).parent / "golden"
PLACES = instances.Instance("t-pods")
POD = wiring.Pod(
    "10.0.0.17", "eth0", wiring.pod_link(PLACES, "n0", "c0ffee", "eth0"), PLACES.alias("pod", "c0ffee", "eth0")
)
NETWORK = desired.Network(cidrs=("10.0.0.0/16",), subnets=(desired.Subnet(id="s", cidr="10.0.0.0/24", zone="a"),))
NODE = desired.Host(
    role="node",
    privilege="privileged",
    zone="a",
    hostname="n0",
    legs=(desired.Leg(network="vpc", address="10.0.0.4", prefixes=("10.0.0.16/28",)),),
)
HOST_SIDE = wiring.host_side(NODE, {"vpc": NETWORK})
NODE_SIDE = wiring.node_side(POD, "10.0.0.4")


def made(*sides: resources.Side) -> resources.View:
    links = [link for side in sides for link in side.links]
    return resources.View(
        {link.name: resources.SeenLink(link.name, n, 0, True, link.mac, link.alias) for n, link in enumerate(links, 1)},
        frozenset().union(*(side.addresses for side in sides)),
        frozenset().union(*(side.neighbours for side in sides)),
        frozenset().union(*(side.routes for side in sides)),
    )


def test_a_pod_is_wired_as_a_host_with_one_leg() -> None:
    host = msgspec.structs.replace(
        NODE, role="api", privilege="unprivileged", legs=(desired.Leg(network="vpc", address=POD.address),)
    )
    as_host = wiring.host_side(host, {"vpc": NETWORK})
    as_pod = wiring.pod_side(POD)
    assert (as_pod.links, as_pod.addresses) == (as_host.links, as_host.addresses)
    assert (as_pod.neighbours, as_pod.routes) == (as_host.neighbours, as_host.routes)
    leg = wiring.leg_side(PLACES, "vpc", "pod", host.legs)
    name = wiring.leg_name(PLACES, "vpc", "pod", 0)
    assert {replace(each, device=name) for each in NODE_SIDE.neighbours} == leg.neighbours
    assert {replace(each, device=name, source="") for each in NODE_SIDE.routes} == leg.routes
    assert wiring.pod_pair(POD).far == as_host.links[1]


def test_the_nodes_end_is_named_by_instance_node_container_and_device() -> None:
    names = {
        wiring.pod_link(instances.Instance(instance), node, container, device)
        for instance in ("a", "b")
        for node in ("n0", "n1")
        for container in ("c0", "c1")
        for device in ("eth0", "eth1")
    }
    assert len(names) == 16
    assert all(len(name) == 14 and name.startswith(wiring.POD_LINKS) for name in names)


def test_node_and_pods_leave_each_others_routes_alone() -> None:
    together = made(HOST_SIDE, NODE_SIDE)
    assert plan.plan(HOST_SIDE, together) == []
    assert plan.plan(NODE_SIDE, together) == []
    assert plan.strays(HOST_SIDE, together) == []
    stray = resources.LinkRoute("10.9.0.0/16", "eth0", "169.254.1.1")
    assert plan.plan(HOST_SIDE, replace(together, routes=together.routes | {stray})) == [plan.Drop(stray)]
    lost = replace(together, routes=HOST_SIDE.routes)
    assert plan.plan(NODE_SIDE, lost) == [
        plan.PutLink(resources.LinkRoute("10.0.0.17/32", POD.link, source="10.0.0.4"))
    ]


def test_an_address_that_no_pod_has_is_unreachable_in_its_node() -> None:
    refused = resources.LinkRoute("10.0.0.16/28")
    assert refused in HOST_SIDE.routes
    assert (
        refused
        not in wiring.host_side(
            msgspec.structs.replace(NODE, role="api", privilege="unprivileged"), {"vpc": NETWORK}
        ).routes
    )


PORTS = (
    text.NodePort("tcp", 8080, "10.0.0.17", 80, "rp000000000001"),
    text.NodePort("udp", 53, "10.0.0.17", 5353, "rp000000000001", "10.0.0.4"),
)


@pytest.mark.parametrize(("name", "ports"), [("node.nft", PORTS), ("node-empty.nft", ())])
def test_a_nodes_table_is_this_text(name: str, ports: tuple[text.NodePort, ...]) -> None:
    assert text.node("roadstead-main", wiring.POD_LINKS, ports).text() == (GOLDEN / name).read_text()


def test_of_like_ports_the_first_counts_also_where_one_is_on_all_addresses() -> None:
    everywhere, of_one = (
        replace(PORTS[0], address=address, target=f"10.0.0.{n}") for n, address in ((1, ""), (2, "10.0.0.4"))
    )
    for ports, all_, one in (
        ((everywhere, of_one), {"6 . 8080": "10.0.0.1 . 80"}, {}),
        ((of_one, everywhere), {"6 . 8080": "10.0.0.1 . 80"}, {"10.0.0.4 . 6 . 8080": "10.0.0.2 . 80"}),
        ((everywhere, replace(everywhere, target="10.0.0.3")), {"6 . 8080": "10.0.0.1 . 80"}, {}),
    ):
        sets = text.node("t", wiring.POD_LINKS, ports).sets
        assert (sets["ports"].elements, sets["ports-of-one"].elements) == (all_, one)


@pytest.mark.parametrize("field", ["protocol", "target", "link", "address"])
def test_what_could_be_more_than_a_word_is_refused(field: str) -> None:
    port = replace(PORTS[1], **{field: 'x" drop'})  # type: ignore[arg-type]  # each of them is a string
    with pytest.raises(ValueError, match="does not belong in a rule"):
        text.node("roadstead-main", wiring.POD_LINKS, (port,))
