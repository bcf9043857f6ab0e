"""A network namespace through rtnetlink: sees what it holds, makes steps.

Its sockets are opened by a thread inside it; afterwards any thread may use them. What is seen is asked for and decoded
by pyroute2, whose sockets cost a millisecond each; requests are `messages`, on a bare socket. Everything here blocks,
for fractions of a millisecond: it belongs in a thread of its own.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
from typing import TYPE_CHECKING, Any, assert_never

from pyroute2.iproute import linux
from pyroute2.netlink import exceptions

from roadstead.agent.links import messages, namespaces, plan, resources
from roadstead.core import errors

if TYPE_CHECKING:
    from pathlib import Path

# Bits are RTNLGRP_* - 1 of linux/rtnetlink.h: links, neighbours, IPv4 addresses, routes and rules.
_NEWS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7
_LOOPBACK = 1
"""Its index in every namespace: LOOPBACK_IFINDEX of linux/net_namespace.h."""
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL)

# Of linux/netlink.h: refusals come with the kernel's own words, and without the request that they are of.
_SOL_NETLINK = 270
_CAP_ACK, _EXT_ACK = 10, 11
_MOST_BYTES = 65536


class Kernel:
    """The sockets of one namespace. Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises NotFound when there is no namespace at `path`."""
        self.path = path
        with namespaces.opened(path) as namespace, namespaces.entered(namespace):
            self._asks = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            # Another namespace may come to have this path.
            self._namespace = os.dup(namespace)
        for option in (_CAP_ACK, _EXT_ACK):
            self._asks.setsockopt(_SOL_NETLINK, option, 1)
        self._sequence = 0
        self._news: socket.socket | None = None
        self._view: resources.View | None = None

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._asks.close()
        if self._news is not None:
            self._news.close()
        if "_reads" in self.__dict__:
            self._reads.close()
        # Once: the number may be another file's by then.
        namespace, self._namespace = self._namespace, -1
        if namespace >= 0:
            os.close(namespace)

    @functools.cached_property
    def _reads(self) -> Any:
        with namespaces.entered(self._namespace):
            return linux.IPRoute(strict_check=True)  # type: ignore[no-untyped-call]

    def link(self, name: str) -> resources.SeenLink | None:
        """One interface, asked for by its name: cheap however many there are."""
        try:
            return _seen(self._reads.link("get", ifname=name)[0])
        except exceptions.NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise _failed(f"look for link {name}", error) from error

    def index(self, name: str) -> int:
        """The number of the interface of that name, which no other comes to have; 0: there is none. Raises Failed."""
        try:
            return self._index(name, {})
        except errors.Failed as error:
            if error.facts.get("errno") == str(errno.ENODEV):
                return 0
            raise

    def remove(self, name: str, index: int) -> None:
        """Remove the interface of that number, and none that has come to have its name. Raises Failed."""
        self._drop(resources.Link(name), {name: index})

    def links(self) -> dict[str, resources.SeenLink]:
        """All interfaces by name."""
        return {link.name: link for link in map(_seen, self._reads.get_links())}

    def see(self) -> resources.View:
        """All that is ours in the namespace.

        Decoding a large namespace takes a while (0.5 ms per host), so a view is kept for as long as the kernel has not
        told of a change: its notices are there before the call that made the change returns.
        """
        if self._has_news() or self._view is None:
            self._view = self._look()
        return self._view

    def _has_news(self) -> bool:
        """Whether anything has changed since this was asked last, or it is asked for the first time."""
        if self._news is None:
            with namespaces.entered(self._namespace):
                self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._news.setblocking(False)
            self._news.bind((0, _NEWS))
            return True
        news = False
        while True:
            try:
                self._news.recv(_MOST_BYTES)
            except BlockingIOError:
                return news
            except OSError as error:
                # More came than the socket holds.
                if error.errno != errno.ENOBUFS:
                    raise
            news = True

    def _look(self) -> resources.View:
        links = self.links()
        names = {link.index: link.name for link in links.values()}
        return resources.View(
            links=links,
            addresses=frozenset(
                resources.Address(names.get(seen["index"], ""), f"{seen.get('local')}/{seen['prefixlen']}")
                for seen in self._reads.get_addr(family=2)
            ),
            neighbours=frozenset(
                resources.Neighbour(names.get(seen["ifindex"], ""), seen.get("dst"), seen.get("lladdr"))
                for seen in self._reads.get_neighbours(family=2)
                if seen["state"] & messages.PERMANENT and seen.get("lladdr")
            ),
            routes=frozenset(
                resources.LinkRoute(
                    f"{seen.get('dst') or '0.0.0.0'}/{seen['dst_len']}",
                    names.get(seen.get("oif"), "") if seen["type"] == messages.UNICAST else "",
                    seen.get("gateway") or "",
                    seen.get("prefsrc") or "",
                    seen.get("table"),
                )
                for seen in self._reads.get_routes(family=2, proto=messages.PROTOCOL)
                if seen["type"] in (messages.UNICAST, messages.UNREACHABLE)
            ),
            rules=frozenset(
                resources.PolicyRule(f"{seen.get('src')}/{seen['src_len']}", seen.get("table"))
                for seen in self._reads.get_rules(family=2)
                if seen.get("src") and seen.get("priority") == seen.get("table")
            ),
        )

    def foreign_addresses(self) -> list[str]:
        """CIDRs of all addresses and of all routes but the default: what a new address must not collide with."""
        found = [f"{seen.get('local')}/{seen['prefixlen']}" for seen in self._reads.get_addr(family=2)]
        routes = self._reads.get_routes(family=2, table=resources.MAIN)
        return found + [f"{seen.get('dst')}/{seen['dst_len']}" for seen in routes if seen.get("dst")]

    def add_pair(self, pair: resources.Pair, far: Kernel) -> None:
        """Make a veth with its far end straight in the other namespace. Both ends are down and bare."""
        self._ask(f"make the link {pair.near.name}", messages.pair(pair, far._namespace))

    def make(self, steps: list[plan.Step]) -> None:
        """Do the steps in their order. Raises Failed at the first that the kernel refuses."""
        indices = {"": 0, "lo": _LOOPBACK}
        for step in steps:
            match step:
                case plan.PutLink(thing):
                    index = self._index(messages.device_of(thing), indices)
                    self._ask(f"set {plan.describe(thing)}", messages.put(thing, index))
                case plan.Drop(thing):
                    self._drop(thing, indices)
                case _:
                    assert_never(step)

    def _drop(self, thing: resources.Thing, indices: dict[str, int]) -> None:
        try:
            index = self._index(messages.device_of(thing), indices)
            self._ask(f"remove {plan.describe(thing)}", messages.drop(thing, index))
        except errors.Failed as error:
            if error.facts.get("errno") not in [str(number) for number in _GONE]:
                raise

    def _index(self, name: str, indices: dict[str, int]) -> int:
        if name not in indices:
            told = self._ask(f"look for the link {name}", messages.index_of(name))
            indices[name] = messages.index_in(told)
        return indices[name]

    def _ask(self, what: str, request: messages.NetlinkRequest) -> bytes:
        """The packet that the kernel told before it said that all is well, if it told one. Raises Failed."""
        self._sequence += 1
        told = b""
        try:
            self._asks.sendto(request.packet(self._sequence), (0, 0))
            while (answer := messages.answer(packet := self._asks.recv(_MOST_BYTES), self._sequence)) is None:
                told = packet
        except OSError as error:
            raise errors.Failed(f"could not {what} in {self.path}: {error.strerror}", errno=error.errno) from error
        if answer.errno:
            raise errors.Failed(f"could not {what} in {self.path}: {answer.words}", errno=answer.errno, path=self.path)
        return told


def _seen(message: Any) -> resources.SeenLink:
    return resources.SeenLink(
        name=message.get("ifname"),
        index=message["index"],
        peer=message.get("link") or 0,
        up=bool(message["flags"] & messages.UP),
        mac=message.get("address") or "",
        alias=message.get("ifalias") or "",
        kind=message.get(("linkinfo", "kind")) or "",
        master=message.get("master") or 0,
    )


def _failed(what: str, error: exceptions.NetlinkError) -> errors.Failed:
    return errors.Failed(f"could not {what}: {error.args[-1]}", errno=error.code)
