"""The snapshot of earlier releases: all of it in one file, which is read until serve has written the sections.

So a porter of this release answers from what the serve of an earlier one has left, also if serve does not come up.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Id
from roadstead.contract.messages.sections import access, names, principals, section, webhooks

FILE = "snapshot"
"""In the folder of sections."""
_FORMAT = 1


class Cluster(Message, frozen=True, kw_only=True):
    """A cluster with its webhook and who may come in."""

    name: str
    account: str
    region: str
    certificate: str
    key: str
    bearer: str
    entries: dict[str, access.Entry] = {}
    credentials: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"Cluster({self.account}/{self.region}/{self.name}, {len(self.entries)} entries)"


class Snapshot(Message, frozen=True, kw_only=True):
    """The whole file; by the same keys as the sections that it becomes."""

    format: int
    revision: int
    clusters: dict[Id, Cluster] = {}
    principals: dict[str, principals.Principal] = {}
    vpcs: dict[Id, names.Vpc] = {}


def read(body: bytes) -> Mapping[str, section.Body]:
    """The sections by their names. Raises msgspec.DecodeError, UnicodeDecodeError for what is no such file."""
    found = msgspec.json.decode(body, type=Snapshot)
    if found.format != _FORMAT:
        raise msgspec.ValidationError(f"a snapshot of format {found.format}; this program reads {_FORMAT}")
    hooks = {
        id: webhooks.Cluster(
            name=one.name,
            account=one.account,
            region=one.region,
            certificate=one.certificate,
            key=one.key,
            bearer=one.bearer,
            credentials=one.credentials,
        )
        for id, one in found.clusters.items()
    }
    entries = {id: one.entries for id, one in found.clusters.items()}
    at = found.revision
    return {
        webhooks.SECTION.name: webhooks.Webhooks(format=webhooks.SECTION.format, revision=at, clusters=hooks),
        access.SECTION.name: access.Access(format=access.SECTION.format, revision=at, entries=entries),
        principals.SECTION.name: principals.Principals(
            format=principals.SECTION.format, revision=at, principals=found.principals
        ),
        names.SECTION.name: names.Names(format=names.SECTION.format, revision=at, vpcs=found.vpcs),
    }
