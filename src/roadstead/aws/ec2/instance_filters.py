"""What instances are filtered by: all that EC2's model tells of, by what an instance is shown with here."""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.aws.ec2 import filters

_INTERFACE = "NetworkInterfaces"
_SHOWN: Mapping[str, filters.Values] = {
    "architecture": filters.plain("Architecture"),
    "availability-zone": filters.at("Placement", "AvailabilityZone"),
    "availability-zone-id": filters.at("Placement", "AvailabilityZoneId"),
    "dns-name": filters.plain("PublicDnsName"),
    "ebs-optimized": filters.plain("EbsOptimized"),
    "enclave-options.enabled": filters.at("EnclaveOptions", "Enabled"),
    "hibernation-options.configured": filters.at("HibernationOptions", "Configured"),
    "hypervisor": filters.plain("Hypervisor"),
    "instance-id": filters.plain("InstanceId"),
    "instance-state-code": filters.at("State", "Code"),
    "instance-state-name": filters.at("State", "Name"),
    "instance-type": filters.plain("InstanceType"),
    "instance.group-id": filters.at("SecurityGroups", "GroupId"),
    "instance.group-name": filters.at("SecurityGroups", "GroupName"),
    "launch-index": filters.plain("AmiLaunchIndex"),
    "launch-time": filters.moment("LaunchTime"),
    "monitoring-state": filters.at("Monitoring", "State"),
    "private-dns-name": filters.plain("PrivateDnsName"),
    "private-ip-address": filters.plain("PrivateIpAddress"),
    "root-device-type": filters.plain("RootDeviceType"),
    "source-dest-check": filters.plain("SourceDestCheck"),
    "subnet-id": filters.plain("SubnetId"),
    "tenancy": filters.at("Placement", "Tenancy"),
    "virtualization-type": filters.plain("VirtualizationType"),
    "vpc-id": filters.plain("VpcId"),
}
_OF_RESERVATION: Mapping[str, filters.Values] = {
    "owner-id": filters.plain("OwnerId"),
    "reservation-id": filters.plain("ReservationId"),
}
_OF_INTERFACE: Mapping[str, filters.Values] = {
    "network-interface.addresses.primary": filters.at(_INTERFACE, "PrivateIpAddresses", "Primary"),
    "network-interface.addresses.private-dns-name": filters.at(_INTERFACE, "PrivateIpAddresses", "PrivateDnsName"),
    "network-interface.addresses.private-ip-address": filters.at(_INTERFACE, "PrivateIpAddresses", "PrivateIpAddress"),
    "network-interface.attachment.attachment-id": filters.at(_INTERFACE, "Attachment", "AttachmentId"),
    "network-interface.attachment.delete-on-termination": filters.at(_INTERFACE, "Attachment", "DeleteOnTermination"),
    "network-interface.attachment.device-index": filters.at(_INTERFACE, "Attachment", "DeviceIndex"),
    "network-interface.attachment.instance-id": filters.plain("InstanceId"),
    "network-interface.attachment.instance-owner-id": filters.plain("OwnerId"),
    "network-interface.attachment.status": filters.at(_INTERFACE, "Attachment", "Status"),
    "network-interface.availability-zone": filters.at("Placement", "AvailabilityZone"),
    "network-interface.description": filters.at(_INTERFACE, "Description"),
    "network-interface.group-id": filters.at(_INTERFACE, "Groups", "GroupId"),
    "network-interface.group-name": filters.at(_INTERFACE, "Groups", "GroupName"),
    "network-interface.ipv4-prefixes.ipv4-prefix": filters.at(_INTERFACE, "Ipv4Prefixes", "Ipv4Prefix"),
    "network-interface.mac-address": filters.at(_INTERFACE, "MacAddress"),
    "network-interface.network-interface-id": filters.at(_INTERFACE, "NetworkInterfaceId"),
    "network-interface.owner-id": filters.at(_INTERFACE, "OwnerId"),
    "network-interface.private-dns-name": filters.at(_INTERFACE, "PrivateDnsName"),
    "network-interface.private-ip-address": filters.at(_INTERFACE, "PrivateIpAddress"),
    "network-interface.source-dest-check": filters.at(_INTERFACE, "SourceDestCheck"),
    "network-interface.status": filters.at(_INTERFACE, "Status"),
    "network-interface.subnet-id": filters.at(_INTERFACE, "SubnetId"),
    "network-interface.vpc-id": filters.at(_INTERFACE, "VpcId"),
}
NEVER = filters.nothing(
    """affinity block-device-mapping.attach-time block-device-mapping.delete-on-termination
    block-device-mapping.device-name block-device-mapping.status block-device-mapping.volume-id boot-mode
    capacity-reservation-id capacity-reservation-specification.capacity-reservation-preference
    capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id
    capacity-reservation-specification.capacity-reservation-target.capacity-reservation-resource-group-arn client-token
    current-instance-boot-mode ena-support host-id iam-instance-profile.arn iam-instance-profile.id
    iam-instance-profile.name image-id instance-lifecycle ip-address ipv6-address kernel-id key-name
    maintenance-options.auto-recovery metadata-options.http-endpoint metadata-options.http-protocol-ipv4
    metadata-options.http-protocol-ipv6 metadata-options.http-put-response-hop-limit metadata-options.http-tokens
    metadata-options.instance-metadata-tags metadata-options.state
    network-interface.addresses.association.allocation-id network-interface.addresses.association.association-id
    network-interface.addresses.association.carrier-ip network-interface.addresses.association.customer-owned-ip
    network-interface.addresses.association.ip-owner-id network-interface.addresses.association.public-dns-name
    network-interface.addresses.association.public-ip network-interface.association.allocation-id
    network-interface.association.association-id network-interface.association.carrier-ip
    network-interface.association.customer-owned-ip network-interface.association.ip-owner-id
    network-interface.association.public-dns-name network-interface.association.public-ip
    network-interface.attachment.attach-time network-interface.attachment.network-card-index
    network-interface.deny-all-igw-traffic network-interface.ipv6-address
    network-interface.ipv6-addresses.ipv6-address network-interface.ipv6-addresses.is-primary-ipv6
    network-interface.ipv6-native network-interface.ipv6-prefixes.ipv6-prefix network-interface.operator.managed
    network-interface.operator.principal network-interface.outpost-arn network-interface.public-dns-name
    network-interface.requester-id network-interface.requester-managed network-interface.tag-key
    network-interface.tag-value network-performance-options.bandwidth-weighting operator.managed operator.principal
    outpost-arn placement-group-name placement-partition-number platform platform-details
    private-dns-name-options.enable-resource-name-dns-a-record
    private-dns-name-options.enable-resource-name-dns-aaaa-record private-dns-name-options.hostname-type product-code
    product-code.type ramdisk-id reason requester-id root-device-name spot-instance-request-id state-reason-code
    state-reason-message tpm-support usage-operation usage-operation-update-time"""
)
"""What no instance here has."""
FILTERS: Mapping[str, filters.Values] = {**_SHOWN, **_OF_RESERVATION, **_OF_INTERFACE, **NEVER}
