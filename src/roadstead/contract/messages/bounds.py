"""What of the machine itself those may have who are not root, when root has not said otherwise.

serve gives to clusters from these ranges, and the agent refuses what is outside of them. `roadstead start` has flags
that change them.
"""

from __future__ import annotations

import ipaddress
import re

from roadstead.core import addresses

NETWORKS = addresses.CONTROL_PLANES
"""Of networks that users of the machine enter: the machine has a route to them. Control planes have theirs from it."""

PORTS = "16443-20538"
"""Of the machine that lead to hosts: endpoints of clusters."""

NONE = "none"
_LARGEST = 8
"""The shortest prefix of a range: a shorter one is half of the world."""


def ports(text: str) -> range:
    """`FIRST-LAST`, both of them in it, or one port. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
    if found is None:
        raise ValueError(f"{text!r}: ports are FIRST-LAST")
    first, last = int(found[1]), int(found[2] or found[1])
    if not 1024 <= first <= last <= 65535:
        raise ValueError(f"{text}: ports are from 1024 to 65535, the lower one first")
    return range(first, last + 1)


def networks(text: str) -> tuple[str, ...]:
    """CIDRs, with commas between them; `none` for none. Raises ValueError."""
    found = [] if text == NONE else [ipaddress.IPv4Network(one) for one in text.split(",")]
    for one in found:
        if one.prefixlen < _LARGEST or one.is_loopback or one.is_multicast or one.is_link_local:
            raise ValueError(f"{one}: the machine cannot spare this network")
    return tuple(map(str, found))


def numbers(text: str) -> frozenset[int]:
    """Port numbers, with commas between them; `none` for none. Raises ValueError."""
    found = frozenset() if text == NONE else frozenset(int(one) for one in text.split(","))
    if any(not 1 <= one <= 65535 for one in found):
        raise ValueError(f"{text}: ports are from 1 to 65535")
    return found
