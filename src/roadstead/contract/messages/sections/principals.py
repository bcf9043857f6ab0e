"""The section of principals: whose an access key is, and what its signatures for STS are checked with.

It holds nothing that mints credentials: signing keys are derived for single days and regions and the one service `sts`
(see wire.sigv4), so that who has the file can check tokens of the next days, and sign nothing for any other service.
"""

from __future__ import annotations

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.sections import section


class Principal(Message, frozen=True, kw_only=True):
    """Whose an access key is."""

    arn: str
    id: str
    """AIDA..., or the account of a root."""
    account: str
    keys: dict[str, dict[str, bytes]] = {}
    """Signing keys for the service `sts` by date (yyyymmdd, UTC) and region."""

    def __repr__(self) -> str:
        return f"Principal({self.arn})"


class Principals(section.Body, frozen=True, kw_only=True):
    """The whole section. An access key that is not in it is nobody's."""

    principals: dict[str, Principal] = {}
    """By access key."""


SECTION = section.Section("principals", Principals)
