"""Room for new nodes, so that they can be made before old ones go. A control plane needs none of a subnet's addresses:
its members are replaced where they are.
"""

from __future__ import annotations

from roadstead.clusters.insights import facts, finding
from roadstead.clusters.insights.finding import Status


def find(around: facts.Around) -> finding.Finding:
    """Each subnet of each nodegroup."""
    resources = []
    for room in around.rooms:
        there = f"subnet {room.subnet} ({room.cidr}) has room for {room.room} more nodes of nodegroup {room.nodegroup}"
        if room.room < room.needed:
            said = f"{there}; an update that makes new nodes first needs {room.needed}"
            resources.append(finding.ResourceFinding(Status.WARNING, said, arn=room.arn))
        else:
            said = f"subnet {room.subnet} has room for the {room.needed} new nodes that an update of nodegroup "
            resources.append(finding.ResourceFinding(Status.PASSING, said + f"{room.nodegroup} makes", arn=room.arn))
    return finding.of_resources(
        resources,
        "every subnet has room for the new nodes of an update"
        if resources
        else "no nodegroup has nodes, and the control plane needs no addresses of the subnets",
        "nodegroups in subnets without room for the new nodes of an update, where old ones have to go first: {}",
    )
