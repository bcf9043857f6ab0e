"""What the provider is told by who works inside of clusters: a protocol, so that neither knows the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from roadstead.core import foreign
from roadstead.provider import node_metadata
from roadstead.store import keys


@dataclass(frozen=True)
class PartReport:
    """Whether something is as it shall be, and if not, why."""

    ready: bool
    reason: str = ""
    refused: bool = False
    """It cannot come to be so, and waiting will not help."""

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


class ClusterReports(Protocol):
    """What is known of clusters by those who work in them."""

    def access(self, cluster: keys.Key) -> PartReport:
        """Whether what every cluster has from the start is in its API."""
        ...

    def node(self, cluster: keys.Key, name: str, marked: node_metadata.NodeMetadata) -> PartReport:
        """Whether a node is Ready, by its name in Kubernetes, and has these labels and taints of its nodegroup."""
        ...

    def drained(self, cluster: keys.Key, name: str) -> bool:
        """Whether nothing that should be moved first runs on a node that is not wanted any more."""
        ...

    def changes(self) -> AsyncIterator[keys.Key]:
        """Clusters of which something new is known, for ever."""
        ...
