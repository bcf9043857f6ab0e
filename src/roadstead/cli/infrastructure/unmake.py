"""Takes back what was made for a cluster: subnets, then their VPC, and roles beside them.

What is gone already is as good as deleted, so it may be done again after it was cut off, or by two at once.
"""

from __future__ import annotations

from typing import Any

from roadstead.cli import service
from roadstead.cli.infrastructure import lookups, together
from roadstead.wire import client


def infrastructure(api: service.Api, made: lookups.Infrastructure) -> None:
    """Raises client.ServiceError for what cannot be deleted, when the rest is."""
    together.together(lambda: _network(api, made), lambda: together.each(lambda name: _role(api, name), [*made.roles]))


def _network(api: service.Api, made: lookups.Infrastructure) -> None:
    together.each(lambda id: _gone(api, "ec2", "DeleteSubnet", SubnetId=id), [*made.subnets])
    together.each(lambda id: _gone(api, "ec2", "DeleteVpc", VpcId=id), [*made.vpcs])


def _role(api: service.Api, name: str) -> None:
    try:
        attached = api.call("iam", "ListAttachedRolePolicies", RoleName=name).get("AttachedPolicies", [])
    except client.ServiceError as error:
        if lookups.is_missing(error):
            return
        raise
    for policy in attached:
        _gone(api, "iam", "DetachRolePolicy", RoleName=name, PolicyArn=policy["PolicyArn"])
    _gone(api, "iam", "DeleteRole", RoleName=name)


def _gone(api: service.Api, of: str, operation: str, **values: Any) -> None:
    try:
        api.call(of, operation, **values)
    except client.ServiceError as error:
        if not lookups.is_missing(error):
            raise
