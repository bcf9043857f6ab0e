"""Codes that AWS's services give beside those of their models, with the status of each where it is told.

COMMON is of the "Common Errors" (or "Common Error Types") that each API reference ends with: the query protocol's from
CloudSearch's and RDS's, the newer ones from EC2's, MGN's, Kinesis Video Streams'. Two statuses: the pages differ.
EC2 is of "Error codes for the Amazon EC2 API", whose model names no errors: those of common actions, of networks and
instances, and of the server. SEEN are codes of no such page, by family of protocols, each with where they are seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Family = Literal["json", "query", "ec2"]

COMMON: Mapping[str, tuple[int, ...]] = {
    "AccessDeniedException": (403, 400),
    "ExpiredTokenException": (403,),
    "IncompleteSignature": (400, 403),
    "InternalFailure": (500,),
    "InvalidAction": (400,),
    "InvalidClientTokenId": (403,),
    "InvalidParameterCombination": (400,),
    "InvalidParameterValue": (400,),
    "InvalidQueryParameter": (400,),
    "MalformedHttpRequestException": (400,),
    "MalformedQueryString": (404, 400),
    "MissingAction": (400,),
    "MissingAuthenticationToken": (403,),
    "MissingParameter": (400,),
    "NotAuthorized": (401, 400),
    "OptInRequired": (403,),
    "RequestAbortedException": (400,),
    "RequestEntityTooLargeException": (413,),
    "RequestExpired": (400,),
    "RequestTimeoutException": (408,),
    "ServiceUnavailable": (503,),
    "Throttling": (400,),
    "ThrottlingException": (400,),
    "UnrecognizedClientException": (403,),
    "UnknownOperationException": (404, 400),
    "ValidationError": (400,),
}
FORMS_ONLY = frozenset(
    """InvalidAction InvalidClientTokenId InvalidParameterCombination InvalidParameterValue InvalidQueryParameter
    MalformedQueryString MissingAction MissingAuthenticationToken MissingParameter Throttling""".split()  # noqa: SIM905
)
"""Of these: what only services say that are spoken to in forms."""
_API_GATEWAY = "API Gateway's gateway responses, and the JSON services' (DynamoDB Developer Guide, Error handling)"
_IAM = "IAM User Guide and STS API reference, troubleshooting of signatures"
_TERRAFORM = "what Terraform's AWS provider catches of EC2"
_SMITHY = "Smithy 2.0, AWS protocols: their tests of malformed requests"
SEEN: Mapping[Family, Mapping[str, tuple[int, str]]] = {
    "json": {
        "MissingAuthenticationTokenException": (403, _API_GATEWAY),
        "IncompleteSignatureException": (403, _API_GATEWAY),
        "InvalidSignatureException": (403, _API_GATEWAY),
        "SerializationException": (400, _SMITHY),
        "ValidationException": (400, _SMITHY),
    },
    "query": {
        "AccessDenied": (403, _IAM),
        "SignatureDoesNotMatch": (403, _IAM),
        "ExpiredToken": (403, _IAM),
        "MalformedInput": (400, "query services' answer to a value of another type, e.g. CloudWatch's to a timestamp"),
    },
    "ec2": {
        "InvalidFleetId.NotFound": (400, _TERRAFORM),
        "InvalidIpamId.NotFound": (400, _TERRAFORM),
        "InvalidIpamPoolId.NotFound": (400, _TERRAFORM),
        "InvalidLocalGatewayID.NotFound": (400, "of the form of all others: nothing names it"),
        "InvalidPoolID.NotFound": (400, _TERRAFORM),
        "InvalidPublicIpv4PoolID.NotFound": (400, _TERRAFORM),
        "InvalidTrafficMirrorFilterId.NotFound": (400, _TERRAFORM),
        "InvalidTrafficMirrorSessionId.NotFound": (400, _TERRAFORM),
        "InvalidTrafficMirrorTargetId.NotFound": (400, _TERRAFORM),
        "InvalidTransitGatewayAttachmentID.NotFound": (400, _TERRAFORM),
        "InvalidTransitGatewayID.NotFound": (400, _TERRAFORM),
        "InvalidVpc.Range": (400, "EC2's answer to CreateVpc; its list spells it InvalidVpcRange"),
    },
}
OURS: Mapping[Family, Mapping[str, int]] = {
    "json": {"UnsupportedOperationException": 501},
    "query": {"UnsupportedOperation": 501},
    "ec2": {},
}
"""What AWS has no word for, since it has built everything: no SDK sends again what is answered with 501."""

EC2: frozenset[str] = frozenset(
    """
    AuthFailure Blocked DryRunOperation IdempotentParameterMismatch IncompleteSignature InvalidAction
    InvalidCharacter InvalidClientTokenId InvalidPaginationToken InvalidParameter InvalidParameterCombination
    InvalidParameterDependency InvalidParameterValue InvalidQueryParameter MalformedQueryString MissingAction
    MissingAuthenticationToken MissingParameter OptInRequired PendingVerification RequestExpired
    SignatureDoesNotMatch TagPolicyViolation UnauthorizedOperation UnknownParameter UnsupportedInstanceAttribute
    UnsupportedOperation UnsupportedProtocol ValidationError

    AddressLimitExceeded AttachmentLimitExceeded CannotDelete ConcurrentTagAccess CustomerGatewayLimitExceeded
    DefaultSubnetAlreadyExistsInAvailabilityZone DefaultVpcAlreadyExists DefaultVpcDoesNotExist DependencyViolation
    FilterLimitExceeded FlowLogAlreadyExists FlowLogsLimitExceeded Gateway.NotAttached IncorrectInstanceState
    IncorrectState InstanceLimitExceeded InsufficientFreeAddressesInSubnet InternetGatewayLimitExceeded
    InvalidAddress.Locked InvalidAddress.Malformed InvalidAddress.NotFound InvalidAddressID.NotFound
    InvalidAllocationID.NotFound InvalidAMIID.Malformed InvalidAMIID.NotFound InvalidAMIID.Unavailable
    InvalidAMIName.Duplicate InvalidAMIName.Malformed InvalidAssociationID.NotFound InvalidAttachment.NotFound
    InvalidAttachmentID.NotFound InvalidAvailabilityZone InvalidBlockDeviceMapping
    InvalidCapacityReservationId.Malformed InvalidCapacityReservationId.NotFound InvalidCarrierGatewayID.NotFound
    InvalidCidr.InUse InvalidClientToken InvalidClientVpnEndpointId.NotFound InvalidCustomerGatewayId.Malformed
    InvalidCustomerGatewayID.NotFound InvalidDhcpOptionID.NotFound InvalidDhcpOptionsId.Malformed
    InvalidDhcpOptionsID.NotFound InvalidEgressOnlyInternetGatewayId.Malformed
    InvalidEgressOnlyInternetGatewayId.NotFound InvalidFilter InvalidFlowLogId.NotFound InvalidFormat
    InvalidGatewayID.NotFound InvalidGroup.Duplicate InvalidGroup.InUse InvalidGroup.NotFound InvalidGroup.Reserved
    InvalidGroupId.Malformed InvalidHostId InvalidHostID.Malformed InvalidHostID.NotFound
    InvalidIamInstanceProfileArn.Malformed InvalidID InvalidInput InvalidInstanceAttributeValue
    InvalidInstanceConnectEndpointId.Malformed InvalidInstanceConnectEndpointId.NotFound InvalidInstanceID
    InvalidInstanceID.Malformed InvalidInstanceID.NotFound InvalidInstanceState InvalidInstanceType
    InvalidInternetGatewayId.Malformed InvalidInternetGatewayID.NotFound InvalidIPAddress.InUse InvalidKey.Format
    InvalidKeyPair.Duplicate InvalidKeyPair.Format InvalidKeyPair.NotFound InvalidLaunchTemplateId.Malformed
    InvalidLaunchTemplateId.NotFound InvalidLaunchTemplateId.VersionNotFound
    InvalidLaunchTemplateName.AlreadyExistsException InvalidLaunchTemplateName.MalformedException
    InvalidLaunchTemplateName.NotFoundException InvalidMaxResults InvalidNatGatewayID.NotFound
    InvalidNetworkAclEntry.NotFound InvalidNetworkAclId.Malformed InvalidNetworkAclID.NotFound
    InvalidNetworkInterface.InUse InvalidNetworkInterface.NotFound InvalidNetworkInterfaceAttachmentId.Malformed
    InvalidNetworkInterfaceId.Malformed InvalidNetworkInterfaceID.NotFound InvalidNextToken
    InvalidPermission.Duplicate InvalidPermission.Malformed InvalidPermission.NotFound
    InvalidPlacementGroup.Duplicate InvalidPlacementGroup.InUse InvalidPlacementGroup.Unknown
    InvalidPlacementGroupId.Malformed InvalidPolicyDocument InvalidPrefixListId.Malformed
    InvalidPrefixListID.NotFound InvalidRegion InvalidRequest InvalidReservationID.Malformed
    InvalidReservationID.NotFound InvalidReservedInstancesId InvalidResourceType.Unknown InvalidRoute.InvalidState
    InvalidRoute.Malformed InvalidRoute.NotFound InvalidRouteTableId.Malformed InvalidRouteTableID.NotFound
    InvalidSecurityGroupId.Malformed InvalidSecurityGroupID.NotFound InvalidSecurityGroupRuleId.Malformed
    InvalidSecurityGroupRuleId.NotFound InvalidServiceName InvalidSnapshot.InUse InvalidSnapshot.NotFound
    InvalidSnapshotID.Malformed InvalidSpotFleetRequestId.Malformed InvalidSpotFleetRequestId.NotFound
    InvalidSpotInstanceRequestID.Malformed InvalidSpotInstanceRequestID.NotFound InvalidState InvalidStateTransition
    InvalidSubnet InvalidSubnet.Conflict InvalidSubnet.Range InvalidSubnetID.Malformed InvalidSubnetID.NotFound
    InvalidTagKey.Malformed InvalidTenancy InvalidTime InvalidUserID.Malformed InvalidVolume.NotFound
    InvalidVolume.ZoneMismatch InvalidVolumeID.Duplicate InvalidVolumeID.Malformed InvalidVolumeID.ZoneMismatch
    InvalidVpcEndpoint.NotFound InvalidVpcEndpointId.Malformed InvalidVpcEndpointId.NotFound
    InvalidVpcEndpointService.NotFound InvalidVpcEndpointServiceId.NotFound InvalidVpcEndpointType
    InvalidVpcID.Malformed InvalidVpcID.NotFound InvalidVpcPeeringConnectionId.Malformed
    InvalidVpcPeeringConnectionID.NotFound InvalidVpcRange InvalidVpcState InvalidVpnConnectionID
    InvalidVpnConnectionID.NotFound InvalidVpnGatewayAttachment.NotFound InvalidVpnGatewayID.NotFound
    InvalidZone.NotFound KeyPairLimitExceeded LegacySecurityGroup MissingInput NatGatewayLimitExceeded
    NatGatewayMalformed NatGatewayNotFound NetworkAclEntryAlreadyExists NetworkAclEntryLimitExceeded
    NetworkAclLimitExceeded NetworkInterfaceLimitExceeded NoSuchVersion OperationNotPermitted
    PrivateIpAddressLimitExceeded Resource.AlreadyAssigned Resource.AlreadyAssociated ResourceCountExceeded
    ResourceCountLimitExceeded ResourceLimitExceeded RouteAlreadyExists RouteLimitExceeded RouteTableLimitExceeded
    RulesPerSecurityGroupLimitExceeded SecurityGroupLimitExceeded SecurityGroupsPerInstanceLimitExceeded
    SecurityGroupsPerInterfaceLimitExceeded SubnetLimitExceeded TagLimitExceeded Unsupported UnsupportedTenancy
    VcpuLimitExceeded VolumeInUse VolumeLimitExceeded VpcEndpointLimitExceeded VPCIdNotSpecified VpcLimitExceeded
    VpcPeeringConnectionAlreadyExists VPCResourceNotSpecified

    BandwidthLimitExceeded InsufficientAddressCapacity InsufficientCapacity InsufficientInstanceCapacity
    InsufficientVolumeCapacity InternalError InternalFailure RequestLimitExceeded ServerInternal ServiceUnavailable
    Unavailable
    """.split()  # noqa: SIM905
)
EC2_STATUS: Mapping[str, int] = {
    "AuthFailure": 401,
    "DryRunOperation": 412,
    "MissingAuthenticationToken": 403,
    "OptInRequired": 403,
    "SignatureDoesNotMatch": 403,
    "UnauthorizedOperation": 403,
    "BandwidthLimitExceeded": 503,
    "InsufficientAddressCapacity": 500,
    "InsufficientCapacity": 500,
    "InsufficientInstanceCapacity": 500,
    "InsufficientVolumeCapacity": 500,
    "InternalError": 500,
    "InternalFailure": 500,
    "RequestLimitExceeded": 503,
    "ServerInternal": 500,
    "ServiceUnavailable": 503,
    "Unavailable": 503,
}
"""Of those that are not 400, as clients see them: the page tells no more than 400-series and 500-series."""
