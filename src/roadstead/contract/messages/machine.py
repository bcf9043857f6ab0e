"""What the agent's machine has and is connected to, as it was a moment ago."""

from __future__ import annotations

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Address, Cidr


class Route(Message, frozen=True, kw_only=True):
    """Where the machine sends packets for a network; 0.0.0.0/0: for all that no other route is for."""

    to: Cidr
    device: str
    via: Address | None = None
    """The next hop; None: on the device itself."""


class Machine(Message, frozen=True, kw_only=True):
    """Sizes in bytes."""

    memory: int
    available: int
    """What the kernel estimates that new processes can have without swapping (MemAvailable, proc(5))."""
    cores: int
    disk: int
    """Of the file system that has the instance's state."""
    free: int
    """Of it, for who is not root."""
    routes: tuple[Route, ...] = ()
    """IPv4, of the main table, without those over this instance's own links."""
    kernel: str
    spawn: float = 0.0
    """Seconds from the start of the smallest program to its end, the best of some tries; 0: not measured."""
    kept_memory: int = 0
    kept_disk: int = 0
    """What is kept for the machine itself: hosts have so much less, and nothing new is begun below that."""
    near: tuple[str, ...] = ()
    """What of it is near its end, for all clusters, a sentence each, the same as long as it is so."""
    late: float = 0.0
    """Seconds by which at most one in ten of the agent's timers came too late in the last minute."""
