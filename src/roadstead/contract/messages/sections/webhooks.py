"""The section of clusters and their webhooks, where their API servers ask."""

from __future__ import annotations

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Id
from roadstead.contract.messages.sections import section


class Cluster(Message, frozen=True, kw_only=True):
    """A cluster and its webhook."""

    name: str
    account: str
    region: str
    certificate: str
    """PEM, of the webhook."""
    key: str
    """PEM, of the webhook."""
    bearer: str
    """What the API servers prove themselves with."""
    credentials: dict[str, tuple[str, ...]] = {}
    """Of the house's own users (`roadstead:serve`), the certificates that count: `X509SHA256=...`."""

    def __repr__(self) -> str:
        return f"Cluster({self.account}/{self.region}/{self.name})"

    @property
    def arn(self) -> str:
        return f"arn:aws:eks:{self.region}:{self.account}:cluster/{self.name}"


class Webhooks(section.Body, frozen=True, kw_only=True):
    """The whole section. A cluster that is not in it is not answered."""

    clusters: dict[Id, Cluster] = {}
    """By their ids at the agent: `c-1a2b3c4d`; for the listener of each see contract.listeners."""


SECTION = section.Section("webhooks", Webhooks)
