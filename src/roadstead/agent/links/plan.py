"""From what a namespace must hold and what it holds to the steps between. Pure.

The steps of a plan that found nothing to do are empty; so the same plan tells what to make and what has drifted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from roadstead.agent.links import resources


@dataclass(frozen=True)
class PutLink:
    """Add the thing, or set it where it is another."""

    thing: resources.Thing


@dataclass(frozen=True)
class Drop:
    """Remove the thing; that it is gone already is well."""

    thing: resources.Thing


Step = PutLink | Drop


def pair_is_whole(pair: resources.Pair, near: resources.View, far: resources.View) -> bool:
    """Whether both ends are there and are each other's."""
    one, other = near.links.get(pair.near.name), far.links.get(pair.far.name)
    return one is not None and other is not None and (one.peer, other.peer) == (other.index, one.index)


def without(view: resources.View, device: str) -> resources.View:
    """The view once a device is gone, with all that the kernel removes with it."""
    return resources.View(
        links={name: link for name, link in view.links.items() if name != device},
        addresses=frozenset(address for address in view.addresses if address.device != device),
        neighbours=frozenset(neighbour for neighbour in view.neighbours if neighbour.device != device),
        routes=frozenset(route for route in view.routes if route.device != device),
        rules=view.rules,
    )


def plan(side: resources.Side, view: resources.View) -> list[Step]:
    """The steps that lead from what is seen to what is wanted; what is too much goes first.

    A wanted link that is not seen is taken as about to be made (a pair is made across two namespaces, by the caller).
    """
    for name in _strays(side, view):
        view = without(view, name)
    devices = {link.name for link in side.links}
    if "lo" in side.exact:
        # Whose loopback it is, his are the routes without a device.
        devices.add("")
    surplus: list[resources.Thing] = [
        *(
            route
            for route in view.routes - side.routes
            if route.device in devices or (side.whole and not (side.others and route.device.startswith(side.others)))
        ),
        *(rule for rule in view.rules - side.rules if side.whole),
        *(neighbour for neighbour in view.neighbours - side.neighbours if neighbour.device in side.exact),
        *(address for address in view.addresses - side.addresses if address.device in side.exact),
    ]
    for thing in surplus:
        if isinstance(thing, resources.Address):
            # The kernel removes routes with the address they name as their source.
            gone = thing.cidr.partition("/")[0]
            view = replace(view, routes=frozenset(route for route in view.routes if route.source != gone))
    lacking: list[resources.Thing] = [
        *(link for link in side.links if not _as_wanted(link, view.links.get(link.name))),
        *_ordered(side.addresses - view.addresses),
        *_ordered(side.neighbours - view.neighbours),
        *_ordered(side.routes - view.routes),
        *_ordered(side.rules - view.rules),
    ]
    return [Drop(thing) for thing in surplus] + [PutLink(thing) for thing in lacking]


def strays(side: resources.Side, view: resources.View) -> list[Step]:
    """The links that are not wanted any more."""
    return [Drop(resources.Link(name)) for name in _strays(side, view)]


def say(step: Step) -> str:
    """What differs, for a human."""
    match step:
        case PutLink(thing):
            state = "missing, down or changed" if isinstance(thing, resources.Link) else "missing"
            return f"{describe(thing)} is {state}"
        case Drop(thing):
            return f"{describe(thing)} should not be there"
        case _:
            assert_never(step)


def describe(thing: resources.Thing) -> str:
    """The thing in the words of ip(8)."""
    match thing:
        case resources.Link(name=name):
            return f"link {name}"
        case resources.Address(device=device, cidr=cidr):
            return f"address {cidr} of {device}"
        case resources.Neighbour(device=device, address=address, mac=mac):
            return f"neighbour {address} ({mac}) of {device}"
        case resources.LinkRoute(to=to, device=device, via=via, table=table):
            way = f"by {device}" if device else "unreachable"
            table_name = "" if table == resources.MAIN else f" in table {table}"
            return f"route to {to}{f' via {via}' if via else ''} {way}{table_name}"
        case resources.PolicyRule(source=source, table=table):
            return f"rule from {source} to table {table}"
        case _:
            assert_never(thing)


def _as_wanted(link: resources.Link, seen: resources.SeenLink | None) -> bool:
    if seen is None:
        return False
    return seen.up and link.mac in ("", seen.mac) and link.alias in ("", seen.alias)


def _strays(side: resources.Side, view: resources.View) -> list[str]:
    wanted = {link.name for link in side.links} | side.spared
    return [
        name
        for name, link in view.links.items()
        if name not in wanted and ((side.strays and link.alias.startswith(side.strays)) or name in side.stray_names)
    ]


def _ordered(wanted: frozenset[resources.Thing]) -> list[resources.Thing]:
    """Sets have no order; what is made by them shall have one, so that two runs are alike."""
    return sorted(wanted, key=str)
