"""The workloads that every cluster has from its start: cluster DNS, storage classes and their provisioner. Pure.

Who may call it: the controllers, which apply what `objects` answers, and ask `budget` what becomes of a drain. It does
no I/O and reads no clock. What runs on nodes outside of pods (kube-proxy, the pods' network) is not here.
"""

from __future__ import annotations

from roadstead.controllers import facts
from roadstead.controllers.system import coredns, mappings, storage
from roadstead.kube.resources import Json

__all__ = ["objects"]


def objects(of: facts.SystemFacts) -> tuple[Json, ...]:
    """All of them, whole, in an order in which nothing comes before what it names."""
    return (*coredns.objects(of), *storage.objects(of), *mappings.objects())
