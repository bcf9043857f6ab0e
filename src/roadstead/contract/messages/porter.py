"""What serve leaves for porter: all that running clusters ask for at run time, in one file.

porter answers from it alone, also while serve is down. It holds nothing that mints credentials: signing keys are
derived for single days and regions and the one service `sts` (see wire.sigv4), so that who has the file can check
tokens of the next days, and sign nothing for any other service.
"""

from __future__ import annotations

import msgspec

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Address, Cidr, Id

FORMAT = 1
"""Of the file: one with another number is not read."""


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


class Cluster(Message, frozen=True, kw_only=True):
    """A cluster and its door, where its API servers come in."""

    name: str
    account: str
    region: str
    certificate: str
    """PEM, of the door."""
    key: str
    """PEM, of the door."""
    bearer: str
    """What the API servers prove themselves with."""
    entries: dict[str, Entry] = {}
    """By the ARN of the principal: `arn:aws:iam::ACCOUNT:user/PATH/NAME`."""
    credentials: dict[str, tuple[str, ...]] = {}
    """Of the house's own users (`roadstead:serve`), the certificates that count: `X509SHA256=...`."""

    def __repr__(self) -> str:
        return f"Cluster({self.account}/{self.region}/{self.name}, {len(self.entries)} entries)"

    @property
    def arn(self) -> str:
        return f"arn:aws:eks:{self.region}:{self.account}:cluster/{self.name}"


class Principal(Message, frozen=True, kw_only=True):
    """Whose an access key is, and what its signatures for STS are checked with."""

    arn: str
    id: str
    """AIDA..., or the account of a root."""
    account: str
    keys: dict[str, dict[str, bytes]] = {}
    """Signing keys for the service `sts` by date (yyyymmdd, UTC) and region."""

    def __repr__(self) -> str:
        return f"Principal({self.arn})"


class Vpc(Message, frozen=True, kw_only=True):
    """A VPC whose resolver answers. Names of its hosts follow from their addresses."""

    region: str
    cidr: Cidr
    resolvers: dict[Id, Address] = {}
    """By subnet: its listeners at the agent are `SUBNET.dns-udp` and `SUBNET.dns-tcp`."""


class Snapshot(Message, frozen=True, kw_only=True):
    """The whole. `revision`: of the store that it was made from."""

    format: int
    revision: int
    clusters: dict[Id, Cluster] = {}
    """By their ids at the agent: `c-1a2b3c4d`; the listener of the webhook is `c-1a2b3c4d.doors`."""
    principals: dict[str, Principal] = {}
    """By access key."""
    vpcs: dict[Id, Vpc] = {}
    """By the network at the agent, `vpc-...`."""


def read(body: bytes) -> Snapshot:
    """Raises msgspec.DecodeError (ValidationError) for what is no snapshot of this format."""
    found = msgspec.json.decode(body, type=Snapshot)
    if found.format != FORMAT:
        raise msgspec.ValidationError(f"a snapshot of format {found.format}; this porter reads {FORMAT}")
    return found


def written(snapshot: Snapshot) -> bytes:
    """JSON, as `read` reads it. It has secrets in the clear: who writes it to a file sees to who may read that."""
    return msgspec.json.encode(snapshot)
