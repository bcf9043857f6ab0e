"""What no VPC here ever has: other ways in and out, addresses of the world, private links, mirrors.

The names of filters are those of EC2's model.
"""

from __future__ import annotations

import functools

from roadstead.aws import calls, store_access
from roadstead.aws.ec2 import filters, nothing
from roadstead.aws.ec2.vpc import resources

_none = functools.partial(nothing.listed, __name__)

describe_addresses = _none(
    "DescribeAddresses",
    "Addresses",
    {"AllocationIds": "InvalidAllocationID.NotFound", "PublicIps": "InvalidAddress.NotFound"},
    """allocation-id association-id instance-id network-border-group network-interface-id network-interface-owner-id
    private-ip-address public-ip""",
)
describe_carrier_gateways = _none(
    "DescribeCarrierGateways",
    "CarrierGateways",
    {"CarrierGatewayIds": "InvalidCarrierGatewayID.NotFound"},
    """carrier-gateway-id state owner-id vpc-id""",
)
describe_client_vpn_endpoints = _none(
    "DescribeClientVpnEndpoints",
    "ClientVpnEndpoints",
    {"ClientVpnEndpointIds": "InvalidClientVpnEndpointId.NotFound"},
    """endpoint-id transport-protocol""",
)
describe_customer_gateways = _none(
    "DescribeCustomerGateways",
    "CustomerGateways",
    {"CustomerGatewayIds": "InvalidCustomerGatewayID.NotFound"},
    """bgp-asn customer-gateway-id ip-address state type""",
)
describe_egress_only_internet_gateways = _none(
    "DescribeEgressOnlyInternetGateways",
    "EgressOnlyInternetGateways",
    {"EgressOnlyInternetGatewayIds": "InvalidGatewayID.NotFound"},
    "",
)
describe_flow_logs = _none(
    "DescribeFlowLogs",
    "FlowLogs",
    {"FlowLogIds": "InvalidFlowLogId.NotFound"},
    """deliver-log-status log-destination-type flow-log-id log-group-name resource-id traffic-type""",
)
describe_instance_connect_endpoints = _none(
    "DescribeInstanceConnectEndpoints",
    "InstanceConnectEndpoints",
    {"InstanceConnectEndpointIds": "InvalidInstanceConnectEndpointId.NotFound"},
    """instance-connect-endpoint-id state subnet-id tag-value vpc-id""",
)
describe_internet_gateways = _none(
    "DescribeInternetGateways",
    "InternetGateways",
    {"InternetGatewayIds": "InvalidInternetGatewayID.NotFound"},
    """attachment.state attachment.vpc-id internet-gateway-id owner-id""",
)
describe_ipam_pools = _none(
    "DescribeIpamPools",
    "IpamPools",
    {"IpamPoolIds": "InvalidIpamPoolId.NotFound"},
    None,
)
describe_ipams = _none(
    "DescribeIpams",
    "Ipams",
    {"IpamIds": "InvalidIpamId.NotFound"},
    None,
)
describe_ipv6_pools = _none(
    "DescribeIpv6Pools",
    "Ipv6Pools",
    {"PoolIds": "InvalidPoolID.NotFound"},
    "",
)
describe_local_gateways = _none(
    "DescribeLocalGateways",
    "LocalGateways",
    {"LocalGatewayIds": "InvalidLocalGatewayID.NotFound"},
    """local-gateway-id outpost-arn owner-id state""",
)
describe_managed_prefix_lists = _none(
    "DescribeManagedPrefixLists",
    "PrefixLists",
    {"PrefixListIds": "InvalidPrefixListID.NotFound"},
    """owner-id prefix-list-id prefix-list-name""",
)
describe_prefix_lists = _none(
    "DescribePrefixLists",
    "PrefixLists",
    {"PrefixListIds": "InvalidPrefixListID.NotFound"},
    """prefix-list-id prefix-list-name""",
)
describe_public_ipv4_pools = _none(
    "DescribePublicIpv4Pools",
    "PublicIpv4Pools",
    {"PoolIds": "InvalidPublicIpv4PoolID.NotFound"},
    "",
)
describe_security_group_vpc_associations = _none(
    "DescribeSecurityGroupVpcAssociations",
    "SecurityGroupVpcAssociations",
    {},
    """group-id group-owner-id state vpc-id vpc-owner-id""",
)
describe_traffic_mirror_filters = _none(
    "DescribeTrafficMirrorFilters",
    "TrafficMirrorFilters",
    {"TrafficMirrorFilterIds": "InvalidTrafficMirrorFilterId.NotFound"},
    """description traffic-mirror-filter-id""",
)
describe_traffic_mirror_sessions = _none(
    "DescribeTrafficMirrorSessions",
    "TrafficMirrorSessions",
    {"TrafficMirrorSessionIds": "InvalidTrafficMirrorSessionId.NotFound"},
    """description network-interface-id owner-id packet-length session-number traffic-mirror-filter-id
    traffic-mirror-session-id traffic-mirror-target-id virtual-network-id""",
)
describe_traffic_mirror_targets = _none(
    "DescribeTrafficMirrorTargets",
    "TrafficMirrorTargets",
    {"TrafficMirrorTargetIds": "InvalidTrafficMirrorTargetId.NotFound"},
    """description network-interface-id network-load-balancer-arn owner-id traffic-mirror-target-id""",
)
describe_transit_gateway_attachments = _none(
    "DescribeTransitGatewayAttachments",
    "TransitGatewayAttachments",
    {"TransitGatewayAttachmentIds": "InvalidTransitGatewayAttachmentID.NotFound"},
    """association.state association.transit-gateway-route-table-id resource-id resource-owner-id resource-type state
    transit-gateway-attachment-id transit-gateway-id transit-gateway-owner-id""",
)
describe_transit_gateway_peering_attachments = _none(
    "DescribeTransitGatewayPeeringAttachments",
    "TransitGatewayPeeringAttachments",
    {"TransitGatewayAttachmentIds": "InvalidTransitGatewayAttachmentID.NotFound"},
    """transit-gateway-attachment-id local-owner-id remote-owner-id state transit-gateway-id""",
)
describe_transit_gateway_route_tables = _none(
    "DescribeTransitGatewayRouteTables",
    "TransitGatewayRouteTables",
    {"TransitGatewayRouteTableIds": "InvalidRouteTableID.NotFound"},
    """default-association-route-table default-propagation-route-table state transit-gateway-id
    transit-gateway-route-table-id""",
)
describe_transit_gateway_vpc_attachments = _none(
    "DescribeTransitGatewayVpcAttachments",
    "TransitGatewayVpcAttachments",
    {"TransitGatewayAttachmentIds": "InvalidTransitGatewayAttachmentID.NotFound"},
    """state transit-gateway-attachment-id transit-gateway-id vpc-id""",
)
describe_transit_gateways = _none(
    "DescribeTransitGateways",
    "TransitGateways",
    {"TransitGatewayIds": "InvalidTransitGatewayID.NotFound"},
    """options.propagation-default-route-table-id options.amazon-side-asn options.association-default-route-table-id
    options.auto-accept-shared-attachments options.default-route-table-association
    options.default-route-table-propagation options.dns-support options.vpn-ecmp-support owner-id state
    transit-gateway-id""",
)
describe_vpc_endpoint_service_configurations = _none(
    "DescribeVpcEndpointServiceConfigurations",
    "ServiceConfigurations",
    {"ServiceIds": "InvalidVpcEndpointServiceId.NotFound"},
    """service-name service-id service-state supported-ip-address-types""",
)
describe_vpc_endpoints = _none(
    "DescribeVpcEndpoints",
    "VpcEndpoints",
    {"VpcEndpointIds": "InvalidVpcEndpointId.NotFound"},
    """ip-address-type service-name service-region vpc-id vpc-endpoint-id vpc-endpoint-state vpc-endpoint-type""",
)
describe_vpc_peering_connections = _none(
    "DescribeVpcPeeringConnections",
    "VpcPeeringConnections",
    {"VpcPeeringConnectionIds": "InvalidVpcPeeringConnectionID.NotFound"},
    """accepter-vpc-info.cidr-block accepter-vpc-info.owner-id accepter-vpc-info.vpc-id expiration-time
    requester-vpc-info.cidr-block requester-vpc-info.owner-id requester-vpc-info.vpc-id status-code status-message
    vpc-peering-connection-id""",
)
describe_vpn_connections = _none(
    "DescribeVpnConnections",
    "VpnConnections",
    {"VpnConnectionIds": "InvalidVpnConnectionID.NotFound"},
    """customer-gateway-configuration customer-gateway-id state option.static-routes-only
    route.destination-cidr-block bgp-asn type vpn-connection-id vpn-gateway-id transit-gateway-id""",
)
describe_vpn_gateways = _none(
    "DescribeVpnGateways",
    "VpnGateways",
    {"VpnGatewayIds": "InvalidVpnGatewayID.NotFound"},
    """amazon-side-asn attachment.state attachment.vpc-id availability-zone state type vpn-gateway-id""",
)


@calls.operation("ec2", "DescribeVpcEndpointServices", answers="empty", on=resources.ANYTHING)
async def describe_vpc_endpoint_services(_: calls.Call, asked: calls.Asked) -> calls.Answer:
    """Two lists of the same: names, and what is behind them."""
    filters.not_dry(asked)
    for name in asked.get("ServiceNames") or ():
        store_access.refuse("InvalidServiceName", f"The Vpc Endpoint Service '{name}' does not exist")
    filters.applied(
        (), asked, filters.nothing("owner service-name service-region service-type supported-ip-address-types")
    )
    return {"ServiceNames": [], "ServiceDetails": []}
