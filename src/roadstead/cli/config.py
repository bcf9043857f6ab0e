"""ClusterConfig `eksctl.io/v1alpha5`: the one description of a cluster that flags and files fill.

Source: eksctl's JSON schema (`eksctl utils schema`), release 0.230. A key that eksctl knows and Roadstead does not act
on stands in `REFUSED` with the reason, so that a file says what it wants and is never half obeyed. `None` means left
out; where eksctl prints an explicit null (`securityGroups`), left out is `UNSET`.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

API_VERSION: Final = "eksctl.io/v1alpha5"
KIND: Final = "ClusterConfig"

_ACRONYMS = {
    "arn": "ARN",
    "arns": "ARNs",
    "cidr": "CIDR",
    "cidrs": "CIDRs",
    "dns": "DNS",
    "ids": "IDs",
    "imds": "IMDS",
    "imdsv1": "IMDSv1",
    "iops": "IOPS",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "oidc": "OIDC",
}
_ODD = {
    "cloud_watch": "cloudWatch",
    "vcpus": "vCPUs",
    "neuron_devices": "neuron_devices",
    "x_ray": "xRay",
}


def spelled(name: str) -> str:
    """eksctl's key for a field of ours: `service_role_arn` is `serviceRoleARN`."""
    if name in _ODD:
        return _ODD[name]
    first, *rest = name.split("_")
    return first + "".join(_ACRONYMS.get(word, word.capitalize()) for word in rest)


class ConfigPart(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename=spelled
):
    """A part of a ClusterConfig."""


class Metadata(ConfigPart, frozen=True):
    name: str | None = None
    region: str | None = None
    version: str | None = None
    tags: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class UpgradePolicy(ConfigPart, frozen=True):
    support_type: Literal["", "STANDARD", "EXTENDED"] | None = None


class KubernetesNetworkConfig(ConfigPart, frozen=True):
    ip_family: Literal["IPv4", "IPv6"] | None = None
    service_ipv4_cidr: str | None = None


class Subnet(ConfigPart, frozen=True):
    id: str | None = None
    az: str | None = None
    cidr: str | None = None


class Subnets(ConfigPart, frozen=True):
    """Keyed by zone, or by any name when a subnet says its zone."""

    private: dict[str, Subnet] | None = None
    public: dict[str, Subnet] | None = None


class ClusterEndpoints(ConfigPart, frozen=True):
    private_access: bool | None = None
    public_access: bool | None = None


class Nat(ConfigPart, frozen=True):
    gateway: Literal["HighlyAvailable", "Single", "Disable"] | None = None


class Vpc(ConfigPart, frozen=True):
    id: str | None = None
    cidr: str | None = None
    subnets: Subnets | None = None
    security_group: str | None = None
    shared_node_security_group: str | None = None
    manage_shared_node_security_group_rules: bool | None = None
    auto_allocate_ipv6: bool | None = None
    nat: Nat | None = None
    cluster_endpoints: ClusterEndpoints | None = None
    public_access_cidrs: tuple[str, ...] | None = None
    control_plane_subnet_ids: tuple[str, ...] | None = None
    control_plane_security_group_ids: tuple[str, ...] | None = None


class Iam(ConfigPart, frozen=True):
    service_role_arn: str | None = None
    with_oidc: bool | None = None
    vpc_resource_controller_policy: bool | None = None


class AccessScope(ConfigPart, frozen=True):
    type: Literal["cluster", "namespace"] | None = None
    namespaces: tuple[str, ...] | None = None


class AccessPolicy(ConfigPart, frozen=True):
    policy_arn: str | None = None
    access_scope: AccessScope | None = None


class AccessEntry(ConfigPart, frozen=True):
    principal_arn: str | None = None
    type: Literal["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX"] | None = None
    kubernetes_groups: tuple[str, ...] | None = None
    kubernetes_username: str | None = None
    access_policies: tuple[AccessPolicy, ...] | None = None


class AccessConfig(ConfigPart, frozen=True):
    authentication_mode: Literal["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"] | None = None
    bootstrap_cluster_creator_admin_permissions: bool | None = None
    access_entries: tuple[AccessEntry, ...] | None = None


class AddonPolicies(ConfigPart, frozen=True):
    image_builder: bool | None = None
    auto_scaler: bool | None = None
    external_dns: bool | None = None
    cert_manager: bool | None = None
    app_mesh: bool | None = None
    app_mesh_preview: bool | None = None
    ebs: bool | None = None
    fsx: bool | None = None
    efs: bool | None = None
    aws_load_balancer_controller: bool | None = None
    alb_ingress: bool | None = None
    x_ray: bool | None = None
    cloud_watch: bool | None = None


class NodeIam(ConfigPart, frozen=True):
    instance_role_arn: str | None = None
    with_addon_policies: AddonPolicies | None = None


class Ssh(ConfigPart, frozen=True):
    allow: bool | None = None
    enable_ssm: bool | None = None
    public_key_path: str | None = None
    public_key_name: str | None = None


class SecurityGroups(ConfigPart, frozen=True):
    attach_ids: tuple[str, ...] | None = None
    with_local: bool | msgspec.UnsetType | None = msgspec.UNSET
    with_shared: bool | msgspec.UnsetType | None = msgspec.UNSET


class InstanceSelector(ConfigPart, frozen=True):
    vcpus: int | None = None
    memory: str | None = None
    gpus: int | None = None
    neuron_devices: int | None = None
    cpu_architecture: Literal["x86_64", "amd64", "arm64"] | None = None


class Taint(ConfigPart, frozen=True):
    key: str | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None


class UpdateConfig(ConfigPart, frozen=True):
    max_unavailable: int | None = None
    max_unavailable_percentage: int | None = None


class NodeRepairConfig(ConfigPart, frozen=True):
    enabled: bool | None = None
    max_unhealthy_node_threshold_percentage: int | None = None
    max_unhealthy_node_threshold_count: int | None = None
    max_parallel_nodes_repaired_percentage: int | None = None
    max_parallel_nodes_repaired_count: int | None = None


class ManagedNodeGroup(ConfigPart, frozen=True):
    name: str | None = None
    ami_family: str | None = None
    instance_type: str | None = None
    instance_types: tuple[str, ...] | None = None
    instance_selector: InstanceSelector | None = None
    instance_prefix: str | None = None
    instance_name: str | None = None
    desired_capacity: int | None = None
    min_size: int | None = None
    max_size: int | None = None
    volume_size: int | None = None
    """GiB."""
    volume_type: Literal["gp2", "gp3", "io1", "io2", "sc1", "st1"] | None = None
    volume_iops: int | None = None
    volume_throughput: int | None = None
    max_pods_per_node: int | None = None
    ami: str | None = None
    labels: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    taints: tuple[Taint, ...] | None = None
    availability_zones: tuple[str, ...] | None = None
    subnets: tuple[str, ...] | None = None
    private_networking: bool | None = None
    spot: bool | None = None
    ssh: Ssh | None = None
    iam: NodeIam | None = None
    security_groups: SecurityGroups | None = None
    disable_imdsv1: bool | None = None
    disable_pod_imds: bool | None = None
    release_version: str | None = None
    update_config: UpdateConfig | None = None
    node_repair_config: NodeRepairConfig | None = None


class PrivateCluster(ConfigPart, frozen=True):
    enabled: bool | None = None


class AutoModeConfig(ConfigPart, frozen=True):
    enabled: bool | None = None


class ClusterLogging(ConfigPart, frozen=True):
    enable_types: tuple[str, ...] | None = None


class CloudWatch(ConfigPart, frozen=True):
    cluster_logging: ClusterLogging | None = None


class AddonsConfig(ConfigPart, frozen=True):
    disable_default_addons: bool | None = None


class ClusterConfig(ConfigPart, frozen=True):
    api_version: Literal["eksctl.io/v1alpha5"] = API_VERSION
    kind: Literal["ClusterConfig"] = KIND
    metadata: Metadata | None = None
    upgrade_policy: UpgradePolicy | None = None
    kubernetes_network_config: KubernetesNetworkConfig | None = None
    auto_mode_config: AutoModeConfig | None = None
    iam: Iam | None = None
    access_config: AccessConfig | None = None
    vpc: Vpc | None = None
    addons_config: AddonsConfig | None = None
    private_cluster: PrivateCluster | None = None
    managed_node_groups: tuple[ManagedNodeGroup, ...] | None = None
    availability_zones: tuple[str, ...] | None = None
    cloud_watch: CloudWatch | None = None


_NO_ADDONS = "Roadstead manages no add-ons yet"
_NO_PODS = "Roadstead gives pods no AWS identities yet"
_NO_FARGATE = "Roadstead has no Fargate"
_NO_COMPONENTS = "Roadstead chooses the flags of the control plane itself"
_NO_IPV6 = "Roadstead's networks speak IPv4 only"
_NO_TEMPLATE = "Roadstead has no launch templates yet"
_NO_BOUNDARY = "Roadstead makes roles without permissions boundaries; make the role yourself and give its ARN"

REFUSED: dict[str, dict[str, str]] = {
    "ClusterConfig": {
        "addons": _NO_ADDONS,
        "capabilities": "Roadstead has no EKS capabilities",
        "controlPlaneScalingConfig": "Roadstead has no provisioned control plane tiers",
        "fargateProfiles": _NO_FARGATE,
        "gitops": "Roadstead installs no Flux; bootstrap it with the flux command when the cluster is there",
        "iamIdentityMappings": "aws-auth lets nobody in here; use accessConfig.accessEntries",
        "identityProviders": "Roadstead associates no OIDC identity providers yet",
        "karpenter": "Roadstead installs no Karpenter",
        "kubeAPIServerConfig": _NO_COMPONENTS,
        "kubeControllerManagerConfig": _NO_COMPONENTS,
        "kubeSchedulerConfig": _NO_COMPONENTS,
        "localZones": "Roadstead's regions have no local zones",
        "nodeGroups": "Roadstead has managed nodegroups only; use managedNodeGroups",
        "outpost": "Roadstead has no Outposts",
        "remoteNetworkConfig": "Roadstead has no hybrid nodes",
        "secretsEncryption": "Roadstead has no KMS keys yet",
        "zonalShiftConfig": "Roadstead has no zonal shift",
    },
    "Metadata": {
        "forceUpdateVersion": "Roadstead upgrades no clusters yet",
        "rollbackConfig": "Roadstead upgrades no clusters yet",
    },
    "KubernetesNetworkConfig": {"serviceIPv6CIDR": _NO_IPV6},
    "Vpc": {
        "controlPlaneEgressMode": "Roadstead's control planes have one way out",
        "controlPlaneOnPrivateSubnets": "say which by controlPlaneSubnetIDs",
        "extraCIDRs": "Roadstead's VPCs have one range of addresses",
        "extraIPv6CIDRs": _NO_IPV6,
        "hostnameType": "Roadstead names nodes by their addresses",
        "ipv6Cidr": _NO_IPV6,
        "ipv6Pool": _NO_IPV6,
    },
    "Iam": {
        "fargatePodExecutionRoleARN": _NO_FARGATE,
        "fargatePodExecutionRolePermissionsBoundary": _NO_FARGATE,
        "podIdentityAssociations": _NO_PODS,
        "serviceAccounts": _NO_PODS,
        "serviceRolePermissionsBoundary": _NO_BOUNDARY,
    },
    "NodeIam": {
        "attachPolicy": "make the role yourself and give instanceRoleARN",
        "attachPolicyARNs": "make the role yourself and give instanceRoleARN",
        "instanceProfileARN": "eksctl has it for self-managed nodegroups only",
        "instanceRoleName": "make the role yourself and give instanceRoleARN",
        "instanceRolePermissionsBoundary": _NO_BOUNDARY,
    },
    "Ssh": {
        "publicKey": "nodes of Roadstead run no SSH server; use 'roadstead shell'",
        "sourceSecurityGroupIds": "nodes of Roadstead run no SSH server; use 'roadstead shell'",
    },
    "InstanceSelector": dict.fromkeys(("allow", "deny"), "Roadstead selects no instance types; name one"),
    "NodeRepairConfig": {"nodeRepairConfigOverrides": "Roadstead repairs all nodes alike"},
    "PrivateCluster": dict.fromkeys(
        ("skipEndpointCreation", "additionalEndpointServices"), "Roadstead has no VPC endpoints yet"
    ),
    "AutoModeConfig": dict.fromkeys(
        ("nodePools", "nodeRoleARN", "permissionsBoundaryARN"), "Roadstead has no Auto Mode"
    ),
    "ClusterLogging": {"logRetentionInDays": "Roadstead keeps no cluster logs yet"},
    "AddonsConfig": dict.fromkeys(("autoApplyPodIdentityAssociations",), _NO_PODS),
    "ManagedNodeGroup": {
        "additionalVolumes": "nodes of Roadstead have one volume",
        "asgSuspendProcesses": "Roadstead has no Auto Scaling processes",
        "bottlerocket": "Roadstead has no Bottlerocket nodes",
        "capacityReservation": "Roadstead has no capacity reservations",
        "ebsOptimized": "Roadstead has no EBS",
        "efaEnabled": "Roadstead has no EFA",
        "enableDetailedMonitoring": "Roadstead has no CloudWatch metrics",
        "instanceMarketOptions": "use spot",
        "launchTemplate": _NO_TEMPLATE,
        "outpostARN": "Roadstead has no Outposts",
        "overrideBootstrapCommand": _NO_TEMPLATE,
        "placement": "Roadstead has no placement groups",
        "preBootstrapCommands": _NO_TEMPLATE,
        "propagateASGTags": "Roadstead has no Auto Scaling groups",
        "volumeEncrypted": "Roadstead has no KMS keys yet",
        "volumeKmsKeyID": "Roadstead has no KMS keys yet",
        "volumeName": "nodes of Roadstead have one volume",
    },
}
"""Keys that eksctl knows, by part, and why Roadstead refuses them."""
