"""A published port: an address and a port of the machine that lead to a host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roadstead.agent.kinds import context, networks
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired


def _check(new: Mapping[str, desired.Publish], _now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    allowed = facts.bounds
    if allowed is None:
        return
    for id, publish in new.items():
        if publish.address not in allowed.addresses:
            known = ", ".join(sorted(allowed.addresses))
            yield f"publish {id}: ports are published on {known} alone, not on {publish.address} (advertise-address)"
        if publish.port not in allowed.ports:
            first, last = allowed.ports[0], allowed.ports[-1]
            yield f"publish {id}: ports from {first} to {last} are published, not {publish.port} (endpoint-ports)"


def _uses(_id: str, publish: desired.Publish) -> tuple[store.Key, ...]:
    return (("networks", publish.network),)


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """All published ports as they are wanted."""
    if record.deleting:
        await now.fabric.apply_publishes(networks.topology(now.wanted()))
        now.gone(record)
        return None
    assert isinstance(record.spec, desired.Publish)
    if now.phase("networks", record.spec.network) != "ready":
        now.observe(record, "pending", reason=f"waits for the network {record.spec.network}")
        return None
    await now.fabric.apply_publishes(networks.topology(now.wanted()))
    now.observe(record, "ready")
    return None


KIND = kinds.Kind(name="publishes", message=desired.Publish, step=_step, order=5, check=_check, uses=_uses)
