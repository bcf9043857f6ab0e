"""What CreateVpc and CreateSubnet may be asked for and there is not here: each refused, whatever tools send besides.

Tools send members with the value that changes nothing (Terraform's aws_vpc AmazonProvidedIpv6CidrBlock=false and
InstanceTenancy=default): these are as if they were not there. Source of the codes: EC2 API Reference, "Error codes".
"""

from __future__ import annotations

from collections.abc import Mapping

from roadstead.aws import calls, store_access

_POOLS: Mapping[str, str] = {
    "Ipv4IpamPoolId": "InvalidIpamPoolId.NotFound",
    "Ipv6IpamPoolId": "InvalidIpamPoolId.NotFound",
    "Ipv6Pool": "InvalidPoolID.NotFound",
}
"""Pools of addresses, of which there is none, with the code for one that there is not."""
_LENGTHS: Mapping[str, str] = {"Ipv4NetmaskLength": "Ipv4IpamPoolId", "Ipv6NetmaskLength": "Ipv6IpamPoolId"}
"""How much is wanted of a pool."""
_UNBUILT = (
    "AmazonProvidedIpv6CidrBlock",
    "Ipv6CidrBlock",
    "Ipv6Native",
    "OutpostArn",
    "VpcEncryptionControl",
)


def check(asked: calls.Asked, what: str) -> None:
    """Raises Refused for what is wanted and there is not. what: `VPC` or `subnet`."""
    for member, code in _POOLS.items():
        if pool := asked.get(member):
            store_access.refuse(code, f"The pool ID '{pool}' does not exist")
    for member, pool in _LENGTHS.items():
        if asked.get(member) is not None:
            store_access.refuse("InvalidParameterCombination", f"{member} is of a pool: it needs {pool}.")
    for member in _UNBUILT:
        if asked.get(member):
            store_access.refuse(
                "UnsupportedOperation", f"{member} is not built yet: a {what} here has one IPv4 network."
            )
    if asked.get("Ipv6CidrBlockNetworkBorderGroup"):
        said = "Ipv6CidrBlockNetworkBorderGroup needs AmazonProvidedIpv6CidrBlock."
        store_access.refuse("InvalidParameterCombination", said)
    tenancy = asked.get("InstanceTenancy", "default")
    if tenancy == "host":
        store_access.refuse(
            "InvalidParameterValue", "The tenancy 'host' is of instances: a VPC's is default or dedicated."
        )
    if tenancy != "default":
        store_access.refuse("UnsupportedOperation", "Only the tenancy 'default' is offered: nodes share the machine.")
