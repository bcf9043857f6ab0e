"""Ids that requests name: one that cannot be an id is told apart from one that there is not.

Source: EC2 API Reference, "Error codes": the codes are spelled as there, and not all kinds of ids have one of the first
sort. An id is its prefix, a hyphen, and 8 or 17 hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from roadstead.aws import kept

_DIGITS = re.compile(r"[0-9a-f]{8}|[0-9a-f]{17}")
MALFORMED: Mapping[str, tuple[str, str]] = {
    "InvalidAMIID.NotFound": ("ami", "InvalidAMIID.Malformed"),
    "InvalidGroup.NotFound": ("sg", "InvalidGroupId.Malformed"),
    "InvalidInstanceID.NotFound": ("i", "InvalidInstanceID.Malformed"),
    "InvalidInternetGatewayID.NotFound": ("igw", "InvalidInternetGatewayId.Malformed"),
    "InvalidLaunchTemplateId.NotFound": ("lt", "InvalidLaunchTemplateId.Malformed"),
    "InvalidNetworkInterfaceID.NotFound": ("eni", "InvalidNetworkInterfaceId.Malformed"),
    "InvalidRouteTableID.NotFound": ("rtb", "InvalidRouteTableId.Malformed"),
    "InvalidSnapshot.NotFound": ("snap", "InvalidSnapshotID.Malformed"),
    "InvalidSubnetID.NotFound": ("subnet", "InvalidSubnetID.Malformed"),
    "InvalidVpcID.NotFound": ("vpc", "InvalidVpcID.Malformed"),
}
"""By the code for one that there is not: the prefix, and the code for what is no such id."""


def check(ids: Iterable[str], code: str) -> None:
    """Refuse what cannot be an id of the kind whose `code` this is, before any of them is looked for."""
    if code not in MALFORMED:
        return
    prefix, malformed = MALFORMED[code]
    for id in ids:
        before, hyphen, digits = id.rpartition("-")
        if not hyphen or before != prefix or not _DIGITS.fullmatch(digits):
            kept.refuse(malformed, f'Invalid id: "{id[:100]}" (expecting "{prefix}-...")')


def absent(id: str, code: str, message: str) -> NoReturn:
    """That there is none with this id."""
    check([id], code)
    kept.refuse(code, message)
