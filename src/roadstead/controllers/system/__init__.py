"""The workloads that every cluster has from its start: cluster DNS, storage classes and their provisioner.

Who may call it: who wires the controllers, and who reads whether all of it is there (`state`). `objects` answers it
whole, from facts alone. What runs on nodes outside of pods (kube-proxy, the pods' network) is not here.

    applying  controller: the objects are put in place, once per content
    budget    controller: what becomes of cluster DNS in a drain
    state     what is reported of a cluster as a whole
    rbac      the objects that the house itself needs in a cluster (pure)
    coredns, storage, mappings, parts    the system's objects (pure)
"""

from __future__ import annotations

from roadstead.controllers.runtime import facts
from roadstead.controllers.system import coredns, mappings, storage
from roadstead.kube.resources import Json

__all__ = ["objects"]


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    """All of them, whole, in an order in which nothing comes before what it names."""
    return (*coredns.objects(of), *storage.objects(of), *mappings.objects())
