"""A cluster as it is wanted: the request as it came, and the form with all defaults filled in.

Source of the defaults: EKS API Reference, CreateCluster and its data types.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from roadstead.clusters import versions
from roadstead.core import addresses, errors
from roadstead.network import spec as networks
from roadstead.store import keys, kinds

KIND = "cluster"
ETCD = ("etcd-a", "etcd-b", "etcd-c")
API = ("api-a", "api-b", "api-c")
EDGE = "edge"
"""The proxies of the endpoint."""
ACCESS = "access"
"""What is in its API from the start: who may do what, cluster DNS, storage classes."""
MEMBERS = (*ETCD, *API, EDGE, ACCESS)
"""The parts of a control plane, in the order in which they are replaced."""

MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""Of authentication, each with less of the ConfigMap than the one before."""
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
SERVICE_NETWORKS = ("10.100.0.0/16", "172.20.0.0/16")
"""The first that does not overlap the VPC, unless one is asked for."""
EVERYWHERE = "0.0.0.0/0"
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")

UNBUILT = (
    "outpostConfig",
    "encryptionConfig",
    "remoteNetworkConfig",
    "computeConfig",
    "storageConfig",
    "kubeApiServerConfig",
    "kubeSchedulerConfig",
    "kubeControllerManagerConfig",
)
"""Members of requests that ask for what is not built yet. Refused rather than ignored."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who may come in to the API servers, and from where."""

    public: bool = True
    private: bool = False
    public_cidrs: tuple[str, ...] = (EVERYWHERE,)
    mode: str = "CONFIG_MAP"
    creator_is_admin: bool = True


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a cluster is in the network. Found by the AWS API, as the request names subnets alone."""

    vpc: str
    vpc_cidr: str
    subnets: tuple[str, ...]
    zones: tuple[str, ...]
    """Of the subnets, in their order."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The desired state of a cluster. `request` is what CreateCluster was given."""

    name: str
    role: str
    version: str
    place: Place
    service_cidr: str
    access: Access = Access()
    security_groups: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    support: str = "EXTENDED"
    tier: str = "standard"
    zonal_shift: bool = False
    deletion_protection: bool = False
    self_managed_addons: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: float
    """Seconds since 1970."""
    creator: str
    """The ARN of who asked for it."""
    update: str | None = None
    """The last update asked for."""
    deleting: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)


def zone(region: str, part: str) -> str:
    """Where a part of a control plane is: a member in the zone of its letter; what all share is in the region."""
    return f"{region}{part[-1]}" if part in (*ETCD, *API) else region


def _subnets(key: keys.Key, cluster: Cluster) -> Iterator[keys.Key]:
    return (networks.SUBNETS.key(key.account, key.region, id) for id in cluster.place.subnets)


CLUSTERS = kinds.Kind(
    KIND,
    Cluster,
    service="eks",
    arn=kinds.ArnTemplate(KIND, "arn:aws:eks:{region}:{account}:cluster/{0}"),
    refers={networks.SUBNET: _subnets},
    # EKS's default quota of a region.
    quota=100,
    operations="update",
)
key, read, written = CLUSTERS.key, CLUSTERS.read, CLUSTERS.written


def filled(asked: Mapping[str, Any], place: Place, created_at: float, creator: str) -> Cluster:
    """The filled-in form of a CreateCluster request. Raises Invalid for what cannot be."""
    check_built(asked)
    network = asked.get("kubernetesNetworkConfig", {})
    if network.get("ipFamily", "ipv4") != "ipv4":
        raise errors.Invalid("clusters here have IPv4 addresses: ipFamily ipv6 is not built yet")
    support = asked.get("upgradePolicy", {}).get("supportType", "EXTENDED")
    day = dt.datetime.fromtimestamp(created_at, dt.UTC).date()
    return Cluster(
        name=asked["name"],
        role=asked["roleArn"],
        version=versions.to_create(asked.get("version", versions.DEFAULT), support, day).minor,
        place=place,
        service_cidr=_service_cidr(network.get("serviceIpv4Cidr"), place.vpc_cidr),
        access=access(Access(), asked),
        security_groups=tuple(asked["resourcesVpcConfig"].get("securityGroupIds", ())),
        logs=logs((), asked.get("logging", {})),
        support=support,
        tier=asked.get("controlPlaneScalingConfig", {}).get("tier", "standard"),
        zonal_shift=asked.get("zonalShiftConfig", {}).get("enabled", False),
        deletion_protection=asked.get("deletionProtection", False),
        self_managed_addons=asked.get("bootstrapSelfManagedAddons", True),
        tags=dict(asked.get("tags", {})),
        created_at=created_at,
        creator=creator,
        request=dict(asked),
    )


def access(before: Access, asked: Mapping[str, Any]) -> Access:
    """What a request makes of it: members that it leaves out stay."""
    vpc, entry = asked.get("resourcesVpcConfig", {}), asked.get("accessConfig", {})
    return Access(
        public=vpc.get("endpointPublicAccess", before.public),
        private=vpc.get("endpointPrivateAccess", before.private),
        public_cidrs=tuple(vpc.get("publicAccessCidrs") or before.public_cidrs),
        mode=entry.get("authenticationMode", before.mode),
        creator_is_admin=entry.get("bootstrapClusterCreatorAdminPermissions", before.creator_is_admin),
    )


def check_mode(before: str, after: str) -> None:
    """Raises Invalid for a way back: entries of the API cannot be left behind. Source: EKS User Guide, "Change the
    authentication mode"."""
    if MODES.index(after) < MODES.index(before):
        raise errors.Invalid(f"Unsupported authentication mode update from {before} to {after}", mode=after)


def logs(before: Sequence[str], asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The types of logs that are on after a `logging` member: what it does not name stays."""
    on = set(before)
    for group in asked.get("clusterLogging", ()):
        if group.get("enabled", False):
            on |= set(group.get("types", ()))
        else:
            on -= set(group.get("types", ()))
    return tuple(name for name in LOG_TYPES if name in on)


def check_built(asked: Mapping[str, Any]) -> None:
    """Raises Invalid for a request that asks for what is not built. Switching it off asks for nothing."""
    for member in UNBUILT:
        if _asks(asked.get(member)):
            raise errors.Invalid(f"{member} is not built yet: leave it out", member=member)
    if _asks(asked.get("kubernetesNetworkConfig", {}).get("elasticLoadBalancing")):
        raise errors.Invalid("kubernetesNetworkConfig.elasticLoadBalancing is not built yet: leave it out")
    _check_access(asked.get("resourcesVpcConfig", {}))
    on = logs((), asked.get("logging", {}))
    if on:
        raise errors.Invalid(
            f"logging of {', '.join(on)} is not built yet: leave it out, or set enabled to false; `roadstead logs` "
            "shows what a control plane writes",
            member="logging",
        )


def _check_access(vpc: Mapping[str, Any]) -> None:
    """Who is told yes believes that nobody else can come in. That private access is off hides nothing: it is there."""
    mode = vpc.get("controlPlaneEgressMode", "AWS_MANAGED")
    if mode != "AWS_MANAGED":
        raise errors.Invalid(f"controlPlaneEgressMode {mode} is not built yet: leave it out")
    if vpc.get("endpointPublicAccess") is False:
        raise errors.Invalid(
            "endpointPublicAccess false is not built yet: the endpoint would stay as reachable as the address that "
            "Roadstead gives it; leave it out, or set it to true",
            member="endpointPublicAccess",
        )
    others = [cidr for cidr in vpc.get("publicAccessCidrs") or () if cidr != EVERYWHERE]
    if others:
        raise errors.Invalid(
            f"publicAccessCidrs {', '.join(others)} are not built yet: everyone else would come in as well; leave them "
            f"out, or set them to {EVERYWHERE}",
            member="publicAccessCidrs",
        )


def _asks(value: object) -> bool:
    """Whether there is anything in it but False."""
    if isinstance(value, Mapping):
        return any(_asks(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_asks(item) for item in value)
    return value is not None and value is not False


def _service_cidr(asked: str | None, vpc: str) -> str:
    if asked is None:
        return next((cidr for cidr in SERVICE_NETWORKS if not addresses.overlap(cidr, vpc)), SERVICE_NETWORKS[0])
    network = _network(asked, "serviceIpv4Cidr")
    if not 12 <= network.prefixlen <= 24:
        raise errors.Invalid(f"serviceIpv4Cidr {asked}: its prefix must be between /12 and /24", cidr=asked)
    if not addresses.within(asked, _PRIVATE):
        raise errors.Invalid(f"serviceIpv4Cidr {asked} is in none of {', '.join(_PRIVATE)}", cidr=asked)
    if addresses.overlap(asked, vpc):
        raise errors.Invalid(f"serviceIpv4Cidr {asked} overlaps the VPC's {vpc}", cidr=asked)
    return asked


def _network(text: str, member: str) -> ipaddress.IPv4Network:
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise errors.Invalid(f"{member}: {text!r} is no network in CIDR notation: {error}", cidr=text) from error
