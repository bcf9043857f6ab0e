"""A VPC's network knows where the services of its clusters are, and API servers whom to ask for names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from testkit.worlds import place as places
from testkit.worlds.place import CLUSTER, VPC
from tests.unit import control_plane_facts

from roadstead.clusters.components import hosts
from roadstead.contract.messages import desired
from roadstead.network import spec as network
from roadstead.provider import control_planes, networks

PLANE = control_plane_facts.plane("1.37.2")


def lived(story: Callable[[places.Place], Awaitable[None]], *, default: bool = False) -> None:
    async def whole() -> None:
        place = places.Place(default=default)
        await place.prepare()
        await story(place)

    asyncio.run(whole())


def services(place: places.Place) -> tuple[str, ...] | None:
    """Of the VPC's network at the agent; None when there is none."""
    record = place.machine.records.get(("networks", VPC))
    if record is None:
        return None
    assert isinstance(record.spec, desired.Network)
    return record.spec.services


def test_a_vpc_keeps_the_addresses_of_its_clusters_services_for_as_long_as_they_live() -> None:
    async def story(place: places.Place) -> None:
        assert await place.until(lambda: services(place) == ())
        await place.want_cluster()
        assert await place.until(lambda: services(place) == ("10.100.0.0/16",))
        assert await place.until(place.is_active(CLUSTER))
        await place.want_cluster(deleting=True)
        # In one run: the next program would look at every VPC at its start.
        assert await place.until(lambda: CLUSTER not in place.store.desired and services(place) == ())

    lived(story)


def test_a_default_vpc_has_a_network_only_while_a_cluster_is_in_it() -> None:
    async def story(place: places.Place) -> None:
        await place.passes(60)
        assert services(place) is None
        assert place.kept() == place.before
        assert not [id for kind, id in place.machine.records if kind == "listeners"]
        await place.want_cluster()
        assert await place.until(place.is_active(CLUSTER))
        assert services(place) == ("10.100.0.0/16",)
        await place.want_cluster(deleting=True)
        # In one run: the next program would look at every VPC at its start.
        assert await place.until(lambda: CLUSTER not in place.store.desired and services(place) is None)
        assert not [id for kind, id in place.machine.records if kind == "listeners"]
        # And again.
        await place.want_cluster()
        assert await place.until(lambda: services(place) == ("10.100.0.0/16",))

    lived(story, default=True)


def test_api_servers_ask_the_resolver_of_their_subnet_for_names() -> None:
    async def story(place: places.Place) -> None:
        await place.want_cluster()
        assert await place.until(place.is_active(CLUSTER))
        asked = {
            id.partition(".")[2]: record.spec.resolvers
            for (kind, id), record in place.machine.records.items()
            if kind == "hosts" and isinstance(record.spec, desired.Host)
        }
        assert asked == {
            **{f"api-{letter}": (f"10.0.{number}.2",) for number, letter in enumerate("abc")},
            **{f"etcd-{letter}": () for letter in "abc"},
            "edge": (),
        }

    lived(story)


def test_of_two_clusters_in_a_vpc_both_are_kept_and_in_one_order() -> None:
    vpc = network.Vpc(id=VPC, cidr="192.168.0.0/16", created_at=0.0)
    made = networks.drawn(vpc, [], {"172.20.0.0/16", "10.100.0.0/16"}, 1)
    assert made["networks", VPC] == desired.Network(
        cidrs=("192.168.0.0/16",), subnets=(), services=("10.100.0.0/16", "172.20.0.0/16")
    )


@pytest.mark.parametrize("letter", "abc")
def test_an_api_server_in_no_subnet_that_is_known_asks_nobody(letter: str) -> None:
    known = control_planes.with_resolvers(PLANE, ["192.168.0.0/19", "192.168.64.0/19"])
    asked = hosts.host(known, VPC, f"api-{letter}", "z").resolvers
    assert asked == {"a": ("192.168.0.2",), "b": (), "c": ("192.168.64.2",)}[letter]
