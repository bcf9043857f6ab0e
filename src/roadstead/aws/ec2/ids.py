"""Ids that requests name: one that cannot be an id is told apart from one that there is not.

Source: EC2 API Reference, "Error codes": the codes are spelled as there, and not all kinds of ids have one of the first
sort. An id is its prefix, a hyphen, and 8 or 17 hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from roadstead.aws import store_access

_DIGITS = re.compile(r"[0-9a-f]{8}|[0-9a-f]{17}")
MALFORMED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "InvalidAMIID.NotFound": (("ami",), "InvalidAMIID.Malformed"),
    "InvalidCapacityReservationId.NotFound": (("cr",), "InvalidCapacityReservationId.Malformed"),
    "InvalidCustomerGatewayID.NotFound": (("cgw",), "InvalidCustomerGatewayId.Malformed"),
    "InvalidDhcpOptionID.NotFound": (("dopt",), "InvalidDhcpOptionsId.Malformed"),
    "InvalidGatewayID.NotFound": (("eigw",), "InvalidEgressOnlyInternetGatewayId.Malformed"),
    "InvalidGroup.NotFound": (("sg",), "InvalidGroupId.Malformed"),
    "InvalidHostID.NotFound": (("h",), "InvalidHostID.Malformed"),
    "InvalidInstanceConnectEndpointId.NotFound": (("eice",), "InvalidInstanceConnectEndpointId.Malformed"),
    "InvalidInstanceID.NotFound": (("i",), "InvalidInstanceID.Malformed"),
    "InvalidInternetGatewayID.NotFound": (("igw",), "InvalidInternetGatewayId.Malformed"),
    "InvalidLaunchTemplateId.NotFound": (("lt",), "InvalidLaunchTemplateId.Malformed"),
    "InvalidNetworkAclID.NotFound": (("acl",), "InvalidNetworkAclId.Malformed"),
    "InvalidNetworkInterfaceID.NotFound": (("eni",), "InvalidNetworkInterfaceId.Malformed"),
    "InvalidPlacementGroup.Unknown": (("pg",), "InvalidPlacementGroupId.Malformed"),
    "InvalidPrefixListID.NotFound": (("pl",), "InvalidPrefixListId.Malformed"),
    "InvalidRouteTableID.NotFound": (("rtb", "tgw-rtb"), "InvalidRouteTableId.Malformed"),
    "InvalidSecurityGroupRuleId.NotFound": (("sgr",), "InvalidSecurityGroupRuleId.Malformed"),
    "InvalidSnapshot.NotFound": (("snap",), "InvalidSnapshotID.Malformed"),
    "InvalidSubnetID.NotFound": (("subnet",), "InvalidSubnetID.Malformed"),
    "InvalidVolume.NotFound": (("vol",), "InvalidVolumeID.Malformed"),
    "InvalidVpcEndpointId.NotFound": (("vpce",), "InvalidVpcEndpointId.Malformed"),
    "InvalidVpcID.NotFound": (("vpc",), "InvalidVpcID.Malformed"),
    "InvalidVpcPeeringConnectionID.NotFound": (("pcx",), "InvalidVpcPeeringConnectionId.Malformed"),
    "NatGatewayNotFound": (("nat",), "NatGatewayMalformed"),
}
"""By the code for one that there is not: the prefixes, and the code for what is no such id."""


def check(ids: Iterable[str], code: str) -> None:
    """Refuse what cannot be an id of the kind whose `code` this is, before any of them is looked for."""
    if code not in MALFORMED:
        return
    prefixes, malformed = MALFORMED[code]
    for id in ids:
        before, _, digits = id.rpartition("-")
        if before not in prefixes or not _DIGITS.fullmatch(digits):
            store_access.refuse(malformed, f'Invalid id: "{id[:100]}" (expecting "{prefixes[0]}-...")')


def not_found(prefix: str) -> str:
    """The code for an id with this prefix that there is not."""
    return next(code for code, (prefixes, _) in MALFORMED.items() if prefix in prefixes)


def absent(id: str, code: str, message: str) -> NoReturn:
    """That there is none with this id."""
    check([id], code)
    store_access.refuse(code, message)
