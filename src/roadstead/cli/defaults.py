"""What a ClusterConfig leaves out, filled in as eksctl's release 0.230 does it (its defaults.go and types.go)."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from roadstead.cli import config

VERSION = "1.37"
"""Of Kubernetes, when nothing else is asked for."""
NODE_TYPE = "m5.large"
NODES = 2
CIDR = "192.168.0.0/16"
_ZONES = "abc"
_SHIPS = ("barque", "brig", "clipper", "cutter", "dhow", "galleon", "ketch", "lugger", "schooner", "sloop", "yawl")
_MOODS = ("bold", "brisk", "calm", "eager", "fair", "gentle", "keen", "merry", "proud", "steady", "swift", "trim")
_CLUSTER_LABEL = "alpha.eksctl.io/cluster-name"
_LONGEST_LABEL = 63
"""Characters of a label's value. Source: Kubernetes, "Labels and selectors"."""
_GP3 = {"volume_iops": 3000, "volume_throughput": 125}


@dataclass(frozen=True)
class Names:
    """What is made up or comes from around: names that chance gives, the region of the profile."""

    region: str
    cluster: str
    nodegroup: str


def made_up_names(region: str) -> Names:
    """Names as eksctl makes them up: two words and the time; a nodegroup's by chance."""
    name = f"{secrets.choice(_MOODS)}-{secrets.choice(_SHIPS)}-{int(time.time())}"
    return Names(region, name, f"ng-{secrets.token_hex(4)}")


def filled(given: config.ClusterConfig, names: Names) -> config.ClusterConfig:
    """The config with nothing left to choose but what the service chooses."""
    metadata = given.metadata or config.Metadata()
    metadata = replace(
        metadata,
        name=metadata.name or names.cluster,
        region=metadata.region or names.region,
        version=metadata.version or VERSION,
    )
    vpc = _vpc(given.vpc or config.Vpc())
    iam = given.iam or config.Iam()
    access = given.access_config or config.AccessConfig()
    network = given.kubernetes_network_config or config.KubernetesNetworkConfig()
    logging = given.cloud_watch or config.CloudWatch()
    return replace(
        given,
        metadata=metadata,
        vpc=vpc,
        iam=replace(
            iam,
            with_oidc=_or(iam.with_oidc, False),
            vpc_resource_controller_policy=_or(iam.vpc_resource_controller_policy, True),
        ),
        access_config=replace(access, authentication_mode=access.authentication_mode or "API_AND_CONFIG_MAP"),
        kubernetes_network_config=replace(network, ip_family=network.ip_family or "IPv4"),
        cloud_watch=replace(logging, cluster_logging=logging.cluster_logging or config.ClusterLogging()),
        addons_config=given.addons_config or config.AddonsConfig(),
        private_cluster=given.private_cluster or config.PrivateCluster(enabled=False),
        upgrade_policy=given.upgrade_policy or config.UpgradePolicy(support_type=""),
        availability_zones=given.availability_zones or _zones(vpc, metadata),
        managed_node_groups=tuple(
            nodegroup(each, metadata, names.nodegroup) for each in given.managed_node_groups or ()
        )
        or None,
    )


def _or(value: bool | None, default: bool) -> bool:
    return default if value is None else value


def _zones(vpc: config.Vpc, metadata: config.Metadata) -> tuple[str, ...] | None:
    """The region's first three; with subnets that are there, theirs."""
    return None if vpc.subnets is not None else tuple(f"{metadata.region}{zone}" for zone in _ZONES)


def _vpc(vpc: config.Vpc) -> config.Vpc:
    ends = vpc.cluster_endpoints or config.ClusterEndpoints()
    nat = vpc.nat or config.Nat()
    return replace(
        vpc,
        cidr=vpc.cidr or (CIDR if vpc.subnets is None and vpc.id is None else None),
        auto_allocate_ipv6=_or(vpc.auto_allocate_ipv6, False),
        manage_shared_node_security_group_rules=_or(vpc.manage_shared_node_security_group_rules, True),
        nat=replace(nat, gateway=nat.gateway or "Single"),
        cluster_endpoints=replace(
            ends, public_access=_or(ends.public_access, True), private_access=_or(ends.private_access, False)
        ),
    )


def nodegroup(given: config.ManagedNodeGroup, metadata: config.Metadata, made_up: str) -> config.ManagedNodeGroup:
    """A managed nodegroup with its sizes, disk, labels and tags. Sizes that are left out follow those given."""
    name = given.name or made_up
    least, wanted, most = sizes(given)
    kind = given.volume_type or "gp3"
    selector = given.instance_selector or config.InstanceSelector()
    selects = selector != config.InstanceSelector()
    named = given.instance_type or (None if given.instance_types or selects else NODE_TYPE)
    policies = given.iam.with_addon_policies if given.iam and given.iam.with_addon_policies else config.AddonPolicies()
    ssh = given.ssh or config.Ssh()
    groups = given.security_groups or config.SecurityGroups()
    speed = {field: getattr(given, field) or value for field, value in _GP3.items()} if kind == "gp3" else {}
    return replace(
        given,
        name=name,
        ami_family=given.ami_family or "AmazonLinux2023",
        instance_type=named,
        instance_selector=selector,
        min_size=least,
        desired_capacity=wanted,
        max_size=most,
        volume_size=80 if given.volume_size is None else given.volume_size,
        volume_type=kind,
        labels={
            **(given.labels or {}),
            # A cluster's name may be longer than a label.
            **({_CLUSTER_LABEL: metadata.name} if metadata.name and len(metadata.name) <= _LONGEST_LABEL else {}),
            "alpha.eksctl.io/nodegroup-name": name,
        },
        tags={
            **(given.tags or {}),
            "alpha.eksctl.io/nodegroup-name": name,
            "alpha.eksctl.io/nodegroup-type": "managed",
        },
        private_networking=_or(given.private_networking, False),
        disable_imdsv1=_or(given.disable_imdsv1, True),
        disable_pod_imds=_or(given.disable_pod_imds, False),
        ssh=replace(ssh, allow=_or(ssh.allow, False), public_key_path=ssh.public_key_path or ""),
        iam=replace(given.iam or config.NodeIam(), with_addon_policies=_all_said(policies)),
        security_groups=replace(
            groups,
            with_local=None if groups.with_local is msgspec.UNSET else groups.with_local,
            with_shared=None if groups.with_shared is msgspec.UNSET else groups.with_shared,
        ),
        **speed,
    )


def sizes(given: config.ManagedNodeGroup) -> tuple[int, int, int]:
    """The least, the wanted and the most nodes: those left out follow those given (eksctl's validation.go)."""
    asked = given.desired_capacity
    least = _first(given.min_size, asked, NODES)
    most = _first(given.max_size, max(_first(asked, least), 1))
    return least, _first(asked, least), most


def _first(*numbers: int | None) -> int:
    return next(number for number in numbers if number is not None)


def _all_said(policies: config.AddonPolicies) -> config.AddonPolicies:
    said = {
        field.name: getattr(policies, field.name) or False for field in msgspec.structs.fields(config.AddonPolicies)
    }
    return config.AddonPolicies(**said)
