"""What is shown of VPCs, subnets and what a region offers, in the shapes of EC2's model. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from roadstead.core import addresses
from roadstead.network import defaults, regions, sizes, spec


def vpc(account: str, region: str, wanted: spec.Vpc) -> dict[str, Any]:
    """The model's Vpc."""
    return {
        "VpcId": wanted.id,
        "OwnerId": account,
        "CidrBlock": wanted.cidr,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": f"vpc-cidr-assoc-{wanted.id.removeprefix('vpc-')}",
                "CidrBlock": wanted.cidr,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "Ipv6CidrBlockAssociationSet": [],
        "DhcpOptionsId": defaults.dhcp_options_id(account, region),
        "InstanceTenancy": "default",
        "IsDefault": False,
        "State": "available",
        "Tags": tags(wanted.tags),
    }


def subnet(account: str, region: str, wanted: spec.Subnet, used: int = 0) -> dict[str, Any]:
    """The model's Subnet. used: addresses that hosts have."""
    free = ipaddress.IPv4Network(wanted.cidr).num_addresses - len(addresses.reserved(wanted.cidr)) - used
    return {
        "SubnetId": wanted.id,
        "SubnetArn": f"arn:aws:ec2:{region}:{account}:subnet/{wanted.id}",
        "OwnerId": account,
        "VpcId": wanted.vpc,
        "CidrBlock": wanted.cidr,
        "AvailabilityZone": wanted.zone,
        "AvailabilityZoneId": wanted.zone_id,
        "AvailableIpAddressCount": free,
        "State": "available",
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": wanted.public_addresses,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "EnableDns64": False,
        "MapCustomerOwnedIpOnLaunch": False,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "Tags": tags(wanted.tags),
    }


def tags(wanted: Mapping[str, str]) -> list[dict[str, str]]:
    """The model's TagList."""
    return [{"Key": key, "Value": value} for key, value in sorted(wanted.items())]


def zone(region: str, offered: regions.Zone) -> dict[str, Any]:
    """The model's AvailabilityZone."""
    return {
        "ZoneName": offered.name,
        "ZoneId": offered.id,
        "RegionName": region,
        "GroupName": f"{region}-zg-1",
        "NetworkBorderGroup": region,
        "ZoneType": "availability-zone",
        "State": "available",
        "OptInStatus": "opt-in-not-required",
        "Messages": [],
    }


def size(offered: sizes.Size) -> dict[str, Any]:
    """The model's InstanceTypeInfo."""
    return {
        "InstanceType": offered.name,
        "CurrentGeneration": True,
        "FreeTierEligible": False,
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": False,
        "Hypervisor": "nitro",
        "ProcessorInfo": {"SupportedArchitectures": [offered.architecture]},
        "VCpuInfo": {
            "DefaultVCpus": offered.vcpus,
            "DefaultCores": max(1, offered.vcpus // offered.threads),
            "DefaultThreadsPerCore": offered.threads,
        },
        "MemoryInfo": {"SizeInMiB": offered.memory},
        "InstanceStorageSupported": False,
        "EbsInfo": {
            "EbsOptimizedSupport": "unsupported",
            "EncryptionSupport": "unsupported",
            "NvmeSupport": "unsupported",
        },
        "NetworkInfo": {
            "MaximumNetworkInterfaces": offered.interfaces,
            "MaximumNetworkCards": 1,
            "DefaultNetworkCardIndex": 0,
            "Ipv4AddressesPerInterface": offered.addresses,
            "Ipv6AddressesPerInterface": 0,
            "Ipv6Supported": False,
            "EnaSupport": "unsupported",
            "EfaSupported": False,
            "EncryptionInTransitSupported": False,
        },
        "PlacementGroupInfo": {"SupportedStrategies": []},
        "AutoRecoverySupported": False,
        "BurstablePerformanceSupported": offered.burstable,
        "DedicatedHostsSupported": False,
        "HibernationSupported": False,
        "NitroEnclavesSupport": "unsupported",
        "NitroTpmSupport": "unsupported",
        "SupportedBootModes": [],
    }
