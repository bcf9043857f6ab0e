"""The default VPC and its subnets, made anew after they were deleted."""

from __future__ import annotations

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, subnets
from roadstead.aws.ec2.vpc import lookups, resources
from roadstead.core import errors
from roadstead.network import default_vpc, spec, views
from roadstead.store import keys, writes


@calls.operation("ec2", "CreateDefaultVpc", on=resources.ANYTHING)
async def create_default_vpc(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    await lookups.begin(call)
    below = keys.Prefix(call.account, call.region, spec.VPC)
    for _ in range(store_access.TRIES):
        states, revision = await store_access.listed(call.store, below)
        if any(spec.read_vpc(state.desired.body).default for state in states):
            said = "A Default VPC already exists for this account in this region."
            store_access.refuse("DefaultVpcAlreadyExists", said)
        await store_access.quota(call, spec.VPCS, code="VpcLimitExceeded")
        made = default_vpc.drawn(call.region, lookups.ids_of(call), call.now.timestamp())
        try:
            await call.store.commit(
                *default_vpc.puts(call.account, call.region, made), writes.Unchanged(below, revision)
            )
        except errors.Conflict:
            # Another VPC came first: perhaps the default one.
            continue
        return {"Vpc": views.vpc(call.account, call.region, made[0])}
    raise errors.Busy("many VPCs are being made: try again")


@calls.operation("ec2", "CreateDefaultSubnet", on=resources.ANYTHING)
async def create_default_subnet(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    if asked.get("Ipv6Native"):
        store_access.refuse("UnsupportedOperation", "Ipv6Native is not built yet: a subnet here has one IPv4 network.")
    if not (asked.get("AvailabilityZone") or asked.get("AvailabilityZoneId")):
        store_access.refuse("MissingParameter", "The request must contain the parameter availabilityZone")
    zone = subnets.zone_of(call, asked)
    below = keys.Prefix(call.account, call.region, spec.SUBNET)
    for _ in range(store_access.TRIES):
        vpc = next((one for one in await lookups.vpcs(call) if one.default), None)
        if vpc is None:
            store_access.refuse("DefaultVpcDoesNotExist", "There is no default VPC in which to carry out the request.")
        states, revision = await store_access.listed(call.store, below)
        others = [one for one in (spec.read_subnet(state.desired.body) for state in states) if one.vpc == vpc.id]
        if any(one.default and one.zone == zone.name for one in others):
            said = f"'{zone.name}' already has a default subnet"
            store_access.refuse("DefaultSubnetAlreadyExistsInAvailabilityZone", said)
        id = store_access.id_of(call, "subnet")
        with store_access.coded({errors.Conflict: "InvalidSubnet.Conflict"}):
            made = default_vpc.subnet(vpc, zone, others, id, call.now.timestamp())
        try:
            await call.store.commit(
                spec.SUBNETS.put(spec.subnet_key(call.account, call.region, id), made, writes.Absent()),
                writes.Require(spec.vpc_key(call.account, call.region, vpc.id), writes.Present()),
                writes.Unchanged(below, revision),
            )
        except (errors.Conflict, errors.NotFound):
            # Another subnet came first, or the VPC is gone.
            continue
        return {"Subnet": views.subnet(call.account, call.region, made)}
    raise errors.Busy("many subnets are being made: try again")
