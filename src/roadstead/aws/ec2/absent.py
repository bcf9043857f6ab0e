"""What EC2 has beside VPCs and there never is here: images, volumes, keys, templates, reservations.

The names of filters are those of EC2's model.
"""

from __future__ import annotations

import functools

from roadstead.aws.ec2 import nothing

_none = functools.partial(nothing.listed, __name__)

describe_capacity_reservations = _none(
    "DescribeCapacityReservations",
    "CapacityReservations",
    {"CapacityReservationIds": "InvalidCapacityReservationId.NotFound"},
    """instance-type owner-id instance-platform availability-zone tenancy outpost-arn state start-date end-date
    end-date-type instance-match-criteria placement-group-arn""",
)
describe_fleets = _none(
    "DescribeFleets",
    "Fleets",
    {"FleetIds": "InvalidFleetId.NotFound"},
    """activity-status excess-capacity-termination-policy fleet-state replace-unhealthy-instances type""",
)
describe_hosts = _none(
    "DescribeHosts",
    "Hosts",
    {"HostIds": "InvalidHostID.NotFound"},
    """auto-placement availability-zone client-token host-reservation-id instance-type state""",
)
describe_iam_instance_profile_associations = _none(
    "DescribeIamInstanceProfileAssociations",
    "IamInstanceProfileAssociations",
    {"AssociationIds": "InvalidAssociationID.NotFound"},
    """instance-id state""",
)
describe_images = _none(
    "DescribeImages",
    "Images",
    {"ImageIds": "InvalidAMIID.NotFound"},
    """architecture block-device-mapping.delete-on-termination block-device-mapping.device-name
    block-device-mapping.snapshot-id block-device-mapping.volume-size block-device-mapping.volume-type
    block-device-mapping.encrypted boot-mode creation-date description ena-support free-tier-eligible hypervisor
    image-allowed image-id image-watermark.source-image-creation-time image-watermark.source-image-id
    image-watermark.source-image-region image-watermark.watermark-creation-time image-watermark.watermark-key
    image-type instance-type-specification.supported-instance-type
    instance-type-specification.unsupported-instance-type is-public kernel-id manifest-location name owner-alias
    owner-id platform product-code product-code.type public-ssm-parameter-name ramdisk-id root-device-name
    root-device-type scan-result.critical-fix-available-since scan-result.finding-scan-date
    scan-result.high-fix-available-since scan-result.highest-finding-severity-label
    scan-result.informational-fix-available-since scan-result.low-fix-available-since
    scan-result.medium-fix-available-since source-image-id source-image-region source-instance-id state
    state-reason-code state-reason-message sriov-net-support virtualization-type""",
)
describe_import_image_tasks = _none("DescribeImportImageTasks", "ImportImageTasks", {}, None)
describe_import_snapshot_tasks = _none("DescribeImportSnapshotTasks", "ImportSnapshotTasks", {}, None)
describe_key_pairs = _none(
    "DescribeKeyPairs",
    "KeyPairs",
    {"KeyNames": "InvalidKeyPair.NotFound", "KeyPairIds": "InvalidKeyPair.NotFound"},
    """key-pair-id fingerprint key-name""",
)
describe_launch_templates = _none(
    "DescribeLaunchTemplates",
    "LaunchTemplates",
    {
        "LaunchTemplateIds": "InvalidLaunchTemplateId.NotFound",
        "LaunchTemplateNames": "InvalidLaunchTemplateName.NotFoundException",
    },
    """create-time launch-template-name""",
)
describe_launch_template_versions = _none(
    "DescribeLaunchTemplateVersions",
    "LaunchTemplateVersions",
    {
        "LaunchTemplateId": "InvalidLaunchTemplateId.NotFound",
        "LaunchTemplateName": "InvalidLaunchTemplateName.NotFoundException",
    },
    """create-time ebs-optimized http-endpoint http-protocol-ipv4 host-resource-group-arn http-tokens
    iam-instance-profile image-id instance-type is-default-version kernel-id license-configuration-arn
    network-card-index ram-disk-id""",
)
describe_placement_groups = _none(
    "DescribePlacementGroups",
    "PlacementGroups",
    {"GroupNames": "InvalidPlacementGroup.Unknown", "GroupIds": "InvalidPlacementGroup.Unknown"},
    """group-name group-arn spread-level state strategy""",
)
describe_reserved_instances = _none(
    "DescribeReservedInstances",
    "ReservedInstances",
    {"ReservedInstancesIds": "InvalidReservedInstancesId"},
    """availability-zone availability-zone-id duration end fixed-price instance-type scope product-description
    reserved-instances-id start state usage-price""",
)
describe_snapshots = _none(
    "DescribeSnapshots",
    "Snapshots",
    {"SnapshotIds": "InvalidSnapshot.NotFound"},
    """description encrypted owner-alias owner-id progress snapshot-id start-time status storage-tier transfer-type
    volume-id volume-size""",
)
describe_spot_fleet_requests = _none(
    "DescribeSpotFleetRequests",
    "SpotFleetRequestConfigs",
    {"SpotFleetRequestIds": "InvalidSpotFleetRequestId.NotFound"},
    "",
)
describe_spot_instance_requests = _none(
    "DescribeSpotInstanceRequests",
    "SpotInstanceRequests",
    {"SpotInstanceRequestIds": "InvalidSpotInstanceRequestID.NotFound"},
    """availability-zone-group create-time fault-code fault-message instance-id launch-group
    launch.block-device-mapping.delete-on-termination launch.block-device-mapping.device-name
    launch.block-device-mapping.snapshot-id launch.block-device-mapping.volume-size
    launch.block-device-mapping.volume-type launch.group-id launch.group-name launch.image-id launch.instance-type
    launch.kernel-id launch.key-name launch.monitoring-enabled launch.ramdisk-id launched-availability-zone
    launched-availability-zone-id network-interface.addresses.primary network-interface.delete-on-termination
    network-interface.description network-interface.device-index network-interface.group-id
    network-interface.network-interface-id network-interface.private-ip-address network-interface.subnet-id
    product-description spot-instance-request-id spot-price state status-code status-message type valid-from
    valid-until""",
)
describe_volumes = _none(
    "DescribeVolumes",
    "Volumes",
    {"VolumeIds": "InvalidVolume.NotFound"},
    """attachment.attach-time attachment.delete-on-termination attachment.device attachment.instance-id
    attachment.status availability-zone availability-zone-id create-time encrypted fast-restored
    multi-attach-enabled operator.managed operator.principal size snapshot-id status volume-id volume-type""",
)
describe_volume_status = _none(
    "DescribeVolumeStatus",
    "VolumeStatuses",
    {"VolumeIds": "InvalidVolume.NotFound"},
    """action.code action.description action.event-id attachment-status.instance-id attachment-status.io-performance
    availability-zone event.description event.event-id event.event-type event.not-after event.not-before
    volume-status.details-name volume-status.details-status volume-status.status""",
)
describe_volumes_modifications = _none(
    "DescribeVolumesModifications",
    "VolumesModifications",
    {"VolumeIds": "InvalidVolume.NotFound"},
    """modification-state original-iops original-size original-volume-type originalMultiAttachEnabled start-time
    target-iops target-size target-volume-type targetMultiAttachEnabled volume-id""",
)
