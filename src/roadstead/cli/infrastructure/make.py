"""Makes the VPC, the subnets and the roles of a cluster that are not there yet, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roadstead.cli import config, service
from roadstead.cli.infrastructure import bodies, lookups, parts, together, unmake
from roadstead.wire import client


@dataclass(frozen=True)
class Ready:
    """What CreateCluster and CreateNodegroup need."""

    subnets: dict[str, tuple[str, bool]]
    """Zone and public-or-not by the id, in the order of the config."""
    roles: dict[str, str]
    """The ARN by the name."""


@dataclass
class Ledger:
    """What one call has made, so that it can take exactly that back."""

    vpcs: dict[str, str] = field(default_factory=dict)
    subnets: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def vpc(self, id: str, cidr: str) -> None:
        """It was made, by whichever thread."""
        with self._lock:
            self.vpcs[id] = cidr

    def subnet(self, id: str, cidr: str) -> None:
        """It was made, by whichever thread."""
        with self._lock:
            self.subnets[id] = cidr

    def role(self, name: str, arn: str) -> None:
        """It was made, by whichever thread."""
        with self._lock:
            self.roles[name] = arn

    def take_back(self, api: service.Api) -> bool:
        """Whether there was anything. Raises what unmake.infrastructure raises."""
        with self._lock:
            made = lookups.Infrastructure(dict(self.vpcs), dict(self.subnets), dict(self.roles))
        unmake.infrastructure(api, made)
        return made.there


@dataclass(frozen=True)
class Maker:
    """For one cluster: `there` is not made again; what is made is written into `ledger`."""

    api: service.Api
    wanted: config.ClusterConfig
    there: lookups.Infrastructure
    ledger: Ledger

    @property
    def _metadata(self) -> config.Metadata:
        return self.wanted.metadata or config.Metadata()

    @property
    def _name(self) -> str:
        return self._metadata.name or ""

    def everything(self, given: dict[str, tuple[str, bool]] | None) -> Ready:
        """`given`: the subnets of a VPC that is not ours; None: make one. Raises client.ServiceError."""
        roles = roles_of(self.wanted)
        asks: list[Callable[[], Any]] = [lambda role=role: self.role(role) for role in roles]  # type: ignore[misc]
        if given is None:
            asks.append(self.network)
        made = together.together(*asks)
        network: dict[str, tuple[str, bool]] = made.pop() if given is None else given
        return Ready(network, {role.name: arn for role, arn in zip(roles, made, strict=True)})

    def network(self) -> dict[str, tuple[str, bool]]:
        """The VPC with its subnets, found or made: by subnet the zone, and whether it is public."""
        cidr = (self.wanted.vpc or config.Vpc()).cidr or ""
        vpc = next(iter(self.there.vpcs), None) or self._vpc(cidr)
        by_cidr = {each: id for id, each in self.there.subnets.items()}
        planned = parts.subnets(self._name, cidr, self.wanted.availability_zones or ())
        ids = together.together(*(lambda one=one: self._ready(vpc, one, by_cidr.get(one.cidr)) for one in planned))
        return {id: (one.zone, one.public) for id, one in zip(ids, planned, strict=True)}

    def _vpc(self, cidr: str) -> str:
        tags = parts.cluster_tags(self.wanted, Name=f"{parts.stack(self._name)}/VPC")
        made = self.api.call("ec2", "CreateVpc", CidrBlock=cidr, TagSpecifications=bodies.ec2_tags("vpc", tags))
        id: str = made["Vpc"]["VpcId"]
        self.ledger.vpc(id, cidr)
        return id

    def _ready(self, vpc: str, one: parts.SubnetPart, there: str | None) -> str:
        """The id. eksctl makes nodegroups only in public subnets that say that they are."""
        id = there or self._subnet(vpc, one)
        if one.public:
            self.api.call("ec2", "ModifySubnetAttribute", SubnetId=id, MapPublicIpOnLaunch={"Value": True})
        return id

    def _subnet(self, vpc: str, one: parts.SubnetPart) -> str:
        tags = parts.cluster_tags(self.wanted, Name=one.name, **{one.role: "1"})
        made = self.api.call(
            "ec2",
            "CreateSubnet",
            VpcId=vpc,
            CidrBlock=one.cidr,
            AvailabilityZone=one.zone,
            TagSpecifications=bodies.ec2_tags("subnet", tags),
        )
        id: str = made["Subnet"]["SubnetId"]
        self.ledger.subnet(id, one.cidr)
        return id

    def role(self, role: parts.RolePart) -> str:
        """The ARN. Policies are attached again where the role is there: that changes nothing."""
        arn = self.there.roles.get(role.name)
        if arn is None:
            arn = self._created(role)
        for policy in role.policies:
            self.api.call("iam", "AttachRolePolicy", RoleName=role.name, PolicyArn=f"{parts.MANAGED}{policy}")
        return arn

    def _created(self, role: parts.RolePart) -> str:
        shared = parts.tags(self._name, self._metadata.tags or {})
        tags = parts.cluster_tags(self.wanted) if role.of_cluster else shared
        try:
            arn: str = self.api.call(
                "iam",
                "CreateRole",
                RoleName=role.name,
                AssumeRolePolicyDocument=role.trust,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )["Role"]["Arn"]
        except client.ServiceError as error:
            # Made since it was looked for, by the same command in another shell: it is as good, and not ours to delete.
            if not error.fault.code.startswith("EntityAlreadyExists"):
                raise
            there = lookups.role_arn(self.api, role.name)
            if there is None:
                raise
            return there
        self.ledger.role(role.name, arn)
        return arn


def roles_of(wanted: config.ClusterConfig) -> list[parts.RolePart]:
    """The roles to make: none where a config names one that is there."""
    metadata = wanted.metadata or config.Metadata()
    name, region = metadata.name or "", metadata.region or ""
    roles = [] if wanted.iam is not None and wanted.iam.service_role_arn else [parts.cluster_role(name, region)]
    if any(not given_role(group) for group in wanted.managed_node_groups or ()):
        roles.append(parts.node_role(name, region))
    return roles


def given_role(group: config.ManagedNodeGroup) -> str | None:
    """The ARN of the role that the config names for its nodes; None: it is to be made."""
    return group.iam.instance_role_arn if group.iam is not None else None
