"""The machine as it was seen last, kept in the store as the observation of one key.

The desired state of that key counts how often room on the machine was taken: who takes some writes the next number,
and so notices when somebody else took some since it looked.
"""

from __future__ import annotations

import msgspec

from roadstead.contract.messages import machine
from roadstead.store import interface, keys, writes

KEY = keys.Key("000000000000", keys.GLOBAL, "machine", "main")
"""Of no account, and of no region: everyone's clusters are on it."""


async def find(store: interface.Store) -> machine.Machine | None:
    """None as long as the agent was never seen."""
    return (await taking(store))[0]


async def taking(store: interface.Store) -> tuple[machine.Machine | None, writes.Put]:
    """Also what a transaction writes that takes room on it: a Conflict when somebody else took some since."""
    kept = await store.get(KEY)
    if kept is None:
        return None, writes.Put(KEY, b"0", writes.Absent())
    count = msgspec.json.encode(msgspec.json.decode(kept.desired.body, type=int) + 1)
    put = writes.Put(KEY, count, writes.At(kept.desired.generation))
    return (msgspec.json.decode(kept.observation.body, type=machine.Machine) if kept.observation else None), put


async def keep(store: interface.Store, seen: machine.Machine) -> None:
    """Raises what the store refuses."""
    kept = await store.get(KEY)
    generation = kept.desired.generation if kept else await store.commit(writes.Put(KEY, b"0", writes.Absent()))
    await store.commit(writes.Observe(KEY, msgspec.json.encode(seen), generation))
