"""What clusters and nodegroups of all accounts and regions are promised, and whether more can be."""

from __future__ import annotations

from roadstead.clusters import nodegroups, observed, spec, views
from roadstead.clusters.capacity import facts as machine
from roadstead.clusters.capacity import sums
from roadstead.store import facts, interface, writes


async def room(store: interface.Store, asked: sums.Load) -> tuple[writes.Put, ...]:
    """What a transaction that asks for that much has to write, so that no other one takes the same room.

    Raises LimitExceeded when the machine cannot carry it. Nothing is refused while the machine is not known.
    """
    seen, taking = await machine.taking(store)
    if seen is None or asked == sums.Load():
        return ()
    sums.check(seen, await _promised(store), asked)
    return (taking,)


def of_cluster(state: facts.State) -> sums.Promised:
    """Also one that is being deleted has what it has until it is gone. Pure."""
    wanted, seen = spec.read(state.desired.body), views.seen(state)
    one = sums.Load(control_planes=1)
    coming = views.cluster_status(wanted, seen) == "CREATING"
    return sums.Promised(one, one if coming else sums.Load())


def of_nodegroup(state: facts.State) -> sums.Promised:
    """The nodes that it is to have, or still has; coming are those that are not ready yet. Pure."""
    wanted, seen = nodegroups.read(state.desired.body), views.seen(state)
    parts = seen.parts if seen else ()
    asked = 0 if wanted.deleting else wanted.scaling.desired
    ready = sum(part.phase is observed.Phase.READY for part in parts)
    return sums.Promised(sums.Load(nodes=max(asked, len(parts))), sums.Load(nodes=max(0, asked - ready)))


async def _promised(store: interface.Store) -> sums.Promised:
    found = [of_cluster(state) for state in (await interface.everything(store, kind=spec.KIND)).items]
    found += [of_nodegroup(state) for state in (await interface.everything(store, kind=nodegroups.KIND)).items]
    return sums.Promised(
        sum((each.all for each in found), sums.Load()), sum((each.coming for each in found), sums.Load())
    )
