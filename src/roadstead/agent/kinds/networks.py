"""A network: its router namespace, for as long as hosts have legs in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roadstead.agent.kinds import bounds, context
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.links import topology as topologies
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired
from roadstead.core import addresses


def topology(wanted: kinds.Wanted) -> topologies.Topology:
    """The part of what is wanted that networks are made of."""
    return topologies.Topology(
        wanted.all(desired.Network), wanted.all(desired.Host), wanted.all(desired.Zone), wanted.all(desired.Publish)
    )


def _check(new: Mapping[str, desired.Network], now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    """All that is in networks goes together, whatever of it was put."""
    for problem in topologies.check(topology(now)):
        yield str(problem)
    if facts.bounds is not None:
        for id, network in new.items():
            yield from _within(id, network, facts.bounds)


def _within(id: str, network: desired.Network, allowed: bounds.Bounds) -> Iterator[str]:
    if not network.machine_users:
        return
    for cidr in network.cidrs:
        if not addresses.within(cidr, allowed.networks):
            ranges = ", ".join(allowed.networks) or "none"
            yield f"network {id}: the machine has routes to {ranges} alone, not to {cidr} (machine-networks)"
    yield from bounds.strangers(f"network {id}", network.machine_users, allowed.users)


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A network made, or gone when no host is in it any more."""
    if record.deleting:
        left = _hosts_in(now, record.id)
        if left:
            now.observe(record, "deleting", reason=f"waits until these hosts are gone: {', '.join(left)}")
            return None
        now.observe(record, "deleting")
        await now.fabric.remove_network(record.id)
        now.gone(record)
        return None
    await now.fabric.make_network(record.id, topology(now.wanted()))
    if now.observe(record, "ready"):
        now.wake_users(record.key)
    return None


def _hosts_in(now: context.StepContext, network: str) -> list[str]:
    """Hosts with a leg here, those being deleted too, in the order in which they were asked for."""
    return [host.id for host in now.records.of_kind("hosts").values() if _has_leg(host, network)]


def _has_leg(host: store.DesiredRecord, network: str) -> bool:
    if isinstance(host.spec, desired.Host):
        return any(leg.network == network for leg in host.spec.legs)
    # Not understood: its text names the networks that it has legs in, whatever else it says.
    return f'"network":"{network}"' in host.text.replace(" ", "")


KIND = kinds.Kind(name="networks", message=desired.Network, step=_step, order=1, check=_check)
