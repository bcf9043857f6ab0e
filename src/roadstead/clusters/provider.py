"""What turns the parts of clusters and nodegroups into something that runs: the face that every substrate implements.

The agent of one machine is the first (`provider.machine`); control planes as workloads of a Kubernetes that exists may
be another. Nothing here says what a part is made of, on how many machines, or who shares a disk with whom. Whoever
implements it promises, and `tests/world/test_world_provider_face.py` tries with each of them:

- **Generations.** Every call names the generation of its owner's desired state that it was decided from. A call of
  another than the newest changes nothing, however late it comes, also not for a part that is gone: what was removed by
  a generation is not made again by an earlier one.
- **Idempotence.** A call that is made again, by the same caller or by one that was started anew, changes nothing more.
  A replacement is for one incarnation of its part: doubled, or late, it replaces nothing.
- **Order.** Calls answer when they are taken, never when they are done, and may be done in any order; the caller
  decides what is safe next from what it sees. What is seen is not older than what was seen before.
- **Nothing is disturbed** but by `replace` and `remove`: a part that runs is told of newer generations as it runs.
- **Errors.** What was told, cannot be made, and would not be by asking again at once, is seen (REFUSED, with its
  reason), not raised. What is raised (`core.errors`) was not done, or is not known to be, and is asked for again.
- **Known before.** `prepare` of a release says whether parts of it could be made, and disturbs nothing.
- **Nothing is lost.** What was told and not removed is kept, and made again, by whoever it was told to; the caller asks
  again only for what it does not see.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from roadstead.clusters import observed
from roadstead.contract import leaving
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
    """See above. `owner`: the key of a cluster or a nodegroup; parts are named within it."""

    async def prepare(self, release: str) -> None:
        """See to it that what parts of a release of Kubernetes are made of is here; nothing is made of it yet.

        Raises Busy while it is being got, another of core.errors with its reason when it is not to be had. May be asked
        again.
        """
        ...

    async def tell(self, owner: keys.Key, generation: int, parts: Mapping[str, PartSpec]) -> None:
        """These parts shall be there, as this. One that runs already goes on as it is, until it is replaced."""
        ...

    async def replace(self, owner: keys.Key, part: str, generation: int, incarnation: int, wanted: PartSpec) -> None:
        """Start the part anew, as this. Only if generation and incarnation are still these, as they were seen."""
        ...

    async def remove(self, owner: keys.Key, generation: int, parts: Collection[str], leave: leaving.Leave) -> None:
        """These parts shall not be there, whether they were or not: each is seen to be absent by this generation then.

        A node goes when nothing is left on it that is to leave it first, or at once when nobody waits for it (DROPPED).
        Asked for until it is seen: what has to wait for something is done by a later call, as that one says.
        """
        ...

    async def see(self, owner: keys.Key) -> observed.Projection:
        """All parts of it that are known, also removed ones. Empty for an owner that is gone."""
        ...

    def changes(self) -> AsyncIterator[keys.Key]:
        """Whose parts may be seen to have changed, for ever. One that began before a change tells of it."""
        ...
