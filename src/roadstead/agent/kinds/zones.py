"""A zone: whether the links of its hosts carry anything, and whether its hosts run."""

from __future__ import annotations

from roadstead.agent.kinds import context, networks
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """Black zones are one atomic change of rules; stopped ones are their hosts' own work."""
    await now.fabric.apply_zones(networks.topology(now.wanted()))
    if record.deleting:
        now.gone(record)
    news = record.deleting or now.observe(record, "ready")
    if news:
        for id, host in now.wanted().all(desired.Host).items():
            if host.zone == record.id:
                now.wake("hosts", id)
    return None


KIND = kinds.Kind(name="zones", message=desired.Zone, step=_step, order=2)
