"""Route tables and NAT gateways: the router of each VPC."""

from __future__ import annotations

from roadstead.aws import calls
from roadstead.aws.ec2 import filters
from roadstead.aws.ec2.vpc import lookups, resources
from roadstead.network import defaults

_TABLE_FILTERS: dict[str, filters.Values] = {
    "association.main": filters.at("Associations", "Main"),
    "association.route-table-association-id": filters.at("Associations", "RouteTableAssociationId"),
    "association.route-table-id": filters.at("Associations", "RouteTableId"),
    "owner-id": filters.plain("OwnerId"),
    "route-table-id": filters.plain("RouteTableId"),
    "route.destination-cidr-block": filters.at("Routes", "DestinationCidrBlock"),
    "route.gateway-id": filters.at("Routes", "GatewayId"),
    "route.nat-gateway-id": filters.at("Routes", "NatGatewayId"),
    "route.origin": filters.at("Routes", "Origin"),
    "route.state": filters.at("Routes", "State"),
    "vpc-id": filters.plain("VpcId"),
    # Subnets use the main table without an association of their own.
    **filters.nothing(
        """association.gateway-id association.subnet-id route.destination-ipv6-cidr-block
        route.destination-prefix-list-id route.egress-only-internet-gateway-id route.instance-id
        route.transit-gateway-id route.vpc-peering-connection-id"""
    ),
}
_GATEWAY_FILTERS: dict[str, filters.Values] = {
    "nat-gateway-id": filters.plain("NatGatewayId"),
    "state": filters.plain("State"),
    "vpc-id": filters.plain("VpcId"),
    **filters.nothing("subnet-id"),
}


@calls.operation("ec2", "DescribeRouteTables", on=resources.ANYTHING)
async def describe_route_tables(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [defaults.route_table(call.account, vpc) for vpc in await lookups.vpcs(call)]
    ids = asked.get("RouteTableIds")
    chosen = filters.named(shown, "RouteTableId", ids, code="InvalidRouteTableID.NotFound", what="routeTable")
    return {"RouteTables": filters.applied(chosen, asked, _TABLE_FILTERS)}


@calls.operation("ec2", "DescribeNatGateways", on=resources.ANYTHING)
async def describe_nat_gateways(call: calls.Call, asked: calls.Asked) -> calls.Answer:
    filters.not_dry(asked)
    shown = [defaults.nat_gateway(vpc) for vpc in await lookups.vpcs(call)]
    ids = asked.get("NatGatewayIds")
    chosen = filters.named(shown, "NatGatewayId", ids, code="NatGatewayNotFound", what="NAT gateway")
    return {"NatGateways": filters.applied(chosen, asked, _GATEWAY_FILTERS)}
