"""A cluster or a nodegroup as the plan and the office need it: what both have in common, read from a desired state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roadstead.clusters import agent, lifecycles, nodegroups, observed, plan, spec, versions
from roadstead.core import errors, lifecycle
from roadstead.store import facts, keys

KINDS = (spec.KIND, nodegroups.KIND)


@dataclass(frozen=True)
class Thing:
    """What is wanted. `parts` in the order in which they are replaced; `ever`: all that were ever asked for."""

    key: keys.Key
    generation: int
    life: lifecycle.Lifecycle
    release: str
    parts: Mapping[str, agent.Wanted]
    ever: tuple[str, ...]
    update: str | None
    deleting: bool


def of(desired: facts.Desired) -> Thing:
    """Raises Invalid for a desired state of another kind."""
    match desired.key.kind:
        case spec.KIND:
            return _cluster(desired)
        case nodegroups.KIND:
            return _nodegroup(desired)
        case kind:
            raise errors.Invalid(f"{desired.key} is of kind {kind}, which the office of clusters knows nothing of")


def situation(thing: Thing, before: observed.Observed | None, sight: observed.Sight) -> plan.Situation:
    """What the plan is asked with."""
    return plan.Situation(
        life=thing.life,
        status=observed.status(thing.life, before, thing.update, thing.deleting),
        generation=thing.generation,
        release=thing.release,
        wanted=tuple(thing.parts),
        ever=thing.ever,
        seen=sight.parts,
    )


def _cluster(desired: facts.Desired) -> Thing:
    wanted = spec.read(desired.body)
    release = versions.find(wanted.version).patch
    parts = {name: agent.Wanted(release, zone=_zone(desired.key.region, name), subnet="") for name in spec.MEMBERS}
    life, ever = lifecycles.CLUSTER, spec.MEMBERS
    return Thing(desired.key, desired.generation, life, release, parts, ever, wanted.update, wanted.deleting)


def _zone(region: str, member: str) -> str:
    """Of a member; the region for what is in no single one."""
    return f"{region}{member[-1]}" if member in (*spec.ETCD, *spec.API) else region


def _nodegroup(desired: facts.Desired) -> Thing:
    wanted = nodegroups.read(desired.body)
    release = versions.find(wanted.version).patch
    parts = {}
    for name in nodegroups.nodes(wanted.scaling.desired):
        subnet, zone = nodegroups.subnet_of(wanted, name)
        parts[name] = agent.Wanted(release, zone, subnet, wanted.types[0])
    life, ever = lifecycles.NODEGROUP, nodegroups.nodes(wanted.most)
    return Thing(desired.key, desired.generation, life, release, parts, ever, wanted.update, wanted.deleting)
