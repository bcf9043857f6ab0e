"""What makes clusters of a store and an agent, and who of it needs whom: for serve, and for simulations of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from roadstead.agent_client import asynchronous
from roadstead.clusters.allocation import allocator, cluster_secrets
from roadstead.clusters.components import registries
from roadstead.core import clock as clocks
from roadstead.provider import (
    control_planes,
    engine_supply,
    machine,
    mirror,
    networks,
    node_hosts,
    reports,
)
from roadstead.serve.images import node_images
from roadstead.store import interface


class Images(Protocol):
    """See serve.images.system_images.SystemImages."""

    async def pause(self) -> str: ...

    async def archives(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Given:
    """What it is wired to. A simulation has a store in memory, a machine that is none, and a clock that it turns."""

    store: interface.Store
    client: asynchronous.AsyncClient
    mirror: mirror.AgentMirror
    """Of what the agent at `client` has."""
    clock: clocks.Clock
    now: Callable[[], dt.datetime]
    """The time of day, for certificates."""
    supply: engine_supply.EngineSupply
    seed: Callable[[str], Awaitable[bytes]]
    """What etcd begins with, by the release of Kubernetes."""
    images: Images
    endpoints: allocator.EndpointSettings
    is_free: Callable[[str, int], bool]
    """Whether a port of an address may be published."""
    user: int
    porter: int
    registries: registries.Registries


@dataclass(frozen=True)
class Wired:
    """Its parts; `networks` and `images` run, and so does what `provider` gives."""

    given: Given
    allocations: allocator.Allocator
    networks: networks.Networks
    secrets: cluster_secrets.ClusterSecrets
    images: node_images.NodeImages

    def provider(self, told: reports.ClusterReports) -> machine.MachineProvider:
        """The provider. told: what is known from inside of clusters."""
        given = self.given
        shared = (given.store, given.mirror, self.allocations, given.supply, self.networks, self.secrets)
        planes = control_planes.ControlPlaneRenderer(
            control_planes.ControlPlaneTools(*shared, given.user, given.porter)
        )
        images = given.images
        nodes = node_hosts.NodeRenderer(node_hosts.NodeTools(*shared, images.pause, images.archives, given.registries))
        return machine.MachineProvider(
            machine.ProviderTools(given.store, given.mirror, self.allocations, planes, nodes, told)
        )


def wired(given: Given) -> Wired:
    """Nothing is asked of the agent before its parts run."""
    return Wired(
        given,
        allocator.Allocator(given.store, given.endpoints, given.is_free),
        networks.Networks(given.store, given.mirror, given.porter, given.clock),
        cluster_secrets.ClusterSecrets(given.store, given.client, given.now, given.seed),
        node_images.NodeImages(given.store, given.mirror, given.images.archives, given.now, given.clock),
    )
