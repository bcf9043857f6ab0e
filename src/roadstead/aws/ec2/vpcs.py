"""VPCs: create, describe, delete."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, ids, tags
from roadstead.aws.ec2.vpc import lookups, resources, wishes
from roadstead.core import errors
from roadstead.network import spec, views
from roadstead.store import writes

FILTERS = {
    "vpc-id": filters.plain("VpcId"),
    "cidr": filters.plain("CidrBlock"),
    # Not in the reference: the first is asked for by Ansible's ec2_vpc_net, the last by Terraform's aws_vpc.
    "cidr-block": filters.plain("CidrBlock"),
    "isDefault": filters.plain("IsDefault"),
    "cidr-block-association.association-id": filters.at("CidrBlockAssociationSet", "AssociationId"),
    "cidr-block-association.cidr-block": filters.at("CidrBlockAssociationSet", "CidrBlock"),
    "cidr-block-association.state": filters.at("CidrBlockAssociationSet", "CidrBlockState", "State"),
    "owner-id": filters.plain("OwnerId"),
    "state": filters.plain("State"),
    "dhcp-options-id": filters.plain("DhcpOptionsId"),
    "is-default": filters.plain("IsDefault"),
    **filters.nothing(
        """ipv6-cidr-block-association.association-id ipv6-cidr-block-association.ipv6-cidr-block
        ipv6-cidr-block-association.ipv6-pool ipv6-cidr-block-association.state"""
    ),
}


@calls.operation("ec2", "CreateVpc", on=resources.NEW_VPC, context=resources.NEW)
async def create_vpc(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    await resources.may_tag(call, asked, resources.NEW_VPC)
    filters.not_dry(asked)
    wishes.check(asked, "VPC")
    if not asked.get("CidrBlock"):
        store_access.refuse("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
    with store_access.coded({errors.Invalid: "InvalidParameterValue"}):
        cidr = spec.canonical(asked["CidrBlock"])
    with store_access.coded({errors.Invalid: "InvalidVpc.Range"}):
        spec.check_vpc(cidr)
    last = await store_access.quota(call, spec.VPCS, code="VpcLimitExceeded")
    wanted = spec.Vpc(
        id=store_access.id_of(call, "vpc"),
        cidr=cidr,
        dns_hostnames=False,
        tags=tags.asked_for(asked, "vpc"),
        created_at=call.now.timestamp(),
    )
    await call.store.commit(
        spec.VPCS.put(spec.vpc_key(call.account, call.region, wanted.id), wanted, writes.Absent()),
        *last,
    )
    return {"Vpc": views.vpc(call.account, call.region, wanted)}


@calls.operation("ec2", "DescribeVpcs", on=resources.ANYTHING)
async def describe_vpcs(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [views.vpc(call.account, call.region, vpc) for vpc in await lookups.vpcs(call)]
    chosen = filters.named(shown, "VpcId", asked.get("VpcIds"), code="InvalidVpcID.NotFound", what="vpc")
    return {"Vpcs": filters.applied(chosen, asked, FILTERS)}


@calls.operation("ec2", "DeleteVpc", on=resources.VPC)
async def delete_vpc(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Only when nothing is in it."""
    filters.not_dry(asked)
    id = asked["VpcId"]
    key = spec.vpc_key(call.account, call.region, id) if id else None
    if key is None or await call.store.get(key) is None:
        ids.absent(id, "InvalidVpcID.NotFound", f"The vpc ID '{id}' does not exist")
    users = await call.kinds.users(call.store, key)
    if users.keys:
        store_access.refuse(
            "DependencyViolation",
            f"The vpc '{id}' has dependencies and cannot be deleted: delete what is in it first ({users}).",
        )
    with store_access.coded({errors.Conflict: "DependencyViolation", errors.NotFound: "InvalidVpcID.NotFound"}):
        await call.store.commit(writes.Delete(key, writes.Present()), *users.guards)
    return {}
