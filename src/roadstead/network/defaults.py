"""What a VPC has from its start, in the shapes of EC2's model: router, resolver, and who lets what through. Pure.

None of it is kept: it follows from the VPC and what is in it, and its ids are functions of theirs. It says what holds:

- the router leads within the VPC, and by NAT to the world: nothing comes in that way;
- whatever is in a VPC speaks with whatever else is, so each security group lets in all that comes from the VPC, and the
  network ACL all there is. Others cannot be made: nothing would keep them.

Source of names and of what each VPC has: VPC User Guide, "Default security groups", "Default network ACL", "Main route
table", "DHCP option sets", "Regional NAT gateways".
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roadstead.contract import naming
from roadstead.core import addresses
from roadstead.network import spec

EVERYWHERE = "0.0.0.0/0"
_DENIED = 32767
"""The number of an ACL's last rule, which has all that no other has."""


@dataclass(frozen=True)
class Group:
    """A security group. All of a VPC have the same rules."""

    id: str
    name: str
    description: str
    vpc: spec.Vpc
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def identifier(self) -> dict[str, str]:
        """The model's GroupIdentifier."""
        return {"GroupId": self.id, "GroupName": self.name}


def derived(prefix: str, *of: str) -> str:
    """An id in EC2's form that follows from another: `rtb-` and 17 digits."""
    return f"{prefix}-{hashlib.sha256('/'.join((prefix, *of)).encode()).hexdigest()[:17]}"


def default_group_id(vpc: str) -> str:
    """Of the VPC's group `default`, which nobody can delete."""
    return derived("sg", vpc)


def default_group(vpc: spec.Vpc) -> Group:
    """As EC2 makes it with the VPC: its name and description are EC2's words."""
    return Group(default_group_id(vpc.id), "default", "default VPC security group", vpc)


def cluster_group_id(cluster: str) -> str:
    """Of the group of a cluster's control plane and nodes. `cluster`: what is said of no other, nor of a namesake."""
    return derived("sg", cluster)


def cluster_group(cluster: str, name: str, vpc: spec.Vpc) -> Group:
    """cluster: as of cluster_group_id; name: the cluster's."""
    id = cluster_group_id(cluster)
    called = f"eks-cluster-sg-{name}-{int(id.removeprefix('sg-')[:8], 16)}"
    tags = {"Name": called, f"kubernetes.io/cluster/{name}": "owned", "aws:eks:cluster-name": name}
    return Group(id, called, f"the control plane and the nodes of the cluster {name}", vpc, tags)


def group(account: str, region: str, of: Group) -> dict[str, Any]:
    """The model's SecurityGroup."""
    return {
        "GroupId": of.id,
        "GroupName": of.name,
        "Description": of.description,
        "OwnerId": account,
        "VpcId": of.vpc.id,
        "SecurityGroupArn": f"arn:aws:ec2:{region}:{account}:security-group/{of.id}",
        "IpPermissions": [_everything(of.vpc.cidr)],
        "IpPermissionsEgress": [_everything(EVERYWHERE)],
        "Tags": _tags(of.tags),
    }


def rules(account: str, region: str, of: Group) -> list[dict[str, Any]]:
    """The model's SecurityGroupRules of a group."""
    shown = []
    for egress, cidr in ((False, of.vpc.cidr), (True, EVERYWHERE)):
        id = derived("sgr", of.id, "egress" if egress else "ingress")
        shown.append(
            {
                "SecurityGroupRuleId": id,
                "SecurityGroupRuleArn": f"arn:aws:ec2:{region}:{account}:security-group-rule/{id}",
                "GroupId": of.id,
                "GroupOwnerId": account,
                "IsEgress": egress,
                "IpProtocol": "-1",
                "FromPort": -1,
                "ToPort": -1,
                "CidrIpv4": cidr,
                "Tags": [],
            }
        )
    return shown


def gateway_id(vpc: spec.Vpc) -> str:
    """Of the NAT that the router does."""
    return derived("nat", vpc.id)


def nat_gateway(vpc: spec.Vpc) -> dict[str, Any]:
    """The model's NatGateway: one of the whole VPC, whose outer address is the machine's own."""
    return {
        "NatGatewayId": gateway_id(vpc),
        "VpcId": vpc.id,
        "State": "available",
        "ConnectivityType": "public",
        "AvailabilityMode": "regional",
        "CreateTime": _moment(vpc.created_at),
        "NatGatewayAddresses": [],
        "Tags": [],
    }


def route_table(account: str, vpc: spec.Vpc) -> dict[str, Any]:
    """The model's RouteTable of the main one, which all subnets use."""
    id = derived("rtb", vpc.id)
    main = {
        "Main": True,
        "RouteTableAssociationId": derived("rtbassoc", vpc.id),
        "RouteTableId": id,
        "AssociationState": {"State": "associated"},
    }
    local = {"DestinationCidrBlock": vpc.cidr, "GatewayId": "local", "Origin": "CreateRouteTable", "State": "active"}
    world = {
        "DestinationCidrBlock": EVERYWHERE,
        "NatGatewayId": gateway_id(vpc),
        "Origin": "CreateRoute",
        "State": "active",
    }
    return {
        "RouteTableId": id,
        "OwnerId": account,
        "VpcId": vpc.id,
        "Associations": [main],
        "PropagatingVgws": [],
        "Routes": [local, world],
        "Tags": [],
    }


def network_acl(account: str, vpc: spec.Vpc, subnets: Iterable[spec.Subnet]) -> dict[str, Any]:
    """The model's NetworkAcl: all subnets of the VPC, and everything allowed."""
    id = derived("acl", vpc.id)
    entries = [
        {"CidrBlock": EVERYWHERE, "Egress": egress, "Protocol": "-1", "RuleAction": action, "RuleNumber": number}
        for egress in (True, False)
        for number, action in ((100, "allow"), (_DENIED, "deny"))
    ]
    within = [
        {"NetworkAclAssociationId": derived("aclassoc", subnet.id), "NetworkAclId": id, "SubnetId": subnet.id}
        for subnet in subnets
    ]
    return {
        "NetworkAclId": id,
        "OwnerId": account,
        "VpcId": vpc.id,
        "IsDefault": True,
        "Associations": within,
        "Entries": entries,
        "Tags": [],
    }


def dhcp_options_id(account: str, region: str) -> str:
    """All VPCs of an account's region have the same."""
    return derived("dopt", account, region)


def dhcp_options(account: str, region: str) -> dict[str, Any]:
    """The model's DhcpOptions: the VPC's resolver, and the domain of the nodes' names."""
    values = {"domain-name": naming.domain(region), "domain-name-servers": "AmazonProvidedDNS"}
    return {
        "DhcpOptionsId": dhcp_options_id(account, region),
        "OwnerId": account,
        "DhcpConfigurations": [{"Key": key, "Values": [{"Value": value}]} for key, value in values.items()],
        "Tags": [],
    }


def attributes(vpc: spec.Vpc) -> Mapping[str, bool]:
    """Its resolver always knows the nodes' names, and nobody counts addresses. Nothing has an address of the world."""
    return {
        "enableDnsSupport": True,
        "enableDnsHostnames": vpc.dns_hostnames,
        "enableNetworkAddressUsageMetrics": False,
    }


@dataclass(frozen=True)
class Interface:
    """What has an address in a subnet: a node, or a part of a control plane."""

    address: str
    owner: str
    """What is said of nothing else."""
    description: str
    group: Group
    prefixes: tuple[str, ...] = ()
    """Networks for pods."""
    instance: str | None = None
    """The node's id as an instance."""


def interface(account: str, region: str, subnet: spec.Subnet, of: Interface) -> dict[str, Any]:
    """The model's NetworkInterface. That of a control plane is no customer's to change."""
    attachment: dict[str, Any] = {
        "AttachmentId": derived("eni-attach", of.owner, of.address),
        "DeviceIndex": 0,
        "Status": "attached",
        "DeleteOnTermination": True,
    }
    if of.instance is not None:
        attachment |= {"InstanceId": of.instance, "InstanceOwnerId": account}
    name = naming.node(of.address, region)
    return {
        "NetworkInterfaceId": derived("eni", of.owner, of.address),
        "InterfaceType": "interface",
        "Status": "in-use",
        "Description": of.description,
        "OwnerId": account,
        "RequesterManaged": of.instance is None,
        "VpcId": subnet.vpc,
        "SubnetId": subnet.id,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": subnet.zone_id,
        "MacAddress": addresses.mac(of.address),
        "PrivateIpAddress": of.address,
        "PrivateDnsName": name,
        "PrivateIpAddresses": [{"PrivateIpAddress": of.address, "PrivateDnsName": name, "Primary": True}],
        "Ipv4Prefixes": [{"Ipv4Prefix": prefix} for prefix in of.prefixes],
        "Ipv6Addresses": [],
        "SourceDestCheck": True,
        "Attachment": attachment,
        "Groups": [of.group.identifier],
        "TagSet": [],
    }


def _everything(cidr: str) -> dict[str, Any]:
    """The model's IpPermission for all of a network."""
    return {
        "IpProtocol": "-1",
        "IpRanges": [{"CidrIp": cidr}],
        "Ipv6Ranges": [],
        "PrefixListIds": [],
        "UserIdGroupPairs": [],
    }


def _tags(wanted: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(wanted.items())]


def _moment(at: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(at, dt.UTC)
