"""Of what a cluster is made: the hosts of its control plane, and its nodes."""

from __future__ import annotations

from typing import Any

from roadstead.aws import calls, store_access
from roadstead.aws.eks import resources
from roadstead.clusters import nodegroups as groups
from roadstead.clusters import observed, spec, views
from roadstead.store import keys


@calls.operation("roadstead", "ListClusterParts", on=resources.CLUSTER)
async def list_cluster_parts(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """The members in their order, then the nodes of each nodegroup. What was not looked at yet is not there."""
    name = asked["clusterName"]
    state = await call.store.get(spec.key(call.account, call.region, name))
    if state is None:
        store_access.refuse("ResourceNotFoundException", f"No cluster found for name: {name}.", resourceArn=name)
    seen = views.seen(state)
    shown = [_part(part, call.region) for part in seen.parts] if seen else []
    of_cluster = keys.Prefix(call.account, call.region, groups.KIND, name)
    for group in await store_access.everything(call.store, of_cluster):
        wanted, nodes = groups.read(group.desired.body), views.seen(group)
        for node in nodes.parts if nodes else ():
            _, zone = groups.subnet_of(wanted, node.name)
            shown.append({**_part(node, call.region), "nodegroup": wanted.name, "zone": zone})
    return {"parts": shown}


def _part(part: observed.Part, region: str) -> dict[str, Any]:
    in_one_zone = part.name in (*spec.ETCD, *spec.API)
    return {
        "name": part.name,
        "state": part.phase.name,
        **({"zone": f"{region}{part.name[-1]}"} if in_one_zone else {}),
        **({"reason": part.reason} if part.reason else {}),
        **({"address": part.address} if part.address else {}),
        **({"startedAt": views.moment(part.since)} if part.since is not None else {}),
    }
