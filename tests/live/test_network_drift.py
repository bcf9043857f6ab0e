"""Links, routes and rules that someone changes are noticed and mended; what is as it was is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
from tests.live import network_lab as net

from roadstead.agent.fabric import fabric
from roadstead.agent.links import kernel, plan, resources

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[net.Lab]:
    with net.running(tmp_path_factory.mktemp("net")) as made:
        yield made


def _tamper_link(lab: net.Lab) -> None:
    name = lab.places.interface("vpc", "b", "0")
    net.run(*net.inside(lab.places.router_netns("vpc"), "ip", "link", "delete", name))


def _tamper_far_end(lab: net.Lab) -> None:
    net.run(*net.inside(lab.netns("b"), "ip", "link", "delete", "eth0"))


def _tamper_down(lab: net.Lab) -> None:
    name = lab.places.interface("vpc", "b", "0")
    net.run(*net.inside(lab.places.router_netns("vpc"), "ip", "link", "set", name, "down"))


def _tamper_route(lab: net.Lab) -> None:
    net.run(*net.inside(lab.places.router_netns("vpc"), "ip", "route", "delete", f"{net.B}/32"))


def _tamper_neighbour(lab: net.Lab) -> None:
    name = lab.places.interface("vpc", "b", "0")
    net.run(*net.inside(lab.places.router_netns("vpc"), "ip", "neigh", "delete", net.B, "dev", name))


def _tamper_table(lab: net.Lab) -> None:
    net.run(*net.inside(lab.places.router_netns("vpc"), "nft", "flush", "table", "inet", lab.places.nft_table))


def _tamper_machine_table(lab: net.Lab) -> None:
    net.run(*net.inside(lab.machine, "nft", "delete", "table", "inet", lab.places.nft_table))


def _tamper_uplink(lab: net.Lab) -> None:
    net.run(*net.inside(lab.machine, "ip", "link", "delete", lab.places.interface("vpc", "uplink")))


def _tamper_machine_route(lab: net.Lab) -> None:
    net.run(*net.inside(lab.machine, "ip", "route", "delete", "198.19.250.0/26"))


@pytest.mark.parametrize(
    ("tamper", "key"),
    [
        (_tamper_link, ("hosts", "b")),
        (_tamper_far_end, ("hosts", "b")),
        (_tamper_down, ("hosts", "b")),
        (_tamper_route, ("hosts", "b")),
        (_tamper_neighbour, ("hosts", "b")),
        (_tamper_table, ("networks", "vpc")),
        (_tamper_machine_table, ("networks", "vpc")),
        (_tamper_uplink, ("networks", "vpc")),
        (_tamper_machine_route, ("networks", "closed")),
    ],
)
def test_drift_is_noticed_told_and_mended(
    lab: net.Lab, tamper: Callable[[net.Lab], None], key: tuple[str, str]
) -> None:
    assert lab.drift() == {}
    changed = lab.fabric.changed()
    lab.do(asyncio.sleep(0))
    changed.clear()
    tamper(lab)
    lab.do(changed.wait())
    assert key in lab.drift(deep=False)
    if key[0] == "networks":
        lab.do(lab.fabric.make_network(key[1], lab.wanted))
    else:
        lab.do(lab.fabric.make_host(key[1], lab.wanted))
    assert lab.drift() == {}
    assert lab.seen_by(lab.netns("a"), net.B, 80) == net.A
    assert lab.seen_by(lab.netns("b"), net.WORLD, 80) == net.MACHINE
    assert lab.seen_by(lab.machine, net.SECOND, 80, net.USER) != ""


def test_drift_inside_a_host_is_told_when_asked(lab: net.Lab) -> None:
    net.run(*net.inside(lab.netns("b"), "ip", "route", "delete", "default"))
    assert lab.drift(deep=False) == {}
    assert "0.0.0.0/0" in lab.drift()["hosts", "b"]
    lab.do(lab.fabric.make_host("b", lab.wanted))
    assert lab.drift() == {}


def test_making_twice_changes_nothing(lab: net.Lab) -> None:
    before = net.picture(lab)
    lab.do(asyncio.sleep(0))
    lab.fabric.changed().clear()
    lab.make_all()
    lab.do(lab.fabric.apply_zones(lab.wanted))
    assert net.picture(lab) == before
    lab.do(asyncio.sleep(0))
    assert not lab.fabric.changed().is_set()


def test_another_fabric_adopts_what_is_there(lab: net.Lab) -> None:
    async def adopt() -> dict[tuple[str, str], str]:
        async with fabric.Fabric(lab.places) as other:
            for network in lab.wanted.networks:
                await other.make_network(network, lab.wanted)
            for name in lab.wanted.hosts:
                await other.make_host(name, lab.wanted)
            return await other.drift(lab.wanted, deep=True)

    before = [line for line in net.picture(lab) if "table inet" not in line]
    assert lab.do(adopt()) == {}
    assert [line for line in net.picture(lab) if "table inet" not in line] == before
    lab.make_all()
    assert lab.drift() == {}


def test_a_stray_link_is_removed(lab: net.Lab) -> None:
    router = lab.places.router_netns("vpc")
    net.run(*net.inside(router, "ip", "link", "add", "stray", "type", "veth", "peer", "name", "stray0"))
    net.run(*net.inside(router, "ip", "link", "set", "stray", "alias", lab.places.alias("vpc", "nobody", "0")))
    assert "stray" in lab.drift()["networks", "vpc"]
    lab.do(lab.fabric.make_network("vpc", lab.wanted))
    assert lab.drift() == {}
    with kernel.Kernel(router) as space:
        assert space.link("stray") is None
        assert plan.Drop(resources.Link("stray")) not in plan.strays(resources.Side(), space.see())
