"""How pods leave a node that goes: decided of a nodegroup, done by the controllers, awaited by the provider."""

from __future__ import annotations

import enum


class Leave(enum.Enum):
    """What becomes of the pods of a node that goes."""

    MOVED = "moved"
    """They are evicted as their budgets allow, and are made anew on other nodes."""
    ENDED = "ended"
    """No node of the cluster is left that could take them: each ends in its own time, budgets or not."""
    DROPPED = "dropped"
    """Nobody waits for them."""
