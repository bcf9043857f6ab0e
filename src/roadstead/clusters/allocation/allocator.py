"""What a cluster is allotted: the addresses and the port that are its own from its first step to its last.

Allotted once and kept in the store before anything is made with it. All other facts of a control plane follow.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from roadstead.clusters import spec
from roadstead.clusters.allocation import ipam, names
from roadstead.clusters.capacity import facts as machine
from roadstead.clusters.capacity import neighbours, pace
from roadstead.clusters.components import facts as components
from roadstead.contract.messages import bounds
from roadstead.core import addresses, errors
from roadstead.network import spec as network
from roadstead.store import facts, interface, keys, kinds, writes

KIND = "ground"
LETTERS = ("a", "b", "c")
_EDGE = "edge"


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """What of this machine clusters depend on."""

    public: str = "127.0.0.1"
    """The address of the machine at which endpoints are published."""
    ports: range = bounds.ports(bounds.PORTS)
    """Of that address."""
    control: str = bounds.NETWORKS
    """What control-plane networks are cut from."""


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """What is allotted to a cluster."""

    id: str
    cidr: str
    """Its control-plane network, a /26."""
    vpc: str
    vpc_cidr: str
    api_vpc: Mapping[str, str]
    """Addresses of the API servers in the VPC, by letter."""
    private: str
    """The edge's address in the VPC."""
    public: str
    port: int
    patience: int = 1
    """See capacity.pace: kept, since components with other times would be restarted."""

    @property
    def subnets(self) -> tuple[str, str, str, str]:
        """Of the control-plane network: one for each zone, and one for the edge and the webhook."""
        parts = [str(part) for part in ipaddress.ip_network(self.cidr).subnets(new_prefix=28)]
        return parts[0], parts[1], parts[2], parts[3]

    @property
    def network(self) -> str:
        return names.control_network(self.id)

    @property
    def endpoint(self) -> str:
        return f"https://{self.public}:{self.port}"


ALLOCATIONS = kinds.Kind(KIND, Allocation)
"""By cluster."""
key, read, written = ALLOCATIONS.key, ALLOCATIONS.read, ALLOCATIONS.written


def of_cluster(cluster: keys.Key) -> keys.Key:
    return key(cluster.account, cluster.region, cluster.names[0])


def topology(wanted: spec.Cluster, cluster: keys.Key, allocation: Allocation) -> components.Topology:
    """Where a control plane is, of what was allotted to it."""
    members = tuple(
        components.Member(
            letter=letter,
            zone=spec.zone(cluster.region, spec.ETCD[number]),
            etcd=_nth(allocation.subnets[number], 4),
            api=_nth(allocation.subnets[number], 5),
            api_vpc=allocation.api_vpc[letter],
        )
        for number, letter in enumerate(LETTERS)
    )
    shared = allocation.subnets[3]
    return components.Topology(
        id=allocation.id,
        name=wanted.name,
        account=cluster.account,
        region=cluster.region,
        members=members,
        endpoint=components.Endpoint(
            control=_nth(shared, 4), private=allocation.private, public=allocation.public, port=allocation.port
        ),
        vpc_cidr=allocation.vpc_cidr,
        service_cidr=wanted.service_cidr,
        webhook=addresses.webhook(shared),
    )


def with_legs(
    now: ipam.VpcAddresses, subnets: Sequence[network.Subnet], region: str, owner: str
) -> tuple[ipam.VpcAddresses, dict[str, str]]:
    """Addresses in a VPC for the API servers, by letter, and for the edge: each in a subnet of its zone, if there is
    one. Raises LimitExceeded."""
    found: dict[str, str] = {}
    for number, letter in enumerate((*LETTERS, _EDGE)):
        own = [each for each in subnets if each.zone == f"{region}{letter}"] or subnets
        before = set(now.of(owner))
        now = ipam.with_address(now, own[number % len(own)].cidr, owner)
        found[letter] = next(iter(set(now.of(owner)) - before))
    return now, found


class Allocator:
    """Gives grounds to clusters, one at a time, and takes them back."""

    def __init__(self, store: interface.Store, settings: EndpointSettings, free: Callable[[str, int], bool]) -> None:
        self._store = store
        self._settings = settings
        self._free = free
        self._lock = asyncio.Lock()

    async def find(self, cluster: keys.Key) -> Allocation | None:
        """What a cluster has; None: nothing was allotted to it yet."""
        kept = await self._store.get(of_cluster(cluster))
        return None if kept is None else read(kept.desired.body)

    async def give(self, state: facts.State) -> Allocation:
        """The cluster's allocation, allotted now if it has none. Raises LimitExceeded, NotFound."""
        async with self._lock:
            found = await self.find(state.key)
            if found is not None:
                return found
            return await self._allot(state)

    async def moved(self, standing: Allocation) -> Allocation:
        """The allocation as it is to be at the machine's address of now: of the same port, where that is free.

        Nothing is kept of it here. Raises LimitExceeded.
        """
        public = self._settings.public
        if standing.public == public:
            return standing
        if standing.port in self._settings.ports and self._free(public, standing.port):
            return replace(standing, public=public)
        return replace(standing, public=public, port=self._port([other.port for other in await self._all()]))

    async def take_back(self, cluster: keys.Key) -> None:
        """Everything allotted to the cluster itself is free again. Twice is as good."""
        async with self._lock:
            found = await self.find(cluster)
            if found is None:
                return
            allotted, expected = await self._addresses(cluster, found.vpc)
            await self._store.commit(
                writes.Delete(of_cluster(cluster)),
                *_left(cluster, found.vpc, allotted.without(found.id), expected),
            )

    async def give_node(
        self, cluster: keys.Key, vpc: str, subnet: str, owner: str, prefixes: int
    ) -> tuple[str, tuple[str, ...]]:
        """Address and prefixes of a node, allotted now if it has none. Raises LimitExceeded."""
        async with self._lock:
            allotted, expected = await self._addresses(cluster, vpc)
            mine = allotted.of(owner)
            if not mine:
                cidr = (await self._subnet(cluster, subnet)).cidr
                allotted = ipam.with_prefixes(ipam.with_address(allotted, cidr, owner), cidr, owner, prefixes)
                await self._store.commit(_put(cluster, vpc, allotted, expected))
                mine = allotted.of(owner)
            return mine[0], mine[1:]

    async def addresses(self, cluster: keys.Key, vpc: str) -> dict[str, str]:
        """The address of everyone who has one in a VPC, by owner."""
        allotted = (await self._addresses(cluster, vpc))[0]
        return {owner: each for each, owner in allotted.holders.items() if "/" not in each}

    async def take_back_node(self, cluster: keys.Key, vpc: str, owners: Iterable[str]) -> None:
        """The addresses in a VPC of these hosts, by their ids at the agent, are free again."""
        async with self._lock:
            allotted, expected = await self._addresses(cluster, vpc)
            after = allotted
            for owner in owners:
                after = after.without(owner)
            if after != allotted:
                await self._store.commit(*_left(cluster, vpc, after, expected))

    async def _allot(self, state: facts.State) -> Allocation:
        cluster, wanted = state.key, spec.read(state.desired.body)
        others = list(await self._all())
        id = names.cluster(cluster, state.desired.created)
        subnets = [await self._subnet(cluster, each) for each in wanted.place.subnets]
        allotted, expected = await self._addresses(cluster, wanted.place.vpc)
        allotted, in_vpc = with_legs(allotted, subnets, cluster.region, id)
        seen = await machine.find(self._store)
        claimed = neighbours.claimed(seen.routes if seen else (), self._settings.control)
        allocation = Allocation(
            id=id,
            cidr=_free_network(self._settings.control, [*(other.cidr for other in others), *claimed]),
            vpc=wanted.place.vpc,
            vpc_cidr=wanted.place.vpc_cidr,
            api_vpc={letter: in_vpc[letter] for letter in LETTERS},
            private=in_vpc[_EDGE],
            public=self._settings.public,
            port=self._port([other.port for other in others]),
            patience=pace.patience(seen),
        )
        await self._store.commit(
            writes.Put(of_cluster(cluster), written(allocation), writes.Absent()),
            _put(cluster, wanted.place.vpc, allotted, expected),
            writes.Require(cluster, writes.Present()),
        )
        return allocation

    def _port(self, taken: list[int]) -> int:
        for port in self._settings.ports:
            if port not in taken and self._free(self._settings.public, port):
                return port
        raise errors.LimitExceeded(
            f"no port of {self._settings.public} from {self._settings.ports[0]} to {self._settings.ports[-1]} is free"
        )

    async def _all(self) -> list[Allocation]:
        found = await interface.everything(self._store, kind=KIND)
        return [read(state.desired.body) for state in found.items]

    async def _subnet(self, cluster: keys.Key, id: str) -> network.Subnet:
        kept = await self._store.get(network.subnet_key(cluster.account, cluster.region, id))
        if kept is None:
            raise errors.NotFound(f"subnet {id} is not there any more", subnet=id)
        return network.read_subnet(kept.desired.body)

    async def _addresses(self, cluster: keys.Key, vpc: str) -> tuple[ipam.VpcAddresses, writes.Expected]:
        kept = await self._store.get(ipam.key(cluster.account, cluster.region, vpc))
        if kept is None:
            return ipam.VpcAddresses(), writes.Absent()
        return ipam.read(kept.desired.body), writes.At(kept.desired.generation)


def port_is_free(address: str, port: int) -> bool:
    """Whether nothing listens there. An address that is not of this machine cannot be taken on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address, port))
        except OSError as error:
            return error.errno == 99  # EADDRNOTAVAIL
    return True


def _put(cluster: keys.Key, vpc: str, after: ipam.VpcAddresses, expected: writes.Expected) -> writes.Put:
    return writes.Put(ipam.key(cluster.account, cluster.region, vpc), ipam.written(after), expected)


def _left(cluster: keys.Key, vpc: str, after: ipam.VpcAddresses, expected: writes.Expected) -> tuple[writes.Write, ...]:
    """What is kept after something was taken back: of a VPC in which nobody has anything, nothing."""
    if after.holders:
        return (_put(cluster, vpc, after, expected),)
    there = isinstance(expected, writes.At)
    return (writes.Delete(ipam.key(cluster.account, cluster.region, vpc), expected),) if there else ()


def _free_network(whole: str, taken: Iterable[str]) -> str:
    """The first part of it that overlaps none of those taken."""
    used = [ipaddress.IPv4Network(each) for each in taken]
    for candidate in ipaddress.IPv4Network(whole).subnets(new_prefix=26):
        if not any(candidate.overlaps(each) for each in used):
            return str(candidate)
    raise errors.LimitExceeded(f"{whole} has no room for one more control plane", cidr=whole)


def _nth(subnet: str, number: int) -> str:
    return str(ipaddress.ip_network(subnet)[number])
