"""A nodegroup as it is wanted: the request as it came, and the form with all defaults filled in.

Source of the defaults: EKS API Reference, CreateNodegroup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roadstead.clusters import spec, versions
from roadstead.contract import leaving
from roadstead.core import errors
from roadstead.network import sizes
from roadstead.network import spec as networks
from roadstead.store import keys, kinds

KIND = "nodegroup"
MOST_NODES = 450
"""Nodes of a nodegroup: EKS's default quota."""
MOST_TYPES = 20
"""Instance types of a nodegroup, below the nodes that an update may take away at once, and the GiB of a disk."""
MOST_UNAVAILABLE = 100
LARGEST_DISK = 16384
DEFAULT_TYPE = "t3.medium"
IMAGES = {"x86_64": "AL2023_x86_64_STANDARD", "arm64": "AL2023_ARM_64_STANDARD"}
"""The image type by architecture."""

UNBUILT = ("remoteAccess", "launchTemplate", "warmPoolConfig")
"""Members of requests that ask for what is not built yet. Refused rather than ignored."""

DRAIN = "roadstead/drain"
"""A tag: with the value `false` nobody waits for the pods of this nodegroup's nodes when they go."""


@dataclass(frozen=True)
class Scaling:
    """How many nodes: `desired` is between the others."""

    minimum: int = 2
    maximum: int = 2
    desired: int = 2


@dataclass(frozen=True)
class Taint:
    """In the words of EKS: `NO_SCHEDULE`."""

    key: str
    effect: str
    value: str = ""


@dataclass(frozen=True, kw_only=True)
class Nodegroup:
    """The desired state of a nodegroup. `request` is what CreateNodegroup was given."""

    cluster: str
    name: str
    role: str
    version: str
    subnets: tuple[str, ...]
    zones: tuple[str, ...]
    """Of the subnets, in their order."""
    vpc: str
    types: tuple[str, ...] = (DEFAULT_TYPE,)
    image: str = IMAGES["x86_64"]
    disk: int = 20
    """GiB."""
    capacity: str = "ON_DEMAND"
    scaling: Scaling = Scaling()
    most: int = 2
    """The largest number of nodes that was ever asked for: what may still be on its way."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    update_config: Mapping[str, Any] = field(default_factory=lambda: {"maxUnavailable": 1})
    repair: Mapping[str, Any] = field(default_factory=lambda: {"enabled": False})
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: float
    """Seconds since 1970."""
    modified_at: float
    update: str | None = None
    """The last update asked for."""
    deleting: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)


def _subnets(key: keys.Key, nodegroup: Nodegroup) -> Iterator[keys.Key]:
    return (networks.SUBNETS.key(key.account, key.region, id) for id in nodegroup.subnets)


def _cluster(key: keys.Key, nodegroup: Nodegroup) -> tuple[keys.Key]:
    return (spec.key(key.account, key.region, nodegroup.cluster),)


NODEGROUPS = kinds.Kind(
    KIND,
    Nodegroup,
    service="eks",
    arn=kinds.ArnTemplate(KIND, "arn:aws:eks:{region}:{account}:nodegroup/{0}/{1}/{id}"),
    refers={networks.SUBNET: _subnets, spec.KIND: _cluster},
    # EKS's default quota of a cluster.
    quota=30,
    operations="nodegroup-update",
)
key, read, written = NODEGROUPS.key, NODEGROUPS.read, NODEGROUPS.written


def node(number: int) -> str:
    """The name of a nodegroup's node, from 1 on."""
    return f"node-{number}"


def nodes(count: int) -> tuple[str, ...]:
    """The names of that many: a smaller nodegroup has the first of them."""
    return tuple(node(number) for number in range(1, count + 1))


def expected(nodegroup: Nodegroup) -> tuple[str, ...]:
    """The nodes that are to be, and to stay."""
    return () if nodegroup.deleting else nodes(nodegroup.scaling.desired)


def subnet_of(nodegroup: Nodegroup, part: str) -> tuple[str, str]:
    """Subnet and zone of a node: they are spread evenly, and a node stays where it is."""
    at = (int(part.removeprefix("node-")) - 1) % len(nodegroup.subnets)
    return nodegroup.subnets[at], nodegroup.zones[at]


def leave(group: Nodegroup, groups: Iterable[Nodegroup]) -> leaving.Leave:
    """How pods leave a node of the group. groups: all of its cluster.

    A cluster that goes has its nodegroups deleted first, all of them: then nothing is left to move pods to or to keep
    them for.
    """
    every = tuple(groups)
    if group.tags.get(DRAIN) == "false" or all(each.deleting for each in every):
        return leaving.Leave.DROPPED
    stays = any(each.scaling.desired and not each.deleting for each in every)
    return leaving.Leave.MOVED if stays else leaving.Leave.ENDED


def filled(asked: Mapping[str, Any], *, vpc: str, zones: tuple[str, ...], version: str, created_at: float) -> Nodegroup:
    """The filled-in form of a CreateNodegroup request for a cluster of `version`. Raises Invalid."""
    for member in UNBUILT:
        if asked.get(member):
            raise errors.Invalid(f"{member} is not built yet: leave it out", member=member)
    wanted = asked.get("version", version)
    _check_version(wanted, version)
    _check_release(asked.get("releaseVersion"), wanted)
    types = tuple(asked.get("instanceTypes") or (DEFAULT_TYPE,))
    if len(types) > MOST_TYPES:
        raise errors.Invalid(f"{len(types)} instance types: a nodegroup has at most {MOST_TYPES}")
    if asked.get("capacityType") == "CAPACITY_BLOCK":
        raise errors.Invalid("capacityType CAPACITY_BLOCK is not built yet: leave it out")
    disk = asked.get("diskSize", 20)
    if not 1 <= disk <= LARGEST_DISK:
        raise errors.Invalid(f"diskSize {disk}: a disk has from 1 to {LARGEST_DISK} GiB")
    size = scaling(Scaling(), asked.get("scalingConfig", {}))
    return Nodegroup(
        cluster=asked["clusterName"],
        name=asked["nodegroupName"],
        role=asked["nodeRole"],
        version=wanted,
        subnets=tuple(asked["subnets"]),
        zones=zones,
        vpc=vpc,
        types=types,
        image=_image(asked.get("amiType"), types),
        disk=disk,
        capacity=asked.get("capacityType", "ON_DEMAND"),
        scaling=size,
        most=size.desired,
        labels=dict(asked.get("labels", {})),
        taints=tuple(taint(one) for one in asked.get("taints", ())),
        update_config=update_config({"maxUnavailable": 1}, asked.get("updateConfig", {}), size.maximum),
        repair=repair({"enabled": False}, asked.get("nodeRepairConfig", {})),
        tags=dict(asked.get("tags", {})),
        created_at=created_at,
        modified_at=created_at,
        request=dict(asked),
    )


def scaling(before: Scaling, asked: Mapping[str, Any]) -> Scaling:
    """What a `scalingConfig` makes of it. Raises Invalid."""
    made = Scaling(
        asked.get("minSize", before.minimum),
        asked.get("maxSize", before.maximum),
        asked.get("desiredSize", before.desired),
    )
    if made.minimum > made.maximum:
        raise errors.Invalid(f"minimum capacity {made.minimum} can't be greater than maximum size {made.maximum}")
    if made.desired < made.minimum:
        raise errors.Invalid(f"desired capacity {made.desired} can't be less than minimum size {made.minimum}")
    if made.desired > made.maximum:
        raise errors.Invalid(f"desired capacity {made.desired} can't be greater than maximum size {made.maximum}")
    if made.maximum > MOST_NODES:
        raise errors.Invalid(f"maximum size {made.maximum}: a nodegroup has at most {MOST_NODES} nodes")
    return made


def update_config(before: Mapping[str, Any], asked: Mapping[str, Any], maximum: int) -> dict[str, Any]:
    """What an `updateConfig` makes of it: a number or a percentage. Raises Invalid."""
    members = [name for name in ("maxUnavailable", "maxUnavailablePercentage") if asked.get(name) is not None]
    if len(members) == 2:
        raise errors.Invalid("maxUnavailable and maxUnavailablePercentage cannot be given together: one of them")
    stays = {name: value for name, value in before.items() if not members or name == "updateStrategy"}
    made = {**stays, **asked}
    most = min(maximum, MOST_UNAVAILABLE)
    if made.get("maxUnavailable", 1) > most:
        raise errors.Invalid(
            f"maxUnavailable {made['maxUnavailable']} must be within the range 1 and {most}: the maximum size of the "
            f"nodegroup, and at most {MOST_UNAVAILABLE}"
        )
    return made


def repair(before: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a `nodeRepairConfig` makes of it. Raises Invalid for a count beside a percentage."""
    for what in ("maxUnhealthyNodeThreshold", "maxParallelNodesRepaired"):
        if asked.get(f"{what}Count") is not None and asked.get(f"{what}Percentage") is not None:
            raise errors.Invalid(f"{what}Count and {what}Percentage cannot be given together: one of them")
    return dict(asked or before)


def taint(asked: Mapping[str, str]) -> Taint:
    """Raises Invalid for a taint without key or effect, which the model lets pass."""
    if not asked.get("key") or not asked.get("effect"):
        raise errors.Invalid("a taint needs a key and an effect")
    return Taint(asked["key"], asked["effect"], asked.get("value", ""))


def _check_version(wanted: str, cluster: str) -> None:
    versions.find(wanted)
    behind = int(cluster.partition(".")[2]) - int(wanted.partition(".")[2])
    if not 0 <= behind <= 3:
        raise errors.Invalid(
            f"nodes of version {wanted} do not fit a cluster of version {cluster}: "
            "they may be as new as it, or up to three minors older",
            version=wanted,
        )


def _check_release(release: str | None, version: str) -> None:
    ours = versions.find(version).node_release
    if release is not None and release != ours:
        raise errors.Invalid(f"requested release version {release} is not valid for {version}: it is {ours}")


def _image(asked: str | None, types: tuple[str, ...]) -> str:
    try:
        architectures = {sizes.find(name).architecture for name in types}
    except errors.NotFound as error:
        raise errors.Invalid(error.message) from error
    if len(architectures) > 1:
        raise errors.Invalid(f"instance types {', '.join(types)} are of several architectures; a nodegroup has one")
    (architecture,) = architectures
    ours = IMAGES.get(architecture)
    if ours is None:
        raise errors.Invalid(f"there are no images of nodes for {', '.join(types)}: they are {architecture}")
    if asked not in (None, ours):
        raise errors.Invalid(f"amiType {asked} is not offered for {', '.join(types)}: it is {ours}", image=asked)
    return ours
