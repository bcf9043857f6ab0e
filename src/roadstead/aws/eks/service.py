"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.eks import absent, access, authorities, changes, clusters, nodegroups, tags, versions
from roadstead.clusters import lifecycles

_LIFECYCLES = (
    ("ClusterStatus", lifecycles.CLUSTER),
    ("NodegroupStatus", lifecycles.NODEGROUP),
    ("UpdateStatus", lifecycles.UPDATE),
)

SERVICE = registry.Service(
    operations=(clusters, nodegroups, changes, versions, tags, access, authorities, absent),
    states=tuple(registry.States("eks", shape, table.states - {lifecycles.GONE}) for shape, table in _LIFECYCLES),
)
