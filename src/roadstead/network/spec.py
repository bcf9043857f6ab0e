"""A VPC and a subnet as they are wanted, and which addresses they may have.

Source of the rules: EC2 API Reference, CreateVpc and CreateSubnet: /16 to /28, base addresses are made canonical, and
five addresses of each subnet are taken.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from roadstead.core import addresses, errors
from roadstead.store import keys, kinds

VPC = "vpc"
SUBNET = "subnet"
MOST_SUBNETS = 200
"""Subnets of a VPC."""
LARGEST = 16
"""The shortest prefix."""


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """A VPC as it is wanted. `cidr`: its one range; `created_at`: seconds since 1970."""

    id: str
    cidr: str
    default: bool = False
    """Whether it is the one that the region had from its start, or had made again."""
    dns_hostnames: bool = True
    """Whether instances with addresses of the world have names there, on AWS. Kept and shown."""
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet as it is wanted. `zone`: `eu-central-1a`, `zone_id`: `euc1-az1`; `created_at`: seconds since 1970."""

    id: str
    vpc: str
    cidr: str
    zone: str
    zone_id: str
    public_addresses: bool = False
    """Whether instances in it were to have addresses of the world, on AWS. Kept and shown."""
    default: bool = False
    """Whether it is its zone's in a default VPC."""
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: float


def _vpc(key: keys.Key, subnet: Subnet) -> tuple[keys.Key]:
    return (VPCS.key(key.account, key.region, subnet.vpc),)


VPCS = kinds.Kind(
    VPC, Vpc, service="ec2", arn=kinds.ArnTemplate(VPC, "arn:aws:ec2:{region}:{account}:vpc/{0}"), quota=100
)
SUBNETS = kinds.Kind(
    SUBNET,
    Subnet,
    service="ec2",
    arn=kinds.ArnTemplate(SUBNET, "arn:aws:ec2:{region}:{account}:subnet/{0}"),
    refers={VPC: _vpc},
)
vpc_key, read_vpc = VPCS.key, VPCS.read
subnet_key, read_subnet = SUBNETS.key, SUBNETS.read


def canonical(text: str) -> str:
    """A network in CIDR notation without bits behind its prefix. Raises Invalid for other texts."""
    try:
        if "/" not in text:
            raise ValueError("it has no prefix length")
        return str(ipaddress.IPv4Network(text, strict=False))
    except ValueError as error:
        raise errors.Invalid(
            f"Value ({text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.", cidr=text
        ) from error


def check_vpc(cidr: str) -> None:
    """Whether a VPC may have a canonical CIDR. Raises Invalid."""
    _check_size(cidr)
    for taken, by in addresses.TAKEN.items():
        if addresses.overlap(cidr, taken):
            raise errors.Invalid(f"The CIDR '{cidr}' is invalid: {taken} is kept for {by}.", cidr=cidr)


def check_subnet(cidr: str, vpc: str) -> None:
    """Whether a subnet of a VPC may have a canonical CIDR. Raises Invalid."""
    _check_size(cidr)
    if not addresses.within(cidr, [vpc]):
        raise errors.Invalid(f"The CIDR '{cidr}' is invalid: it is not in the VPC's {vpc}.", cidr=cidr)


def check_free(cidr: str, others: Iterable[Subnet]) -> None:
    """Whether no other subnet of the VPC has any of the addresses. Raises Conflict."""
    for other in others:
        if addresses.overlap(cidr, other.cidr):
            raise errors.Conflict(
                f"The CIDR '{cidr}' conflicts with another subnet: {other.id} has {other.cidr}.",
                cidr=cidr,
                subnet=other.id,
            )


def _check_size(cidr: str) -> None:
    if not LARGEST <= ipaddress.IPv4Network(cidr).prefixlen <= addresses.SMALLEST_SUBNET:
        raise errors.Invalid(
            f"The CIDR '{cidr}' is invalid: its prefix must be between /{LARGEST} and /{addresses.SMALLEST_SUBNET}.",
            cidr=cidr,
        )
