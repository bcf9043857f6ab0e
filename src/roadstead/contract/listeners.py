"""Listening sockets that serve asks the agent for, and that porter fetches by these names."""

from __future__ import annotations

from typing import Literal

PORTER = "porter"
"""The process that fetches them."""
AUTHENTICATE, AUTHORIZE = "/authenticate", "/authorize"
"""Where API servers ask at a cluster's webhook."""

Protocol = Literal["udp", "tcp"]
PROTOCOLS: tuple[Protocol, ...] = ("udp", "tcp")


def webhook(cluster: str) -> str:
    """Of the cluster with that id at the agent. The name is of earlier releases, whose listeners are adopted."""
    return f"{cluster}.doors"


def resolver(subnet: str, protocol: Protocol) -> str:
    """Of the resolver in the subnet with that id, `subnet-1a2b.dns-udp`; see messages.porter.Vpc."""
    return f"{subnet}.dns-{protocol}"
