"""Hosts of an instance of their own, for live tests that need no agent."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from roadstead.agent import purge
from roadstead.agent.ceilings import plan
from roadstead.agent.hosts import hosts, processes, see
from roadstead.agent.idmaps import ranges
from roadstead.agent.links import namespaces
from roadstead.contract.messages import desired
from roadstead.core.instance import Instance

T = TypeVar("T")
UID = 61001


@dataclass
class Room:
    """The hosts of one instance, and a network namespace per host that is asked for."""

    instance: Instance
    facts: see.MachineFacts
    bounds: plan.Ceilings | None = None

    def do(self, work: Callable[[hosts.Hosts], Awaitable[T]]) -> T:
        """One piece of asynchronous work with a new `Hosts`, as after a restart of the agent."""

        async def within() -> T:
            async with asyncio.timeout(60):
                return await work(hosts.Hosts(self.instance, self.facts, self.bounds))

        return asyncio.run(within())

    def netns(self, host_id: str) -> None:
        path = self.instance.host(host_id).netns
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()
            subprocess.run(["unshare", f"--net={path}", "true"], check=True, timeout=10)

    def make(self, host_id: str, host: desired.Host, uid: int = UID) -> processes.Running:
        self.netns(host_id)
        return self.do(lambda room: room.make(host_id, host, uid))

    def make_owned(self, host_id: str, host: desired.Host, ids: ranges.Range) -> processes.Running:
        """A node with users of its own."""
        places = self.instance.host(host_id)
        namespaces.create_owned(places.netns, places.users, ids)
        return self.do(lambda room: room.make(host_id, host, 0, ids))

    def sh(self, host_id: str, script: str, uid: int = UID) -> hosts.Finished:
        return self.do(lambda room: room.run(host_id, uid, ["/bin/sh", "-c", script], 20))

    def says(self, host_id: str, script: str, uid: int = UID) -> str:
        finished = self.sh(host_id, script, uid)
        assert finished.code == 0, finished.output
        return finished.output


@contextlib.contextmanager
def opened() -> Iterator[Room]:
    """A new instance; afterwards nothing of it is left."""
    instance = Instance.named(f"t-hosts-{secrets.token_hex(3)}")
    try:
        yield Room(instance, see.machine_facts(instance))
    finally:
        purge.purge(instance)
        assert purge.purge(instance) == [], "nothing is left for a second purge"


def control(name: str = "etcd-a", **more: object) -> desired.Host:
    legs = (desired.Leg(network="net", address="198.19.0.10"),)
    return desired.Host(role="api", privilege="unprivileged", zone="a", legs=legs, hostname=name, **more)  # type: ignore[arg-type]


def node(name: str = "node-1", **more: object) -> desired.Host:
    legs = (desired.Leg(network="net", address="192.168.0.10"),)
    return desired.Host(role="node", privilege="privileged", zone="a", legs=legs, hostname=name, **more)  # type: ignore[arg-type]
