"""What the store knows of a cluster, for checks."""

from __future__ import annotations

from roadstead.clusters import nodegroups, spec, views
from roadstead.clusters.allocation import ipam
from roadstead.clusters.insights import facts
from roadstead.network import sizes
from roadstead.network import spec as network
from roadstead.store import facts as stored
from roadstead.store import interface, keys


async def around(store: interface.Store, cluster: stored.State) -> facts.Around:
    """Of a cluster that is there."""
    wanted, saw = spec.read(cluster.desired.body), views.seen(cluster)
    return facts.Around(
        arn=spec.CLUSTERS.arn_of(cluster.desired),
        status=views.cluster_status(wanted, saw),
        version=views.version_shown(wanted.version, saw),
        members=tuple(
            facts.Member(
                part.name, part.phase.value, part.reason, part.trouble is not None and part.trouble.lasts, part.warnings
            )
            for part in (saw.parts if saw else ())
        ),
        warnings=saw.warnings if saw else (),
        rooms=await _rooms(store, cluster.key),
    )


def surge(group: nodegroups.Nodegroup) -> int:
    """New nodes in each of a nodegroup's subnets at once when it is updated, at most."""
    desired, config = group.scaling.desired, group.update_config
    at_once: int = config.get("maxUnavailable") or -(-desired * config.get("maxUnavailablePercentage", 1) // 100)
    return -(-min(desired, max(at_once, 1)) // len(group.subnets))


async def _rooms(store: interface.Store, cluster: keys.Key) -> tuple[facts.GroupRoom, ...]:
    found = []
    below = keys.Prefix(cluster.account, cluster.region, nodegroups.KIND, cluster.names[0])
    for state in (await interface.everything(store, below)).items:
        group = nodegroups.read(state.desired.body)
        needed = surge(group)
        if group.deleting or not needed:
            continue
        taken = await store.get(ipam.key(cluster.account, cluster.region, group.vpc))
        now = ipam.read(taken.desired.body) if taken else ipam.VpcAddresses()
        each = ipam.prefixes_for(sizes.find(group.types[0]).pods)
        for id in dict.fromkeys(group.subnets):
            subnet = await store.get(network.subnet_key(cluster.account, cluster.region, id))
            if subnet is None:
                # Deleted since: the nodegroup is on its way out, too.
                continue
            cidr = network.read_subnet(subnet.desired.body).cidr
            room = ipam.fitting(now, cidr, [each] * needed)
            arn = network.SUBNETS.arn_of(subnet.desired)
            found.append(facts.GroupRoom(nodegroup=group.name, arn=arn, subnet=id, cidr=cidr, needed=needed, room=room))
    return tuple(found)
