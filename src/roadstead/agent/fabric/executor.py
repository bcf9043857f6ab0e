"""What the fabric's thread does: sees and makes what the topology asks for. It blocks; that thread alone calls it."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

from roadstead.agent.fabric import facts as fabric_facts
from roadstead.agent.fabric import space as fabric_space
from roadstead.agent.links import forwarding, kernel, namespaces, numbers, plan, resources, wiring
from roadstead.agent.links import topology as topologies
from roadstead.agent.rules import tables, text
from roadstead.core import errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roadstead.agent.idmaps import ranges
    from roadstead.core import instance as instances

Key = tuple[str, str]
"""Kind and id: ("networks", "vpc-1")."""

MACHINE: Key = ("machine", "")
"""Whose rules differ when there is no network whose making would mend them."""
_NOTHING = topologies.Topology(networks={}, hosts={}, zones={}, publishes={})
_ROUTER = "net-"
_HOST = "host-"
_USERS = "users-"
_SHOWN = 3
"""Differences of one object that a sentence names."""


class FabricExecutor:
    """Open spaces: the machine's namespace and each router that was touched."""

    def __init__(self, instance: instances.Instance) -> None:
        self._instance = instance
        self._table = instance.nft_table
        self._record = instance.state / "allotments.json"
        self._held = numbers.NumberAllocations()
        self._routers: dict[str, fabric_space.Space] = {}
        self._last: topologies.Topology | None = None
        """What the machine's rules were made from."""

    def open(self) -> None:
        """Raises NotFound when the machine's namespace is not there, Failed for damaged records."""
        self._held = numbers.load(self._record)
        self._machine = fabric_space.Space(self._instance.machine_netns or namespaces.OWN, self._table)
        record = forwarding.record(self._instance)
        if self._instance.machine_netns is not None:
            forwarding.remember(record, int(self._machine.read_setting(forwarding.SETTING)))
        if not self._machine.has_rules():
            # Before the machine forwards. Those of an earlier agent stay until it is known what is wanted.
            self._machine.put_rules(self._machine_rules(_NOTHING))
        if self._instance.machine_netns is not None or forwarding.was_off(record):
            # A container may not; `problems` tells.
            with contextlib.suppress(OSError):
                self._machine.write_settings({forwarding.SETTING: 1})

    def close(self) -> None:
        for space in (self._machine, *self._routers.values()):
            space.close()
        self._routers.clear()

    def make_network(self, id: str, topology: topologies.Topology) -> None:
        """A namespace, its router and its way to the machine. What is there already is compared and mended."""
        path = self._instance.router_netns(id)
        fresh = not namespaces.exists(path)
        namespaces.create(path)
        space = self._router(id)
        uplink = self._allot(id)
        # Rules name links that need not exist: they are there before the first packet can be.
        self.apply_rules(topology)
        space.write_settings(wiring.ROUTER_SETTINGS)
        near = resources.View() if fresh else space.kernel.see()
        far = self._machine.kernel.see()
        pair = wiring.uplink_pair(self._instance, uplink)
        side = wiring.router_side(self._instance, uplink, topology)
        near, far = _join(pair, (space.kernel, near), (self._machine.kernel, far))
        _make(space.kernel, side, near)
        self._machine.write_settings(wiring.machine_settings(uplink))
        _make(self._machine.kernel, wiring.machine_side(self._instance, uplink, topology.networks[id]), far)

    def make_host(self, id: str, topology: topologies.Topology, ids: ranges.Range | None) -> None:
        """The namespace of a host and its legs. Raises Busy when a network of theirs is not made yet.

        `ids`: the user namespace that owns it has these; None: the machine's own.
        """
        host = topology.hosts[id]
        for network in dict.fromkeys(leg.network for leg in host.legs):
            if network not in self._held.networks or not namespaces.exists(self._instance.router_netns(network)):
                raise errors.Busy(f"host {id}: its network {network} is not made yet", host=id, network=network)
            self._put_router_rules(network, topology)
        path, users = self._instance.host(id).netns, self._instance.host(id).users
        fresh = not namespaces.exists(path)
        if ids is None:
            namespaces.create(path)
        else:
            namespaces.create_owned(path, users, ids)
        with kernel.Kernel(path) as inside:
            with namespaces.opened(path) as namespace, namespaces.entered(namespace):
                namespaces.write_settings(wiring.host_settings(host))
            side = wiring.host_side(host, topology.networks)
            far = _rid(inside, side, resources.View() if fresh else inside.see())
            for network, pairs in _by_network(wiring.leg_pairs(self._instance, id, host)).items():
                router = self._router(network).kernel
                # Asked by name: a new host costs the same however many its network has.
                there = any(router.link(pair.near.name) for pair in pairs)
                near = router.see() if there or not fresh else resources.View()
                for pair in pairs:
                    near, far = _join(pair, (router, near), (inside, far))
                _make(router, wiring.leg_side(self._instance, network, id, host.legs), near)
            _make(inside, side, far)

    def apply_rules(self, topology: topologies.Topology) -> None:
        """Rules of the machine and of every router that exists, where they differ."""
        publishes = [
            name for name, publish in sorted(topology.publishes.items()) if publish.network in topology.networks
        ]
        self._hold(numbers.with_publishes(self._held, publishes))
        for id in topology.networks:
            if id in self._held.networks and namespaces.exists(self._instance.router_netns(id)):
                self._put_router_rules(id, topology)
        self._machine.put_rules(self._machine_rules(topology))
        self._last = topology

    def remove_host(self, id: str) -> None:
        """Also one that is half made, or not at all."""
        for network in self._made(_ROUTER):
            router = self._router(network).kernel
            names = [wiring.leg_name(self._instance, network, id, number) for number in range(topologies.MOST_LEGS)]
            router.make([plan.Drop(resources.Link(name)) for name in names if router.link(name) is not None])
        places = self._instance.host(id)
        for each in (places.netns, places.users):
            namespaces.delete(each)

    def remove_network(self, id: str) -> None:
        """Also one that is half made, or not at all."""
        device = wiring.uplink_device(self._instance, id)
        if self._machine.kernel.link(device) is not None:
            self._machine.kernel.make([plan.Drop(resources.Link(device))])
        space = self._routers.pop(id, None)
        if space is not None:
            space.close()
        namespaces.delete(self._instance.router_netns(id))
        self._hold(numbers.without_network(self._held, id))
        # Without networks, too: the machine forwards still.
        if self._last is not None:
            networks = {name: network for name, network in self._last.networks.items() if name != id}
            self._last = dataclasses.replace(self._last, networks=networks)
            self._machine.put_rules(self._machine_rules(self._last))

    def drift(self, topology: topologies.Topology, deep: bool) -> dict[Key, str]:
        """By object what differs from what is wanted, in a sentence. `deep`: in hosts' own namespaces, too."""
        machine = self._machine.kernel.see()
        rules = self._machine.rules_differ(self._machine_rules(topology))
        found: dict[Key, list[str]] = {} if topology.networks or not rules else {MACHINE: [rules]}
        views: dict[str, resources.View] = {}
        for id in topology.networks:
            differences = found.setdefault(("networks", id), [f"the machine: {rules}"] if rules else [])
            if id not in self._held.networks or not namespaces.exists(self._instance.router_netns(id)):
                differences.append("its namespace is missing")
                continue
            views[id] = self._router(id).kernel.see()
            differences += self._network_drift(id, topology, views[id], machine)
        for id in topology.hosts:
            found[("hosts", id)] = self._host_drift(id, topology, views, deep)
        return {key: _sentence(differences) for key, differences in found.items() if differences}

    def problems(self, topology: topologies.Topology) -> list[str]:
        """What of the machine itself hinders what is wanted, in sentences with what to do about it."""
        wants = sorted(id for id, network in topology.networks.items() if network.egress)
        wants += sorted(f"publish {id}" for id, each in topology.publishes.items() if each.address[:4] != "127.")
        if not wants or self._machine.read_setting(forwarding.SETTING) == "1":
            return []
        return [
            f"the machine does not forward IPv4 (net.ipv4.ip_forward is 0), so {', '.join(wants)} cannot reach the "
            "world or be reached from it: sysctl -w net.ipv4.ip_forward=1, or roadstead doctor --fix"
        ]

    def _network_drift(
        self, id: str, topology: topologies.Topology, near: resources.View, far: resources.View
    ) -> Iterator[str]:
        space = self._router(id)
        uplink = fabric_facts.uplink(self._instance, id, self._held)
        if not plan.pair_is_whole(wiring.uplink_pair(self._instance, uplink), near, far):
            yield "its uplink is missing"
        else:
            yield from _differences(wiring.router_side(self._instance, uplink, topology), near)
            yield from _differences(wiring.machine_side(self._instance, uplink, topology.networks[id]), far)
        rules = space.rules_differ(self._router_rules(id, topology))
        if rules is not None:
            yield rules

    def _host_drift(
        self, id: str, topology: topologies.Topology, views: dict[str, resources.View], deep: bool
    ) -> list[str]:
        host = topology.hosts[id]
        path = self._instance.host(id).netns
        if not namespaces.exists(path):
            return ["its namespace is missing"]
        found = []
        for network in dict.fromkeys(leg.network for leg in host.legs):
            if network in views:
                side = wiring.leg_side(self._instance, network, id, host.legs)
                found += [f"network {network}: {said}" for said in _differences(side, views[network])]
        if deep:
            with kernel.Kernel(path) as inside:
                found += _differences(wiring.host_side(host, topology.networks), inside.see())
        return found

    def _router(self, id: str) -> fabric_space.Space:
        space = self._routers.get(id)
        if space is not None and space.is_current():
            return space
        if space is not None:
            space.close()
        self._routers[id] = fabric_space.Space(self._instance.router_netns(id), self._table)
        return self._routers[id]

    def _made(self, prefix: str) -> list[str]:
        """Ids of the namespaces of one kind that exist."""
        return [path.name.removeprefix(prefix) for path in _namespaces(self._instance, prefix)]

    def _allot(self, id: str) -> wiring.Uplink:
        if id not in self._held.networks:
            foreign = self._machine.kernel.foreign_addresses()
            self._hold(numbers.with_network(self._held, self._instance.id, id, foreign))
        return fabric_facts.uplink(self._instance, id, self._held)

    def _hold(self, allotted: numbers.NumberAllocations) -> None:
        """On disk first: what was allotted is never allotted again after a crash."""
        if allotted != self._held:
            numbers.save(self._record, allotted)
            self._held = allotted

    def _router_rules(self, id: str, topology: topologies.Topology) -> tables.Table:
        return text.router(self._table, fabric_facts.router(self._instance, id, topology, self._held))

    def _put_router_rules(self, id: str, topology: topologies.Topology) -> None:
        self._router(id).put_rules(self._router_rules(id, topology))

    def _machine_rules(self, topology: topologies.Topology) -> tables.Table:
        closed = forwarding.closed(self._instance)
        facts = fabric_facts.machine(self._instance, topology, self._held, self._machine.kernel.see(), closed=closed)
        return text.machine(self._table, facts)


def purge(instance: instances.Instance) -> None:
    """Remove all of an instance that is named by its id, whatever its records say."""
    for path in (*_namespaces(instance, _HOST), *_namespaces(instance, _USERS), *_namespaces(instance, _ROUTER)):
        namespaces.delete(path)
    with contextlib.suppress(errors.NotFound):
        machine = fabric_space.Space(instance.machine_netns or namespaces.OWN, instance.nft_table)
        with contextlib.closing(machine):
            own = instance.alias("")
            links = [link for link in machine.kernel.links().values() if link.alias.startswith(own)]
            machine.kernel.make([plan.Drop(resources.Link(link.name)) for link in links])
            machine.remove_rules()
    namespaces.unshare_folder(instance.netns_folder)
    (instance.state / "allotments.json").unlink(missing_ok=True)
    if instance.machine_netns is not None:
        forwarding.record(instance).unlink(missing_ok=True)


def _namespaces(instance: instances.Instance, prefix: str) -> list[Path]:
    return sorted(instance.netns_folder.glob(f"{prefix}*"))


Open = tuple[kernel.Kernel, resources.View]


def _join(pair: resources.Pair, near: Open, far: Open) -> tuple[resources.View, resources.View]:
    """Both ends of a veth, made anew unless they are there and each other's; the views as they are then."""
    (router, near_view), (elsewhere, far_view) = near, far
    if plan.pair_is_whole(pair, near_view, far_view):
        return near_view, far_view
    if pair.near.name in near_view.links:
        router.make([plan.Drop(pair.near)])
    if pair.far.name in far_view.links:
        elsewhere.make([plan.Drop(pair.far)])
    router.add_pair(pair, elsewhere)
    return plan.without(near_view, pair.near.name), plan.without(far_view, pair.far.name)


def _rid(space: kernel.Kernel, side: resources.Side, view: resources.View) -> resources.View:
    """Remove the links that are not wanted any more; the view without them."""
    steps = plan.strays(side, view)
    space.make(steps)
    for step in steps:
        if isinstance(step.thing, resources.Link):
            view = plan.without(view, step.thing.name)
    return view


def _make(space: kernel.Kernel, side: resources.Side, view: resources.View) -> None:
    view = _rid(space, side, view)
    space.make(plan.plan(side, view))


def _differences(side: resources.Side, view: resources.View) -> list[str]:
    return [plan.say(step) for step in (*plan.strays(side, view), *plan.plan(side, view))]


def _by_network(pairs: list[tuple[str, resources.Pair]]) -> dict[str, list[resources.Pair]]:
    grouped: dict[str, list[resources.Pair]] = {}
    for network, pair in pairs:
        grouped.setdefault(network, []).append(pair)
    return grouped


def _sentence(differences: list[str]) -> str:
    more = len(differences) - _SHOWN
    return "; ".join(differences[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
