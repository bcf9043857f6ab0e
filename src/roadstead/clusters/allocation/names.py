"""The names of what clusters are made of at the agent: functions of keys, so that what was made is always found again.

Pure. `created` is the revision of a thing's first desired state: one of the same name that is made later has other
names, and never meets what is left of the earlier one.
"""

from __future__ import annotations

import hashlib

from roadstead.store import keys

STEPS = 1000
"""Generations of the agent for each of the reconciler's: one for every replacement within it."""


def cluster(key: keys.Key, created: int) -> str:
    """`c-1a2b3c4d`."""
    return f"c-{hashlib.sha256(f'{key}@{created}'.encode()).hexdigest()[:8]}"


def instance(key: keys.Key, created: int, part: str) -> str:
    """The id of a nodegroup's node, as EC2 writes it."""
    return f"i-{hashlib.sha256(f'{key}@{created}/{part}'.encode()).hexdigest()[:17]}"


def control_network(cluster_id: str) -> str:
    return f"{cluster_id}.cp"


def agents_generation(generation: int, incarnation: int) -> int:
    """The agent's generation of a part of the reconciler's generation that was replaced so many times in it."""
    return generation * STEPS + incarnation


def generation(agents: int) -> tuple[int, int]:
    """The reconciler's generation and the incarnation of what the agent has."""
    return divmod(agents, STEPS)
