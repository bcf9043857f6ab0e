"""Zones, published ports and passed sockets: what is one call of a room."""

from __future__ import annotations

from roadstead.agent.kinds import context
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired


async def zone(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """Black zones are one atomic change of rules; stopped ones are their hosts' own work."""
    await now.fabric.apply_zones(now.wanted().topology())
    if record.deleting:
        now.gone(record)
    news = record.deleting or now.observe(record, "ready")
    if news:
        for id, host in now.wanted().hosts.items():
            if host.zone == record.id:
                now.wake("hosts", id)
    return None


async def publish(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """All published ports as they are wanted.

    Returns the seconds until to look again; None: what it waits for wakes it.
    """
    if record.deleting:
        await now.fabric.apply_publishes(now.wanted().topology())
        now.gone(record)
        return None
    assert isinstance(record.spec, desired.Publish)
    if now.phase("networks", record.spec.network) != "ready":
        now.observe(record, "pending", reason=f"waits for the network {record.spec.network}")
        return None
    await now.fabric.apply_publishes(now.wanted().topology())
    now.observe(record, "ready")
    return None


async def listener(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A socket opened in its namespace, or closed.

    Returns the seconds until to look again; None: what it waits for wakes it.
    """
    if record.deleting:
        now.listeners.close(record.id)
        now.gone(record)
        return None
    assert isinstance(record.spec, desired.Listener)
    waits_for = _namespace_missing(now, record.spec)
    if waits_for:
        now.observe(record, "pending", reason=f"waits for {waits_for}")
        return 1.0
    now.listeners.open(record.id, record.spec)
    now.observe(record, "ready")
    return None


def _namespace_missing(now: context.StepContext, spec: desired.Listener) -> str:
    match spec.namespace:
        case "machine":
            return ""
        case "network":
            ready = now.phase("networks", spec.of or "") == "ready"
        case "host":
            ready = now.phase("hosts", spec.of or "") == "ready"
    return "" if ready else f"the {spec.namespace} {spec.of}"
