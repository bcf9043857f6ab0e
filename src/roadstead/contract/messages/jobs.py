"""Typed one-shot work. A job has an id of the caller's: the same id with the same job is done once."""

from __future__ import annotations

from typing import Literal

from roadstead.contract.messages.desired import Message
from roadstead.contract.messages.forms import Digest, FileName, FlagValue, Generation, Hostname, Id


class ImageImport(Message, tag="image-import", tag_field="type", frozen=True, kw_only=True):
    """Import an OCI archive (a blob) into the containerd of a node."""

    host: Id
    engine: Id
    """The installed engine that has `ctr`."""
    archive: Digest


class ImageList(Message, tag="image-list", tag_field="type", frozen=True, kw_only=True):
    """The names of the images that pods of a node can use, a line each: those that its CRI has taken in."""

    host: Id
    engine: Id
    """The installed engine that has `ctr`."""


class EtcdMember(Message, tag="etcd-member", tag_field="type", frozen=True, kw_only=True):
    """Ask a member of an etcd cluster, through the files of its unit, for a change of the membership."""

    host: Id
    unit: Id
    engine: Id
    """The installed engine that has `etcdctl`."""
    action: Literal["list", "add-learner", "promote", "remove"]
    endpoint: FlagValue
    """A client URL of a member that is alive."""
    name: Hostname | None = None
    """The new member's name (add-learner)."""
    peer_url: FlagValue | None = None
    """The new member's peer URL (add-learner)."""
    member: FlagValue | None = None
    """The member's id in hexadecimal (promote, remove)."""
    ca: FileName | None = None
    certificate: FileName | None = None
    key: FileName | None = None


Job = ImageImport | ImageList | EtcdMember

LARGEST = 8 * 2**30
"""Bytes of one blob at most: an archive of images may be large, an endless stream is none."""
_SHORTEST = 120.0


def longest(archive: int = 0) -> float:
    """Seconds after which the agent ends a job. `archive`: the size in bytes of what is imported, if anything is.

    An import is read, unpacked and written on all nodes of a cluster side by side: a second for each MiB lets a disk
    that writes 100 MiB a second serve a hundred nodes. The limit is for what hangs; what works is done long before.
    """
    return _SHORTEST + archive / 2**20


class JobRequest(Message, frozen=True, kw_only=True):
    """`expect` names generations that must be the current ones, by `KIND/ID`; else the job is refused."""

    job: Job
    expect: dict[str, Generation] = {}
