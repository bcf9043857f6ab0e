"""Networks and the legs of hosts: the rooms links and rules, composed.

All work with the kernel is done by one thread, in the order it was asked for: threads alone can enter a namespace, and
what only one thread touches needs no lock. Every `make` sees first and does only what is missing or differs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from roadstead.agent.fabric import executor as fabric_executor
from roadstead.agent.links import monitor, namespaces

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from roadstead.agent.idmaps import ranges
    from roadstead.agent.links import topology as topologies
    from roadstead.core import instance as instances

MACHINE = fabric_executor.MACHINE

P = ParamSpec("P")
T = TypeVar("T")


def purge(instance: instances.Instance) -> None:
    """Remove every namespace, link and rule of an instance that no agent serves, from names alone."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(fabric_executor.purge, instance).result()


class Fabric:
    """The networks of an instance. An async context manager; leaving it leaves everything made in place."""

    def __init__(self, instance: instances.Instance) -> None:
        self._instance = instance
        self._thread = concurrent.futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="fabric")
        self._changed = asyncio.Event()
        self._monitors: dict[str, tuple[int, monitor.Monitor]] = {}
        """By network, with the inode of the namespace."""
        self._machine_monitor: monitor.Monitor | None = None
        self._executor = fabric_executor.FabricExecutor(instance)

    async def __aenter__(self) -> Fabric:
        await self._do(self._executor.open)
        self._machine_monitor = monitor.Monitor(self._instance.machine_netns, self._changed.set, neighbours=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, watch in self._monitors.values():
            watch.close()
        self._monitors.clear()
        if self._machine_monitor is not None:
            self._machine_monitor.close()
        await self._do(self._executor.close)
        self._thread.shutdown()

    async def make_network(self, id: str, topology: topologies.Topology) -> None:
        """The router of a network with its uplink and rules. Raises Failed, LimitExceeded."""
        await self._do(self._executor.make_network, id, topology)
        self._watch(id)

    async def make_host(self, id: str, topology: topologies.Topology, ids: ranges.Range | None = None) -> None:
        """A host's namespace and legs; legs that are not wanted any more go. With `ids` it has users of its own.

        Raises Busy while a network of the host has not been made, Failed.
        """
        await self._do(self._executor.make_host, id, topology, ids)

    async def apply_zones(self, topology: topologies.Topology) -> None:
        """Links of hosts in black zones carry nothing from now on, all others do: one transaction per router."""
        await self._do(self._executor.apply_rules, topology)

    async def apply_publishes(self, topology: topologies.Topology) -> None:
        """Exactly these ports of the machine lead to hosts."""
        await self._do(self._executor.apply_rules, topology)

    async def remove_host(self, id: str) -> None:
        """A host's legs in every network and its namespace, also half-made ones."""
        await self._do(self._executor.remove_host, id)

    async def remove_network(self, id: str) -> None:
        """A network's router, its uplink, and the machine's rules about it, also half-made ones."""
        _, watch = self._monitors.pop(id, (0, None))
        if watch is not None:
            watch.close()
        await self._do(self._executor.remove_network, id)

    async def drift(self, topology: topologies.Topology, *, deep: bool = False) -> dict[tuple[str, str], str]:
        """What differs from the topology, by kind and id, for a human; empty when all is as it was made.

        MACHINE differs where there is no network to tell it of.
        Looks at routers and at the machine; `deep` looks into every host's namespace as well.
        """
        return await self._do(self._executor.drift, topology, deep)

    async def problems(self, topology: topologies.Topology) -> list[str]:
        """What keeps networks from working and is not the agent's to mend."""
        return await self._do(self._executor.problems, topology)

    def changed(self) -> asyncio.Event:
        """Set when something in a router or in the machine's namespace has changed; whoever waits clears it.

        Changes of our own set it too: look at `drift`, which changes nothing.
        """
        return self._changed

    def open_socket(self, netns: Path | None, family: int, kind: int) -> socket.socket:
        """A socket in the namespace at that path; None: the machine's. Raises NotFound when there is none."""
        return namespaces.open_socket(netns or self._instance.machine_netns, family, kind)

    async def lend_hands(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Other work with the kernel, done by the same thread in its turn."""
        return await self._do(work, *args, **kwargs)

    def _watch(self, id: str) -> None:
        path = self._instance.router_netns(id)
        inode = path.stat().st_ino
        known, watch = self._monitors.get(id, (0, None))
        if known == inode:
            return
        if watch is not None:
            watch.close()
        self._monitors[id] = (inode, monitor.Monitor(path, self._changed.set, neighbours=True))

    async def _do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
