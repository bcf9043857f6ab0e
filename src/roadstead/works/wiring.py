"""What makes clusters of a store and an agent, and who of it needs whom: for serve, and for simulations of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from roadstead.agent_client import asynchronous
from roadstead.clusters.components import registries
from roadstead.clusters.ground import land as lands
from roadstead.clusters.ground import materials
from roadstead.clusters.hands import control, hands, mirror, networks, reports, shelf, stock, workers
from roadstead.core import clock as clocks
from roadstead.store import interface


class Images(Protocol):
    """See works.images.SystemImages."""

    async def pause(self) -> str: ...

    async def archives(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Given:
    """What it is wired to. A simulation has a store in memory, a machine that is none, and a clock that it turns."""

    store: interface.Store
    client: asynchronous.AsyncClient
    mirror: mirror.Mirror
    """Of what the agent at `client` has."""
    clock: clocks.Clock
    now: Callable[[], dt.datetime]
    """The time of day, for certificates."""
    shelf: shelf.Shelf
    seed: Callable[[str], Awaitable[bytes]]
    """What etcd begins with, by the release of Kubernetes."""
    images: Images
    ground: lands.Settings
    is_free: Callable[[str, int], bool]
    """Whether a port of an address may be published."""
    user: int
    porter: int
    registries: registries.Registries


@dataclass(frozen=True)
class Wired:
    """Its parts; `networks` and `stock` run, and so does what `hands` gives."""

    given: Given
    land: lands.Land
    networks: networks.Networks
    materials: materials.Materials
    stock: stock.Stock

    def hands(self, told: reports.Reports) -> hands.Hands:
        """The provider. told: what is known from inside of clusters."""
        given = self.given
        shared = (given.store, given.mirror, self.land, given.shelf, self.networks, self.materials)
        planes = control.Drawer(control.Tools(*shared, given.user, given.porter))
        images = given.images
        nodes = workers.Drawer(workers.Tools(*shared, images.pause, images.archives, given.registries))
        return hands.Hands(hands.Tools(given.store, given.mirror, self.land, planes, nodes, told))


def wired(given: Given) -> Wired:
    """Nothing is asked of the agent before its parts run."""
    return Wired(
        given,
        lands.Land(given.store, given.ground, given.is_free),
        networks.Networks(given.store, given.mirror, given.porter, given.clock),
        materials.Materials(given.store, given.client, given.now, given.seed),
        stock.Stock(given.client, given.mirror, given.clock, given.images.archives),
    )
