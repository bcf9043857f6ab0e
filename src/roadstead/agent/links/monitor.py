"""Tells that something in a namespace has changed: links, addresses, routes, neighbours, nftables.

The kernel multicasts each change; nothing is parsed, only noticed. Who is told then looks for what differs, so a
change of our own costs one look and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from typing import TYPE_CHECKING

from roadstead.agent.links import namespaces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NETLINK_NETFILTER = 12
# Bits are RTNLGRP_* - 1 of linux/rtnetlink.h and NFNLGRP_NFTABLES - 1 of linux/netfilter/nfnetlink.h.
_LINKS = 1 << 0
_NEIGHBOURS = 1 << 2
_ADDRESSES = 1 << 4
_ROUTES = 1 << 6
_NFTABLES = 1 << 6


class Monitor:
    """Two sockets in a namespace that call `changed` in the running loop. Close it in the same loop."""

    def __init__(self, path: Path | None, changed: Callable[[], None], *, neighbours: bool) -> None:
        """`neighbours`: also their changes; in the machine's own namespace they come and go all the time."""
        groups = _LINKS | _ADDRESSES | _ROUTES | (_NEIGHBOURS if neighbours else 0)
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        try:
            for protocol, mask in ((socket.NETLINK_ROUTE, groups), (_NETLINK_NETFILTER, _NFTABLES)):
                made = namespaces.open_socket(path, socket.AF_NETLINK, socket.SOCK_RAW, protocol)
                self._sockets.append(made)
                made.setblocking(False)
                made.bind((0, mask))
                self._loop.add_reader(made, self._read, made)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        while self._sockets:
            made = self._sockets.pop()
            self._loop.remove_reader(made)
            made.close()

    def _read(self, made: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    made.recv(65536)
                except OSError as error:
                    # More came than the socket holds: what was lost was news as well.
                    if error.errno != errno.ENOBUFS:
                        raise
        self._changed()
