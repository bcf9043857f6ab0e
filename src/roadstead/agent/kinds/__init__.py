"""Desired state and what is seen to the next step, one module per kind of object.

`step` is the work of the one loop: it is called with a key, does what is to be done now, and says when to look
again. Nothing here is remembered between calls but what can be seen again: an agent that dies at any point is
followed by one that goes on from the same desired states. What this agent does not understand it keeps as it is; it
deletes it all the same when that is asked, since everything is found by its id.
"""

from __future__ import annotations

from roadstead.agent.kinds import context, engines, hosts, networks, ports, units
from roadstead.agent.records import desired as store
from roadstead.core import errors

__all__ = ["failed", "step"]


async def step(now: context.StepContext, key: store.Key) -> float | None:
    """One look at one object; returns the seconds until the next (None: when woken)."""
    record = now.records.get(key)
    if record is None:
        now.observations.gone(key)
        now.loop_forget(key)
        return None
    if record.spec is None and not record.deleting:
        now.observe(record, "not-understood", reason=f"kept as it is: {record.trouble}")
        return None
    match record.kind:
        case "networks":
            return await networks.step(now, record)
        case "hosts":
            return await hosts.step(now, record)
        case "units":
            return await units.step(now, record)
        case "engines":
            return await engines.step(now, record)
        case "zones":
            return await ports.zone(now, record)
        case "publishes":
            return await ports.publish(now, record)
        case "listeners":
            return await ports.listener(now, record)
    raise errors.Invalid(f"no work is known for {record.kind}/{record.id}")


def failed(now: context.StepContext, key: store.Key, error: Exception, again: float) -> None:
    """A step failed: said in the observation and the log; the loop tries again."""
    record = now.records.get(key)
    sentence = error.message if isinstance(error, errors.Error) else f"{type(error).__name__}: {error}"
    now.log_failure(key, error, again)
    if record is not None:
        now.observe(record, "deleting" if record.deleting else "failing", reason=sentence)
