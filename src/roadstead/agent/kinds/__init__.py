"""Desired state and what is seen to the next step, one module per kind of object.

    kind          the descriptor of a kind, and what goes through all of them
    context       what all steps share
    engines, networks, zones, hosts, units, publishes, listeners
                  a kind each: what may be asked for, what one uses, and its step
    bounds        what of the machine others than root may ask for
    groups        who may go down while others serve
    node_images/  what a new node's disk begins with

`step` is the work of the one loop: it is called with a key, does what is to be done now, and says when to look
again. Nothing here is remembered between calls but what can be seen again: an agent that dies at any point is
followed by one that goes on from the same desired states. What is remembered to save work is in the memory of the
module that does so, of a type of its own, and goes with the object. What this agent does not understand it keeps as it
is; it deletes it all the same when that is asked, since everything is found by its id.
"""

from __future__ import annotations

from typing import Any

from roadstead.agent.kinds import context, engines, hosts, kind, listeners, networks, publishes, units, zones
from roadstead.agent.records import desired as store
from roadstead.core import errors

__all__ = ["KINDS", "failed", "step"]

KINDS: tuple[kind.Kind[Any], ...] = (
    networks.KIND,
    hosts.KIND,
    units.KIND,
    engines.KIND,
    zones.KIND,
    publishes.KIND,
    listeners.KIND,
)


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
    known = now.kinds.get(record.kind)
    if known is None:
        raise errors.Invalid(f"no work is known for {record.kind}/{record.id}")
    return await known.step(now, record)


def failed(now: context.StepContext, key: store.Key, error: Exception, again: float) -> None:
    """A step failed: said in the observation and the log; the loop tries again."""
    record = now.records.get(key)
    sentence = error.message if isinstance(error, errors.Error) else f"{type(error).__name__}: {error}"
    now.log_failure(key, error, again)
    if record is not None:
        now.observe(record, "deleting" if record.deleting else "failing", reason=sentence)
