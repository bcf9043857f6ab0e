"""What serve is given of this service."""

from __future__ import annotations

from roadstead.aws import registry
from roadstead.aws.eks import absent, access, authorities, changes, clusters, insights, nodegroups, tags, versions
from roadstead.clusters import lifecycles, reconciler, spec
from roadstead.clusters import nodegroups as nodegroup_specs
from roadstead.clusters.access import entries
from roadstead.clusters.allocation import allocator, ipam
from roadstead.clusters.end_of_support import reconciler as end_of_support
from roadstead.clusters.insights import kept

_LIFECYCLES = (
    ("ClusterStatus", lifecycles.CLUSTER),
    ("NodegroupStatus", lifecycles.NODEGROUP),
    ("UpdateStatus", lifecycles.UPDATE),
)

_ALLOTTED = (allocator.ALLOCATIONS, ipam.ADDRESSES)
"""What clusters and nodes are given for their lives."""


def _tools(given: registry.ReconcilerFacts) -> reconciler.ReconcilerTools:
    return reconciler.ReconcilerTools(given.store, given.provider, given.now, given.clock)


def _clusters(given: registry.ReconcilerFacts) -> registry.Reconciler:
    return reconciler.ClusterReconciler(_tools(given))


def _end_of_support(given: registry.ReconcilerFacts) -> registry.Reconciler:
    return end_of_support.EndOfSupport(_tools(given))


SERVICE = registry.Service(
    operations=(clusters, nodegroups, changes, versions, tags, access, authorities, insights, absent),
    kinds=(spec.CLUSTERS, nodegroup_specs.NODEGROUPS, entries.ENTRIES, kept.REPORTS, *_ALLOTTED),
    reconcilers=(_clusters, _end_of_support),
    states=tuple(registry.States("eks", shape, table.states - {lifecycles.GONE}) for shape, table in _LIFECYCLES),
)
