"""What an answer has to have, whatever it says: held against every answer that a client of `aws_api` is given.

Three rules: members that the model requires of its shape; lists of the answer itself, and whether it is cut off (AWS
sends them empty, and programs iterate over them); and members that programs read without asking, which is `READ`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import botocore.model  # type: ignore[import-untyped]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


READ: Mapping[str, Mapping[str, frozenset[str]]] = {
    # Source: what a cluster and its parts show on AWS (EKS API Reference, examples of DescribeCluster and others);
    # eksctl 0.230 follows these pointers unasked: ResourcesVpcConfig.VpcId (ctl/get/cluster.go), Identity.Oidc.Issuer
    # (eks/eks.go), ComputeConfig.Enabled (actions/podidentityassociation/migrator.go, automode/role_deleter.go),
    # ScalingConfig.MinSize and its kin (actions/nodegroup/get.go), Update.Id (actions/accessentry/migrator.go).
    # Terraform's provider for AWS 6 takes CertificateAuthority and KubernetesNetworkConfig apart (service/eks).
    "eks": {
        "Cluster": _words(
            """name arn createdAt version status roleArn resourcesVpcConfig kubernetesNetworkConfig logging identity
            certificateAuthority platformVersion tags health accessConfig upgradePolicy zonalShiftConfig
            deletionProtection computeConfig storageConfig"""
        ),
        "VpcConfigResponse": _words(
            """subnetIds securityGroupIds clusterSecurityGroupId vpcId endpointPublicAccess endpointPrivateAccess
            publicAccessCidrs"""
        ),
        "KubernetesNetworkConfigResponse": _words("serviceIpv4Cidr ipFamily elasticLoadBalancing"),
        "ElasticLoadBalancing": _words("enabled"),
        "ComputeConfigResponse": _words("enabled"),
        "StorageConfigResponse": _words("blockStorage"),
        "BlockStorage": _words("enabled"),
        "Logging": _words("clusterLogging"),
        "LogSetup": _words("types enabled"),
        "Identity": _words("oidc"),
        "OIDC": _words("issuer"),
        "ClusterHealth": _words("issues"),
        "ClusterIssue": _words("code message resourceIds"),
        "AccessConfigResponse": _words("authenticationMode"),
        "UpgradePolicyResponse": _words("supportType"),
        "ZonalShiftConfigResponse": _words("enabled"),
        "ClusterVersionInformation": _words(
            """clusterVersion clusterType defaultPlatformVersion defaultVersion releaseDate endOfStandardSupportDate
            endOfExtendedSupportDate status versionStatus kubernetesPatchVersion controlPlaneScalingTiers
            controlPlaneComponentConfig"""
        ),
        "Nodegroup": _words(
            """nodegroupName nodegroupArn clusterName version releaseVersion createdAt modifiedAt status capacityType
            scalingConfig instanceTypes subnets amiType nodeRole labels taints resources diskSize health updateConfig
            tags"""
        ),
        "NodegroupScalingConfig": _words("minSize maxSize desiredSize"),
        "NodegroupResources": _words("autoScalingGroups"),
        "NodegroupHealth": _words("issues"),
        "Issue": _words("code message resourceIds"),
        "Taint": _words("key effect"),
        "Update": _words("id status type params createdAt errors"),
        "UpdateParam": _words("type value"),
        "AccessEntry": _words(
            "clusterName principalArn kubernetesGroups accessEntryArn createdAt modifiedAt tags username type"
        ),
        "AssociatedAccessPolicy": _words("policyArn accessScope associatedAt modifiedAt"),
        "AccessScope": _words("type namespaces"),
        "AccessPolicy": _words("name arn"),
    },
    # Source: EC2 API Reference, examples of the Describe operations; instance-selector 3.1 (eksctl's) follows
    # EbsInfo, NetworkInfo, PlacementGroupInfo, MemoryInfo.SizeInMiB and VCpuInfo.DefaultVCpus unasked
    # (pkg/selector/selector.go and aggregates.go), eksctl VpcId, CidrBlock and SubnetId (pkg/vpc/vpc.go).
    "ec2": {
        "Vpc": _words(
            """VpcId OwnerId CidrBlock CidrBlockAssociationSet DhcpOptionsId InstanceTenancy IsDefault State"""
        ),
        "VpcCidrBlockAssociation": _words("AssociationId CidrBlock CidrBlockState"),
        "Subnet": _words(
            """SubnetId SubnetArn OwnerId VpcId CidrBlock AvailabilityZone AvailabilityZoneId AvailableIpAddressCount
            State DefaultForAz MapPublicIpOnLaunch AssignIpv6AddressOnCreation Ipv6CidrBlockAssociationSet Ipv6Native
            EnableDns64 MapCustomerOwnedIpOnLaunch PrivateDnsNameOptionsOnLaunch"""
        ),
        "SecurityGroup": _words(
            "GroupId GroupName Description OwnerId VpcId SecurityGroupArn IpPermissions IpPermissionsEgress"
        ),
        "IpPermission": _words("IpProtocol IpRanges Ipv6Ranges PrefixListIds UserIdGroupPairs"),
        "SecurityGroupRule": _words("SecurityGroupRuleId GroupId GroupOwnerId IsEgress IpProtocol FromPort ToPort"),
        "GroupIdentifier": _words("GroupId GroupName"),
        "RouteTable": _words("RouteTableId OwnerId VpcId Associations PropagatingVgws Routes Tags"),
        "RouteTableAssociation": _words("Main RouteTableAssociationId RouteTableId AssociationState"),
        "Route": _words("Origin State"),
        "NatGateway": _words("NatGatewayId VpcId State ConnectivityType CreateTime NatGatewayAddresses Tags"),
        "NetworkAcl": _words("NetworkAclId OwnerId VpcId IsDefault Associations Entries Tags"),
        "NetworkAclEntry": _words("Egress Protocol RuleAction RuleNumber"),
        "DhcpOptions": _words("DhcpOptionsId OwnerId DhcpConfigurations Tags"),
        "NetworkInterface": _words(
            """NetworkInterfaceId InterfaceType Status Description OwnerId RequesterManaged VpcId SubnetId
            AvailabilityZone MacAddress PrivateIpAddress PrivateIpAddresses Ipv6Addresses SourceDestCheck Groups
            TagSet"""
        ),
        "Reservation": _words("ReservationId OwnerId Groups Instances"),
        "Instance": _words(
            """InstanceId InstanceType State LaunchTime Placement Monitoring SubnetId VpcId Architecture
            BlockDeviceMappings SecurityGroups NetworkInterfaces Tags RootDeviceType VirtualizationType Hypervisor
            AmiLaunchIndex ProductCodes PublicDnsName StateTransitionReason EbsOptimized SourceDestCheck"""
        ),
        "InstanceState": _words("Code Name"),
        "Placement": _words("AvailabilityZone Tenancy"),
        "InstanceStatus": _words("InstanceId AvailabilityZone InstanceState InstanceStatus SystemStatus"),
        "InstanceStatusSummary": _words("Status Details"),
        "AvailabilityZone": _words(
            "ZoneName ZoneId RegionName State ZoneType GroupName NetworkBorderGroup OptInStatus Messages"
        ),
        "Region": _words("RegionName Endpoint OptInStatus"),
        "InstanceTypeInfo": _words(
            """InstanceType CurrentGeneration FreeTierEligible SupportedUsageClasses SupportedRootDeviceTypes
            SupportedVirtualizationTypes BareMetal ProcessorInfo VCpuInfo MemoryInfo
            InstanceStorageSupported EbsInfo NetworkInfo PlacementGroupInfo AutoRecoverySupported
            BurstablePerformanceSupported DedicatedHostsSupported HibernationSupported SupportedBootModes"""
        ),
        "VCpuInfo": _words("DefaultVCpus DefaultCores DefaultThreadsPerCore"),
        "MemoryInfo": _words("SizeInMiB"),
        "ProcessorInfo": _words("SupportedArchitectures"),
        "EbsInfo": _words("EbsOptimizedSupport EncryptionSupport NvmeSupport"),
        "NetworkInfo": _words(
            """MaximumNetworkInterfaces MaximumNetworkCards DefaultNetworkCardIndex Ipv4AddressesPerInterface
            Ipv6AddressesPerInterface Ipv6Supported EnaSupport EfaSupported EncryptionInTransitSupported"""
        ),
        "PlacementGroupInfo": _words("SupportedStrategies"),
        "InstanceTypeOffering": _words("InstanceType LocationType Location"),
        "TagDescription": _words("Key Value ResourceId ResourceType"),
        "AccountAttribute": _words("AttributeName AttributeValues"),
    },
    # Source: IAM API Reference, examples. The model requires most of what there is.
    "iam": {
        "Role": _words("AssumeRolePolicyDocument MaxSessionDuration"),
        "AttachedPolicy": _words("PolicyName PolicyArn"),
        # Without dates: those of AWS's own policies are known to AWS alone.
        "Policy": _words(
            "PolicyName PolicyId Arn Path DefaultVersionId AttachmentCount PermissionsBoundaryUsageCount IsAttachable"
        ),
        "AccessKeyMetadata": _words("AccessKeyId Status CreateDate"),
    },
    "sts": {"GetCallerIdentityResponse": _words("UserId Account Arn")},
}
"""By service and shape."""
_AT_THE_TOP = ("IsTruncated",)


def lacking(model: botocore.model.OperationModel, answer: Mapping[str, Any]) -> list[str]:
    """What an answer to an operation lacks, as botocore has read it: paths."""
    shape = model.output_shape
    if shape is None:
        return []
    top = [
        name
        for name, member in shape.members.items()
        if name not in answer and (name in _AT_THE_TOP or (member.type_name == "list" and not _flat(member)))
    ]
    return [*top, *_within(READ.get(model.service_model.service_name, {}), shape, answer, "")]


def _within(read: Mapping[str, frozenset[str]], shape: botocore.model.Shape, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            wanted = {*shape.required_members, *read.get(shape.name, ())}
            assert wanted <= shape.members.keys(), f"{shape.name} has no {sorted(wanted - shape.members.keys())}"
            yield from (f"{path}{name}" for name in sorted(wanted - value.keys()))
            for name, member in shape.members.items():
                if name in value:
                    yield from _within(read, member, value[name], f"{path}{name}.")
        case "list":
            for number, item in enumerate(value):
                yield from _within(read, shape.member, item, f"{path}{number}.")
        case "map":
            for key, item in value.items():
                yield from _within(read, shape.value, item, f"{path}{key}.")
        case _:
            pass


def _flat(shape: botocore.model.Shape) -> bool:
    """An empty one of these has no place in XML."""
    return bool(shape.serialization.get("flattened"))


def check(parsed: Mapping[str, Any], model: botocore.model.OperationModel) -> None:
    """What botocore's event `after-call` tells of an answer: fails where it lacks something."""
    if parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
        missing = lacking(model, parsed)
        assert not missing, f"{model.service_model.service_name} {model.name} lacks {', '.join(missing)}"
