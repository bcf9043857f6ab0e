"""A ClusterConfig as the inputs of CreateCluster and CreateNodegroup. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from roadstead.cli import config
from roadstead.cli.infrastructure import parts

_EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}


def said(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {key: value for key, value in fields.items() if value not in (None, {}, [], ())}


def ec2_tags(kind: str, tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """`TagSpecifications` of a request that makes one of this kind: `vpc`, `subnet`."""
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def cluster(wanted: config.ClusterConfig, role: str, subnets: list[str]) -> dict[str, Any]:
    """Of a config with its defaults."""
    metadata = wanted.metadata or config.Metadata()
    vpc = wanted.vpc or config.Vpc()
    ends = vpc.cluster_endpoints or config.ClusterEndpoints()
    access = wanted.access_config or config.AccessConfig()
    network = wanted.kubernetes_network_config or config.KubernetesNetworkConfig()
    support = wanted.upgrade_policy.support_type if wanted.upgrade_policy is not None else None
    name = metadata.name or ""
    return said(
        name=name,
        version=metadata.version,
        roleArn=role,
        resourcesVpcConfig=said(
            subnetIds=subnets,
            securityGroupIds=list(vpc.control_plane_security_group_ids or ()),
            endpointPublicAccess=ends.public_access,
            endpointPrivateAccess=ends.private_access,
            publicAccessCidrs=list(vpc.public_access_cidrs or ()),
        ),
        kubernetesNetworkConfig=said(ipFamily="ipv4", serviceIpv4Cidr=network.service_ipv4_cidr),
        accessConfig=said(
            authenticationMode=access.authentication_mode,
            bootstrapClusterCreatorAdminPermissions=access.bootstrap_cluster_creator_admin_permissions,
        ),
        bootstrapSelfManagedAddons=False,
        upgradePolicy=said(supportType=support or None),
        tags=parts.cluster_tags(wanted, Name=f"{parts.stack(name)}/ControlPlane"),
    )


def nodegroup(
    metadata: config.Metadata, group: config.ManagedNodeGroup, role: str, subnets: list[str]
) -> dict[str, Any]:
    """Of a nodegroup with its defaults."""
    update = group.update_config or config.UpdateConfig()
    repair = group.node_repair_config or config.NodeRepairConfig()
    types = group.instance_types or ((group.instance_type,) if group.instance_type else ())
    return said(
        clusterName=metadata.name,
        nodegroupName=group.name,
        nodeRole=role,
        subnets=subnets,
        scalingConfig={
            "minSize": group.min_size,
            "desiredSize": group.desired_capacity,
            "maxSize": group.max_size,
        },
        instanceTypes=list(types),
        diskSize=group.volume_size,
        labels=group.labels,
        taints=[
            said(key=taint.key, value=taint.value, effect=_EFFECTS[taint.effect])
            for taint in group.taints or ()
            if taint.effect is not None
        ],
        tags=parts.tags(metadata.name or "", {**(metadata.tags or {}), **(group.tags or {})}),
        capacityType="SPOT" if group.spot else "ON_DEMAND",
        releaseVersion=group.release_version,
        updateConfig=said(
            maxUnavailable=update.max_unavailable, maxUnavailablePercentage=update.max_unavailable_percentage
        ),
        nodeRepairConfig=said(
            enabled=repair.enabled,
            maxUnhealthyNodeThresholdPercentage=repair.max_unhealthy_node_threshold_percentage,
            maxUnhealthyNodeThresholdCount=repair.max_unhealthy_node_threshold_count,
            maxParallelNodesRepairedPercentage=repair.max_parallel_nodes_repaired_percentage,
            maxParallelNodesRepairedCount=repair.max_parallel_nodes_repaired_count,
        ),
    )
