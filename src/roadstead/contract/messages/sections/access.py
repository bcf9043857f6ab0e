"""The section of access entries: who may come in to which cluster, and as whom."""

from __future__ import annotations

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Id
from roadstead.contract.messages.sections import section


class Policy(Message, frozen=True, kw_only=True):
    """An access policy that somebody has. `namespaces` empty: on the whole cluster."""

    name: str
    """`AmazonEKSClusterAdminPolicy`."""
    namespaces: tuple[str, ...] = ()


class Entry(Message, frozen=True, kw_only=True):
    """Who may come in to a cluster, and as whom."""

    principal_id: str
    """AIDA..., AROA... or the account of a root: one of the same ARN that is made later is another."""
    username: str
    groups: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()


class Access(section.Body, frozen=True, kw_only=True):
    """The whole section. A cluster without entries need not be in it."""

    entries: dict[Id, dict[str, Entry]] = {}
    """By the cluster's id at the agent, and the ARN of the principal: `arn:aws:iam::ACCOUNT:user/PATH/NAME`."""

    def __repr__(self) -> str:
        return f"Access({self.revision}, {sum(map(len, self.entries.values()))} entries)"


SECTION = section.Section("access", Access)
