"""Who may connect to a server, serve's too, and who gives way: so that one source of connections shuts out nobody else.

`Gate` is a listening socket that counts what it has accepted until that is closed: also those who never speak, whom TLS
shows to nobody until they have. Behind it `Callers` know who waits without a request; where there is no room, one of
theirs who have most gives way.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Connection = TypeVar("Connection")


_RESET, _WHOLE = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)
"""struct linger of socket(7): what closing does."""
_MADE = 3
"""Turns of the loop in which a connection is made of what was taken: a task begins, which makes it at once."""


@dataclass(frozen=True)
class Limits:
    """Connections at a time: of all, and of one source."""

    most: int
    each: int


def source(address: object) -> str:
    """Of a peer's address as sockets give it: who has one address of IPv6 has the 2^64 beside it."""
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    return ipaddress.ip_address(host.partition("%")[0]).packed[:8].hex() if ":" in host else host


@dataclass
class _Held(Generic[Connection]):
    """Of one source."""

    open: int = 0
    waiting: dict[Connection, None] = field(default_factory=dict)
    """Those without a request in work, who has waited longest first."""


class Callers(Generic[Connection]):
    """The connections of a server by their sources. Pure."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._of: dict[Connection, str] = {}
        self._held: dict[str, _Held[Connection]] = {}

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._of)

    @property
    def waiting(self) -> int:
        """How many of them have no request in work."""
        return sum(len(held.waiting) for held in self._held.values())

    def full(self, source: str) -> bool:
        """Whether one more from there is one too many."""
        return self.open >= self._limits.most or self._count(source) >= self._limits.each

    def gives_way(self, source: str) -> Connection | None:
        """Who is to be ended for one more from there. None: nobody waits who should; the new one is.

        Its own when it has its share; else of the source that has most, if that has more than itself.
        """
        own = self._count(source)
        if own >= self._limits.each:
            others = []
        else:
            others = sorted((held for held in self._held.values() if held.open > own), key=lambda one: -one.open)
        mine = [self._held[source]] if source in self._held else []
        return next((first for held in (*others, *mine) for first in held.waiting), None)

    def enter(self, connection: Connection, source: str) -> None:
        """It waits, as all do at first."""
        self._of[connection] = source
        held = self._held.setdefault(source, _Held())
        held.open += 1
        held.waiting[connection] = None

    def left(self, connection: Connection) -> None:
        """A connection is closed. It must have entered."""
        of = self._of.pop(connection)
        held = self._held[of]
        held.waiting.pop(connection, None)
        held.open -= 1
        if not held.open:
            del self._held[of]

    def waits(self, connection: Connection, *, waits: bool) -> None:
        """A connection is without a request in work (again: it goes to the end of the queue), or has one."""
        held = self._held[self._of[connection]]
        held.waiting.pop(connection, None)
        if waits:
            held.waiting[connection] = None

    def _count(self, source: str) -> int:
        return self._held[source].open if source in self._held else 0


class Settable(Protocol):
    """A socket, or what asyncio gives of one."""

    def setsockopt(self, level: int, option: int, value: bytes, /) -> None: ...


class Gate(socket.socket):
    """A listening socket, taken over. Whom it has no room for is closed at once, and told to `refused`.

    resets: a connection that was accepted is reset when the process dies, until `answers` was called for it: its client
    knows that there is no answer, where the end of a connection could be one.
    """

    def __init__(
        self, taken: socket.socket, limits: Limits, refused: Callable[[], None] = lambda: None, *, resets: bool = False
    ) -> None:
        super().__init__(taken.family, taken.type, taken.proto, fileno=taken.detach())
        self._limits = limits
        self._refused = refused
        self._resets = resets
        self._shut = False
        self._open: Counter[str] = Counter()
        self.empty = asyncio.Event()
        """Set while none that was accepted is open."""
        self.empty.set()

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises ConnectionAbortedError for one that was refused, which servers take as one that has gone by itself."""
        if self._shut:
            raise BlockingIOError
        plain, address = super().accept()
        of = source(address)
        if self._open[of] >= self._limits.each or self._open.total() >= self._limits.most:
            plain.close()
            self._refused()
            raise ConnectionAbortedError
        self._open[of] += 1
        self.empty.clear()
        if self._resets:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return _Accepted(plain, lambda: self._left(of)), address

    async def shut(self) -> None:
        """Take nothing more, as if nobody came; it may be closed then.

        A server of asyncio's that is closed while it makes a connection of what it has just taken leaves that open, and
        nobody answers it.
        """
        self._shut = True
        for _ in range(_MADE):
            await asyncio.sleep(0)

    def _left(self, of: str) -> None:
        self._open[of] -= 1
        if not self._open[of]:
            del self._open[of]
        if not self._open:
            self.empty.set()


def answers(accepted: Settable) -> None:
    """What is written from now on reaches the client of a gate that resets, and then the connection ends."""
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WHOLE)


class _Accepted(socket.socket):
    """Tells when it is closed, once."""

    def __init__(self, taken: socket.socket, closed: Callable[[], None]) -> None:
        blocking = taken.getblocking()
        super().__init__(taken.family, taken.type, taken.proto, fileno=taken.detach())
        self.setblocking(blocking)
        self._tell: Callable[[], None] | None = closed

    def close(self) -> None:
        super().close()
        tell, self._tell = self._tell, None
        if tell is not None:
            tell()
