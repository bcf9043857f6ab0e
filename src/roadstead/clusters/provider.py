"""What the reconciler asks of the agent: narrow, so that tests have a small one of their own.

Every call names the generation that it is made for. The agent never goes back to an older one, also not for a part
that it has removed; a call of an older generation changes nothing. Calls answer when they are taken, never when they
are done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from roadstead.clusters import nodegroups, observed
from roadstead.store import keys


@dataclass(frozen=True)
class PartSpec:
    """What a part shall be, as the plan has decided: a member of a control plane, or a node in a subnet.

    The rest of what it is made from (labels, the disk's size ...) follows from the desired state of its owner.
    """

    release: str
    """Of Kubernetes, of the whole that it is a part of."""
    zone: str
    subnet: str = ""
    """Of a node: where it has its address."""
    instance_type: str = ""
    """Of a node."""
    runs_kubernetes: bool = True
    """Whether another release is another part, which it becomes by being replaced. What runs nothing of Kubernetes
    (etcd, the edge) is of whatever release it was told last."""


class Provider(Protocol):
    """The agent of one machine."""

    async def tell(self, owner: keys.Key, generation: int, parts: Mapping[str, PartSpec]) -> None:
        """These parts shall be there. One that runs already goes on as it is, until it is replaced."""
        ...

    async def replace(self, owner: keys.Key, part: str, generation: int, incarnation: int, wanted: PartSpec) -> None:
        """Start the part anew, as this. Only if generation and incarnation are still these."""
        ...

    async def remove(self, owner: keys.Key, generation: int, parts: Collection[str], leave: nodegroups.Leave) -> None:
        """These parts shall not be there, whether they were or not. A node goes when nothing is left on it that is to
        leave it first, or at once when nobody waits for it (DROPPED); asked for again, as it is said last."""
        ...

    async def see(self, owner: keys.Key) -> observed.Projection:
        """All parts of it that the agent knows, also removed ones."""
        ...

    def changes(self) -> AsyncIterator[keys.Key]:
        """Whose parts have changed, for ever. One that began before a change tells of it."""
        ...
