"""A network namespace through rtnetlink: sees what it holds, makes steps.

One socket per namespace, opened once by a thread inside it; afterwards any thread may use it. Messages and their codec
are pyroute2's. Everything here blocks, for fractions of a millisecond: it belongs in a thread of its own.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, assert_never

from pyroute2.iproute import linux
from pyroute2.netlink import exceptions

from roadstead.agent.links import namespaces, plan, things
from roadstead.core import errors

if TYPE_CHECKING:
    from pathlib import Path

PROTOCOL = 77
"""Marks routes as ours (rtm_protocol); numbers above 4 are free for routing daemons to take, see rtnetlink(7)."""

# Bits are RTNLGRP_* - 1 of linux/rtnetlink.h: links, neighbours, IPv4 addresses, routes and rules.
_NEWS = 1 << 0 | 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7
_LOOPBACK = 1
"""Its index in every namespace: LOOPBACK_IFINDEX of linux/net_namespace.h."""
_UP = 1
_PERMANENT = 128
_UNICAST = 1
_UNREACHABLE = 7
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.EADDRNOTAVAIL)


class Kernel:
    """The netlink socket of one namespace. Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises NotFound when there is no namespace at `path`."""
        self.path = path
        with namespaces.opened(path) as namespace, namespaces.entered(namespace):
            self._socket: Any = linux.IPRoute(strict_check=True)  # type: ignore[no-untyped-call]
            self._news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._news.setblocking(False)
        self._news.bind((0, _NEWS))
        self._view: things.View | None = None

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()
        self._news.close()

    def link(self, name: str) -> things.SeenLink | None:
        """One interface, asked for by its name: cheap however many there are."""
        try:
            return _seen(self._socket.link("get", ifname=name)[0])
        except exceptions.NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise _failed(f"look for link {name}", error) from error

    def links(self) -> dict[str, things.SeenLink]:
        """All interfaces by name."""
        return {link.name: link for link in map(_seen, self._socket.get_links())}

    def see(self) -> things.View:
        """All that is ours in the namespace.

        Decoding a large namespace takes a while (0.5 ms per host), so a view is kept for as long as the kernel has not
        told of a change: its notices are there before the call that made the change returns.
        """
        if self._has_news() or self._view is None:
            self._view = self._look()
        return self._view

    def _has_news(self) -> bool:
        """Whether anything has changed since this was asked last."""
        news = False
        while True:
            try:
                self._news.recv(65536)
            except BlockingIOError:
                return news
            except OSError as error:
                # More came than the socket holds.
                if error.errno != errno.ENOBUFS:
                    raise
            news = True

    def _look(self) -> things.View:
        links = self.links()
        names = {link.index: link.name for link in links.values()}
        return things.View(
            links=links,
            addresses=frozenset(
                things.Address(names.get(seen["index"], ""), f"{seen.get('local')}/{seen['prefixlen']}")
                for seen in self._socket.get_addr(family=2)
            ),
            neighbours=frozenset(
                things.Neighbour(names.get(seen["ifindex"], ""), seen.get("dst"), seen.get("lladdr"))
                for seen in self._socket.get_neighbours(family=2)
                if seen["state"] & _PERMANENT and seen.get("lladdr")
            ),
            routes=frozenset(
                things.Route(
                    f"{seen.get('dst') or '0.0.0.0'}/{seen['dst_len']}",
                    names.get(seen.get("oif"), "") if seen["type"] == _UNICAST else "",
                    seen.get("gateway") or "",
                    seen.get("prefsrc") or "",
                    seen.get("table"),
                )
                for seen in self._socket.get_routes(family=2, proto=PROTOCOL)
                if seen["type"] in (_UNICAST, _UNREACHABLE)
            ),
            rules=frozenset(
                things.Rule(f"{seen.get('src')}/{seen['src_len']}", seen.get("table"))
                for seen in self._socket.get_rules(family=2)
                if seen.get("src") and seen.get("priority") == seen.get("table")
            ),
        )

    def foreign_addresses(self) -> list[str]:
        """CIDRs of all addresses and of all routes but the default: what a new address must not collide with."""
        found = [f"{seen.get('local')}/{seen['prefixlen']}" for seen in self._socket.get_addr(family=2)]
        routes = self._socket.get_routes(family=2, table=things.MAIN)
        return found + [f"{seen.get('dst')}/{seen['dst_len']}" for seen in routes if seen.get("dst")]

    def add_pair(self, pair: things.Pair, far: Kernel) -> None:
        """Make a veth with its far end straight in the other namespace. Both ends are down and bare."""
        with namespaces.opened(far.path) as namespace:
            self._ask(
                f"make the link {pair.near.name}",
                "link",
                "add",
                kind="veth",
                ifname=pair.near.name,
                address=pair.near.mac,
                peer={"ifname": pair.far.name, "address": pair.far.mac, "net_ns_fd": namespace},
            )

    def make(self, steps: list[plan.Step]) -> None:
        """Do the steps in their order. Raises Failed at the first that the kernel refuses."""
        indices = {"lo": _LOOPBACK}
        for step in steps:
            match step:
                case plan.Put(thing):
                    self._put(thing, indices)
                case plan.Drop(thing):
                    self._drop(thing, indices)
                case _:
                    assert_never(step)

    def _put(self, thing: things.Thing, indices: dict[str, int]) -> None:
        what = f"set {plan.describe(thing)}"
        match thing:
            case things.Link(name=name, mac=mac, alias=alias):
                wanted = {"address": mac, "ifalias": alias}
                given = {key: value for key, value in wanted.items() if value}
                self._ask(what, "link", "set", index=self._index(name, indices), state="up", **given)
            case things.Address(device=device, cidr=cidr):
                address, _, length = cidr.partition("/")
                at = {"index": self._index(device, indices), "address": address, "prefixlen": int(length)}
                self._ask(what, "addr", "replace", **at)
            case things.Neighbour(device=device, address=address, mac=mac):
                at = {"ifindex": self._index(device, indices), "dst": address, "lladdr": mac}
                self._ask(what, "neigh", "replace", state="permanent", **at)
            case things.Route():
                self._ask(what, "route", "replace", **self._route(thing, indices))
            case things.Rule(source=source, table=table):
                self._ask(what, "rule", "add", family=2, src=source, table=table, priority=table)
            case _:
                assert_never(thing)

    def _drop(self, thing: things.Thing, indices: dict[str, int]) -> None:
        what = f"remove {plan.describe(thing)}"
        try:
            match thing:
                case things.Link(name=name):
                    self._ask(what, "link", "del", index=self._index(name, indices))
                case things.Address(device=device, cidr=cidr):
                    address, _, length = cidr.partition("/")
                    at = {"index": self._index(device, indices), "address": address, "prefixlen": int(length)}
                    self._ask(what, "addr", "del", **at)
                case things.Neighbour(device=device, address=address):
                    self._ask(what, "neigh", "del", ifindex=self._index(device, indices), dst=address)
                case things.Route():
                    self._ask(what, "route", "del", **self._route(thing, indices))
                case things.Rule(source=source, table=table):
                    self._ask(what, "rule", "del", family=2, src=source, table=table, priority=table)
                case _:
                    assert_never(thing)
        except errors.Failed as error:
            if error.facts.get("errno") not in [str(number) for number in _GONE]:
                raise

    def _route(self, route: things.Route, indices: dict[str, int]) -> dict[str, Any]:
        message: dict[str, Any] = {"dst": route.to, "proto": PROTOCOL, "table": route.table}
        if not route.device:
            return {**message, "type": "unreachable"}
        message["oif"] = self._index(route.device, indices)
        if route.via:
            # The next hop is on no network of the device: it is a neighbour by our word.
            message |= {"gateway": route.via, "flags": ["onlink"]}
        else:
            message["scope"] = "link"
        if route.source:
            message["prefsrc"] = route.source
        return message

    def _index(self, name: str, indices: dict[str, int]) -> int:
        if name not in indices:
            # A tenth of what it costs to have the whole link told and decoded.
            with namespaces.opened(self.path) as namespace, namespaces.entered(namespace):
                try:
                    indices[name] = socket.if_nametoindex(name)
                except OSError as error:
                    raise errors.Failed(
                        f"there is no link {name} in {self.path}", errno=errno.ENODEV, path=self.path
                    ) from error
        return indices[name]

    def _ask(self, what: str, method: str, *arguments: str, **message: Any) -> None:
        try:
            getattr(self._socket, method)(*arguments, **message)
        except exceptions.NetlinkError as error:
            raise _failed(f"{what} in {self.path}", error) from error


def _seen(message: Any) -> things.SeenLink:
    return things.SeenLink(
        name=message.get("ifname"),
        index=message["index"],
        peer=message.get("link") or 0,
        up=bool(message["flags"] & _UP),
        mac=message.get("address") or "",
        alias=message.get("ifalias") or "",
    )


def _failed(what: str, error: exceptions.NetlinkError) -> errors.Failed:
    return errors.Failed(f"could not {what}: {error.args[-1]}", errno=error.code)
