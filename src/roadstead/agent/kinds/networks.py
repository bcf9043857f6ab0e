"""A network: its router namespace, for as long as hosts have legs in it."""

from __future__ import annotations

from roadstead.agent.kinds import context
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired


async def step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A network made, or gone when no host is in it any more.

    Returns the seconds until to look again; None: what it waits for wakes it.
    """
    if record.deleting:
        left = _hosts_in(now, record.id)
        if left:
            now.observe(record, "deleting", reason=f"waits until these hosts are gone: {', '.join(left)}")
            return None
        now.observe(record, "deleting")
        await now.fabric.remove_network(record.id)
        now.gone(record)
        return None
    await now.fabric.make_network(record.id, now.wanted().topology())
    if now.observe(record, "ready"):
        for host in _hosts_in(now, record.id):
            now.wake("hosts", host)
        for kind in ("publishes", "listeners"):
            for id in now.records.of_kind(kind):
                now.wake(kind, id)
    return None


def _hosts_in(now: context.StepContext, network: str) -> list[str]:
    """Hosts with a leg here, those being deleted too, in the order in which they were asked for."""
    return [host.id for host in now.records.of_kind("hosts").values() if _has_leg(host, network)]


def _has_leg(host: store.DesiredRecord, network: str) -> bool:
    if isinstance(host.spec, desired.Host):
        return any(leg.network == network for leg in host.spec.legs)
    # Not understood: its text names the networks that it has legs in, whatever else it says.
    return f'"network":"{network}"' in host.text.replace(" ", "")
