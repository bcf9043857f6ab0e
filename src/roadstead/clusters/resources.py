"""A cluster or a nodegroup as the plan and the reconciler need it: what both have in common, of a desired state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from roadstead.clusters import lifecycles, nodegroups, observed, plan, provider, spec, versions
from roadstead.core import errors, lifecycle
from roadstead.store import facts, keys


@dataclass(frozen=True)
class ManagedResource:
    """What is wanted. `parts` in the order in which they are replaced; `ever`: all that were ever asked for."""

    key: keys.Key
    generation: int
    life: lifecycle.Lifecycle
    release: str
    parts: Mapping[str, provider.PartSpec]
    ever: tuple[str, ...]
    update: str | None
    deleting: bool


def of(desired: facts.Desired) -> ManagedResource:
    """Raises Invalid for a desired state of another kind."""
    made = _MADE.get(desired.key.kind)
    if made is None:
        raise errors.Invalid(f"{desired.key} is of a kind that the reconciler of clusters knows nothing of")
    return made(desired)


def situation(
    resource: ManagedResource, before: observed.Observed | None, projection: observed.Projection
) -> plan.Situation:
    """What the plan is asked with."""
    return plan.Situation(
        life=resource.life,
        status=observed.status(resource.life, before, resource.update, resource.deleting),
        generation=resource.generation,
        wanted=resource.parts,
        ever=resource.ever,
        seen=projection.parts,
    )


def _cluster(desired: facts.Desired) -> ManagedResource:
    wanted = spec.read(desired.body)
    release = versions.find(wanted.version).patch
    parts = {
        name: provider.PartSpec(release, spec.zone(desired.key.region, name), runs_kubernetes=name in spec.API)
        for name in spec.MEMBERS
    }
    life, ever = lifecycles.CLUSTER, spec.MEMBERS
    return ManagedResource(desired.key, desired.generation, life, release, parts, ever, wanted.update, wanted.deleting)


def _nodegroup(desired: facts.Desired) -> ManagedResource:
    wanted = nodegroups.read(desired.body)
    release = versions.find(wanted.version).patch
    parts = {}
    for name in nodegroups.nodes(wanted.scaling.desired):
        subnet, zone = nodegroups.subnet_of(wanted, name)
        parts[name] = provider.PartSpec(release, zone, subnet, wanted.types[0])
    life, ever = lifecycles.NODEGROUP, nodegroups.nodes(wanted.most)
    return ManagedResource(desired.key, desired.generation, life, release, parts, ever, wanted.update, wanted.deleting)


_MADE: Mapping[str, Callable[[facts.Desired], ManagedResource]] = {
    spec.KIND: _cluster,
    nodegroups.KIND: _nodegroup,
}
KINDS = tuple(_MADE)
"""What the reconciler of clusters keeps as it is wanted."""
