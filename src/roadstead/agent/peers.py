"""The agent's own sockets for other users of the machine: who may connect, who has connected, and how many.

The kernel lets in whom a socket's mode lets in: root, and the group of the one user that it is for. Who has connected
is known before a byte is read (SO_PEERCRED, unix(7)), and each user has so many connections at once: what one of them
holds open takes nothing from others, and nothing from the agent, whose descriptors would else be spent by waiting.
Where the machine has none left, whoever knocks waits, and accepting goes on when there are some again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MOST = 128
"""Connections of one user at once. serve has 32, and a watch."""
_PAUSE = 0.25
"""Seconds until it is tried again to accept: that a descriptor has become free is announced nowhere."""
_CREDENTIALS = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""


def uid(peer: socket.socket) -> int:
    """The user id of the process at the other end, when it connected."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    found: int = _CREDENTIALS.unpack(raw)[1]
    return found


@contextlib.contextmanager
def listening(path: Path, user: int | None) -> Iterator[socket.socket]:
    """A socket at `path` for root and `user`; at the end it is gone."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as server:
        server.bind(str(path))
        if user is not None:
            os.chown(path, 0, _group(user))
        # Only now: until it listens nobody can connect, and with the wrong mode nobody is to.
        path.chmod(0o600 if user is None else 0o660)
        server.listen(64)
        try:
            yield server
        finally:
            path.unlink(missing_ok=True)


def _group(user: int) -> int:
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        # A user that stands in no list has the group of its number.
        return user


class Gate:
    """Who of those that knock is let in. A connection counts until its socket is closed, whoever closes it."""

    def __init__(self, users: frozenset[int], most: int = MOST) -> None:
        self._users = users
        self._most = most
        self._inside: dict[int, list[socket.socket]] = {}
        self._said: set[int] = set()

    def lets_in(self, peer: socket.socket) -> bool:
        """Whether it may stay; the caller closes one that may not."""
        user = uid(peer)
        if user not in self._users:
            self._say(user, "user id %s may not connect")
            return False
        inside = [each for each in self._inside.get(user, ()) if each.fileno() != -1]
        allowed = len(inside) < self._most
        if allowed:
            inside.append(peer)
            self._said.discard(user)
        else:
            self._say(user, f"user id %s has {self._most} connections already: no more are taken")
        self._inside[user] = inside
        return allowed

    def _say(self, user: int, what: str) -> None:
        """Once, until one of that user is let in again."""
        if user not in self._said:
            self._said.add(user)
            log.warning(what, user)


async def accepted(server: socket.socket, gate: Gate) -> AsyncIterator[socket.socket]:
    """Those that are let in, for ever; whoever takes one closes it."""
    loop = asyncio.get_running_loop()
    said = ""
    while True:
        try:
            peer, _ = await loop.sock_accept(server)
        except OSError as error:
            if str(error) != said:
                said = str(error)
                log.warning("nobody can connect just now: %s", error)
            await asyncio.sleep(_PAUSE)
            continue
        said = ""
        try:
            kept = gate.lets_in(peer)
        except OSError:
            kept = False
        if kept:
            yield peer
        else:
            peer.close()
