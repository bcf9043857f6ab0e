"""What a request names, found in the store; or the error that EKS has for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from roadstead.aws import calls, store_access
from roadstead.clusters import nodegroups, observed, spec, views
from roadstead.core import errors
from roadstead.identity import roles
from roadstead.network import spec as network
from roadstead.store import facts, writes

CODES: dict[type[errors.Error], str] = {errors.Invalid: "InvalidParameterException"}
"""For what the reconciler finds wrong with a request."""

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,99}")
"""The model's ClusterName, which the API Reference gives to all of them."""


@dataclass(frozen=True)
class Cluster:
    """A cluster as the store has it. `seen`: None: the reconciler has not looked yet."""

    state: facts.State
    wanted: spec.Cluster
    seen: observed.Observed | None

    @property
    def status(self) -> str:
        """EKS's word: `CREATING`, `ACTIVE`, `UPDATING`, `DELETING`, `FAILED`."""
        return views.cluster_status(self.wanted, self.seen)


@dataclass(frozen=True)
class Nodegroup:
    """A nodegroup as the store has it. `seen`: None: the reconciler has not looked yet."""

    state: facts.State
    wanted: nodegroups.Nodegroup
    seen: observed.Observed | None

    @property
    def status(self) -> str:
        """EKS's word, as `CREATING` or `DEGRADED`."""
        return views.nodegroup_status(self.wanted, self.seen)


def check_name(member: str, name: str, **members: Any) -> None:
    """That it can be a name of something. Most members that are one have no pattern in the model.

    Raises InvalidParameterException.
    """
    if not _NAME.fullmatch(name):
        store_access.refuse(
            "InvalidParameterException",
            f"The {member} parameter contains invalid characters. It should begin with letter or digit and can "
            "contain any combination of digits, letters, hyphens and underscores.",
            **members,
        )


def as_cluster(state: facts.State | None, name: str) -> Cluster:
    """Raises ResourceNotFoundException when there is none, InvalidParameterException when there can be none."""
    if state is None:
        check_name("name", name, clusterName=name)
        store_access.refuse("ResourceNotFoundException", f"No cluster found for name: {name}.", clusterName=name)
    return Cluster(state, spec.read(state.desired.body), views.seen(state))


def as_nodegroup(state: facts.State | None, cluster: str, name: str) -> Nodegroup:
    """Raises ResourceNotFoundException when there is none, InvalidParameterException when there can be none."""
    if state is None:
        check_name("nodegroupName", name, clusterName=cluster, nodegroupName=name)
        store_access.refuse(
            "ResourceNotFoundException",
            f"No node group found for name: {name}.",
            clusterName=cluster,
            nodegroupName=name,
        )
    return Nodegroup(state, nodegroups.read(state.desired.body), views.seen(state))


async def cluster(call: calls.Call, name: str) -> Cluster:
    """Refuses with ResourceNotFoundException."""
    return as_cluster(await call.store.get(spec.key(call.account, call.region, name)), name)


async def nodegroup(call: calls.Call, cluster_name: str, name: str) -> Nodegroup:
    """Raises ResourceNotFoundException for a cluster, or a nodegroup, that there is not."""
    await cluster(call, cluster_name)
    state = await call.store.get(nodegroups.key(call.account, call.region, cluster_name, name))
    return as_nodegroup(state, cluster_name, name)


async def role(call: calls.Call, arn: str, trusted: str, **members: Any) -> writes.Require:
    """That there is a role which a service may take; a transaction that needs it holds on to it.

    Raises Denied unless the caller may give it to EKS, InvalidParameterException.
    """
    key = roles.key_of_arn(call.account, arn)
    state = await call.store.get(key) if key else None
    found = roles.read(state.desired.body) if state else None
    # As it was made: an ARN finds a role in whatever case its name is written, and by whatever path.
    passed = roles.arn(call.account, found) if found else arn
    await call.may("iam:PassRole", passed, context={"iam:PassedToService": ("eks.amazonaws.com",)})
    if key is None or found is None or not roles.trusts(found, trusted):
        store_access.refuse(
            "InvalidParameterException",
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not "
            f"correct: it must let {trusted} assume it.",
            **members,
        )
    return writes.Require(key, writes.Present())


async def subnets(call: calls.Call, ids: Sequence[str], **members: Any) -> tuple[network.Subnet, ...]:
    """The subnets by their ids, in their order. Raises InvalidParameterException."""
    found: list[network.Subnet] = []
    for id in ids:
        state = await call.store.get(network.subnet_key(call.account, call.region, id)) if id else None
        if state is None:
            store_access.refuse("InvalidParameterException", f"The subnet ID '{id}' does not exist", **members)
        found.append(network.read_subnet(state.desired.body))
    return tuple(found)


def held(call: calls.Call, wanted: Sequence[network.Subnet]) -> tuple[writes.Require, ...]:
    """A transaction that needs these subnets holds on to them."""
    return tuple(
        writes.Require(network.subnet_key(call.account, call.region, subnet.id), writes.Present()) for subnet in wanted
    )
