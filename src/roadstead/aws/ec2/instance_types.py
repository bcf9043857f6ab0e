"""Instance types: what AWS says of each, and where they are: all of them in all zones.

A node has the vCPUs, the memory and the number of pods of its type, and nothing of the rest that is told of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2.vpc import resources
from roadstead.network import regions, sizes

PAGE = 100
"""Types of a page where none are asked for: as many as may be."""
_DISK = ("InstanceStorageInfo", "Disks")
_EBS = ("EbsInfo", "EbsOptimizedInfo")
SIZE_FILTERS: dict[str, filters.Values] = {
    "auto-recovery-supported": filters.plain("AutoRecoverySupported"),
    "bare-metal": filters.plain("BareMetal"),
    "burstable-performance-supported": filters.plain("BurstablePerformanceSupported"),
    "current-generation": filters.plain("CurrentGeneration"),
    "dedicated-hosts-supported": filters.plain("DedicatedHostsSupported"),
    "ebs-info.attachment-limit-type": filters.at("EbsInfo", "AttachmentLimitType"),
    "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": filters.at(*_EBS, "BaselineBandwidthInMbps"),
    "ebs-info.ebs-optimized-info.baseline-iops": filters.at(*_EBS, "BaselineIops"),
    "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": filters.at(*_EBS, "BaselineThroughputInMBps"),
    "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": filters.at(*_EBS, "MaximumBandwidthInMbps"),
    "ebs-info.ebs-optimized-info.maximum-iops": filters.at(*_EBS, "MaximumIops"),
    "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": filters.at(*_EBS, "MaximumThroughputInMBps"),
    "ebs-info.ebs-optimized-support": filters.at("EbsInfo", "EbsOptimizedSupport"),
    "ebs-info.encryption-support": filters.at("EbsInfo", "EncryptionSupport"),
    "ebs-info.maximum-ebs-attachments": filters.at("EbsInfo", "MaximumEbsAttachments"),
    "ebs-info.nvme-support": filters.at("EbsInfo", "NvmeSupport"),
    "free-tier-eligible": filters.plain("FreeTierEligible"),
    "hibernation-supported": filters.plain("HibernationSupported"),
    "hypervisor": filters.plain("Hypervisor"),
    "instance-storage-info.disk.count": filters.at(*_DISK, "Count"),
    "instance-storage-info.disk.size-in-gb": filters.at(*_DISK, "SizeInGB"),
    "instance-storage-info.disk.type": filters.at(*_DISK, "Type"),
    "instance-storage-info.encryption-support": filters.at("InstanceStorageInfo", "EncryptionSupport"),
    "instance-storage-info.nvme-support": filters.at("InstanceStorageInfo", "NvmeSupport"),
    "instance-storage-info.total-size-in-gb": filters.at("InstanceStorageInfo", "TotalSizeInGB"),
    "instance-storage-supported": filters.plain("InstanceStorageSupported"),
    "instance-type": filters.plain("InstanceType"),
    "memory-info.size-in-mib": filters.at("MemoryInfo", "SizeInMiB"),
    "network-info.bandwidth-weightings": filters.at("NetworkInfo", "BandwidthWeightings"),
    "network-info.efa-info.maximum-efa-interfaces": filters.at("NetworkInfo", "EfaInfo", "MaximumEfaInterfaces"),
    "network-info.efa-supported": filters.at("NetworkInfo", "EfaSupported"),
    "network-info.ena-support": filters.at("NetworkInfo", "EnaSupport"),
    "network-info.encryption-in-transit-supported": filters.at("NetworkInfo", "EncryptionInTransitSupported"),
    "network-info.flexible-ena-queues-support": filters.at("NetworkInfo", "FlexibleEnaQueuesSupport"),
    "network-info.ipv4-addresses-per-interface": filters.at("NetworkInfo", "Ipv4AddressesPerInterface"),
    "network-info.ipv6-addresses-per-interface": filters.at("NetworkInfo", "Ipv6AddressesPerInterface"),
    "network-info.ipv6-supported": filters.at("NetworkInfo", "Ipv6Supported"),
    "network-info.maximum-network-cards": filters.at("NetworkInfo", "MaximumNetworkCards"),
    "network-info.maximum-network-interfaces": filters.at("NetworkInfo", "MaximumNetworkInterfaces"),
    "network-info.network-performance": filters.at("NetworkInfo", "NetworkPerformance"),
    "nitro-enclaves-support": filters.plain("NitroEnclavesSupport"),
    "nitro-tpm-info.supported-versions": filters.at("NitroTpmInfo", "SupportedVersions"),
    "nitro-tpm-support": filters.plain("NitroTpmSupport"),
    "processor-info.supported-architecture": filters.at("ProcessorInfo", "SupportedArchitectures"),
    "processor-info.supported-features": filters.at("ProcessorInfo", "SupportedFeatures"),
    "processor-info.sustained-clock-speed-in-ghz": filters.at("ProcessorInfo", "SustainedClockSpeedInGhz"),
    "reboot-migration-support": filters.plain("RebootMigrationSupport"),
    "supported-boot-mode": filters.at("SupportedBootModes"),
    "supported-root-device-type": filters.at("SupportedRootDeviceTypes"),
    "supported-usage-class": filters.at("SupportedUsageClasses"),
    "supported-virtualization-type": filters.at("SupportedVirtualizationTypes"),
    "vcpu-info.default-cores": filters.at("VCpuInfo", "DefaultCores"),
    "vcpu-info.default-threads-per-core": filters.at("VCpuInfo", "DefaultThreadsPerCore"),
    "vcpu-info.default-vcpus": filters.at("VCpuInfo", "DefaultVCpus"),
    "vcpu-info.valid-cores": filters.at("VCpuInfo", "ValidCores"),
    "vcpu-info.valid-threads-per-core": filters.at("VCpuInfo", "ValidThreadsPerCore"),
}
_OFFER_FILTERS = {"instance-type": filters.plain("InstanceType"), "location": filters.plain("Location")}


@calls.operation("ec2", "DescribeInstanceTypes", on=resources.ANYTHING)
async def describe_instance_types(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """In pages, also where none are asked for; a token is the last name of its page."""
    filters.not_dry(asked)
    wanted = frozenset(asked.get("InstanceTypes") or ())
    if strange := sorted(wanted - sizes.every().keys()):
        said = ", ".join(strange)
        store_access.refuse("InvalidInstanceType", f"The following supplied instance types do not exist: [{said}]")
    after, limit = asked.get("NextToken") or "", asked.get("MaxResults") or PAGE
    known = sizes.described(lambda name: name > after and (not wanted or name in wanted))
    shown, last = _page(filters.fitting(known, asked, SIZE_FILTERS), limit)
    return {"InstanceTypes": shown, **({"NextToken": last["InstanceType"]} if last else {})}


@calls.operation("ec2", "DescribeInstanceTypeOfferings", on=resources.ANYTHING)
async def describe_instance_type_offerings(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Every type is offered in every zone. A token is the last one of its page."""
    filters.not_dry(asked)
    kind = asked.get("LocationType", "region")
    zones = regions.zones(call.region)
    places = {
        "region": [call.region],
        "availability-zone": [zone.name for zone in zones],
        "availability-zone-id": [zone.id for zone in zones],
    }
    after, limit = tuple((asked.get("NextToken") or "").split("/")), asked.get("MaxResults")
    known = (
        {"InstanceType": name, "LocationType": kind, "Location": place}
        for name in sizes.every()
        for place in places.get(kind, ())
        if (name, place) > after
    )
    shown, last = _page(filters.fitting(known, asked, _OFFER_FILTERS), limit)
    token = {"NextToken": f"{last['InstanceType']}/{last['Location']}"} if last else {}
    return {"InstanceTypeOfferings": shown, **token}


def _page(fitting: Iterable[filters.Shown], limit: int | None) -> tuple[list[filters.Shown], filters.Shown | None]:
    """The first ones, no more than are needed to know it; the last of these if there are more."""
    found = list(fitting if limit is None else itertools.islice(fitting, limit + 1))
    if limit is None or len(found) <= limit:
        return found, None
    return found[:limit], found[limit - 1]
