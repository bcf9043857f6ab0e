"""A socket that is opened in a namespace, for one process by its user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roadstead.agent.kinds import bounds, context
from roadstead.agent.kinds import kind as kinds
from roadstead.agent.records import desired as store
from roadstead.contract.messages import desired


def _check(new: Mapping[str, desired.Listener], now: kinds.Wanted, facts: kinds.Facts) -> Iterator[str]:
    for id, listener in now.all(desired.Listener).items():
        match listener.namespace:
            case "machine":
                known = listener.of is None
            case "network":
                known = listener.of in now.all(desired.Network)
            case "host":
                known = listener.of in now.all(desired.Host)
        if not known:
            yield f"listener {id}: there is no {listener.namespace} {listener.of}"
        if listener.user == 0:
            yield f"listener {id}: sockets are passed to unprivileged users only"
    if facts.bounds is not None:
        for id, listener in new.items():
            yield from _within(id, listener, facts.bounds)


def _within(id: str, listener: desired.Listener, allowed: bounds.Bounds) -> Iterator[str]:
    if listener.namespace == "machine" and listener.port not in allowed.listeners:
        known = ", ".join(map(str, sorted(allowed.listeners))) or "none"
        yield f"listener {id}: sockets of the machine are opened on ports {known}, not {listener.port} (machine-ports)"
    yield from bounds.strangers(f"listener {id}", (listener.user,), allowed.passed)


def _uses(_id: str, listener: desired.Listener) -> tuple[store.Key, ...]:
    match listener.namespace:
        case "machine":
            return ()
        case "network":
            return (("networks", listener.of or ""),)
        case "host":
            return (("hosts", listener.of or ""),)


async def _step(now: context.StepContext, record: store.DesiredRecord) -> float | None:
    """A socket opened in its namespace, or closed."""
    if record.deleting:
        now.listeners.close(record.id)
        now.gone(record)
        return None
    assert isinstance(record.spec, desired.Listener)
    missing = [id for kind, id in _uses(record.id, record.spec) if now.phase(kind, id) != "ready"]
    if missing:
        now.observe(record, "pending", reason=f"waits for the {record.spec.namespace} {missing[0]}")
        return 1.0
    now.listeners.open(record.id, record.spec)
    now.observe(record, "ready")
    return None


KIND = kinds.Kind(name="listeners", message=desired.Listener, step=_step, order=5, check=_check, uses=_uses)
