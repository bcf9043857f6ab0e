"""The section of names: the VPCs whose resolvers answer."""

from __future__ import annotations

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Address, Cidr, Id
from roadstead.contract.messages.sections import section


class Vpc(Message, frozen=True, kw_only=True):
    """A VPC whose resolver answers. Names of its hosts follow from their addresses."""

    region: str
    cidr: Cidr
    resolvers: dict[Id, Address] = {}
    """By subnet; for the listeners of each see contract.listeners."""


class Names(section.Body, frozen=True, kw_only=True):
    """The whole section. Of a VPC that is not in it no name is known."""

    vpcs: dict[Id, Vpc] = {}
    """By the network at the agent, `vpc-...`."""


SECTION = section.Section("names", Names)
