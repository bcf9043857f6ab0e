"""A new service is one folder and one line in serve: `tests/unit/pretended` is a whole one.

Its operations are called by boto3, its kind is known wherever resources are, its reconciler and its controller work.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit import aws_api
from tests.unit.pretended import service
from tests.wire import test_controllers_runtime as runtimes

from roadstead.aws import registry
from roadstead.serve import main

SERVICES = (*main.SERVICES, service.SERVICE)
"""The one line."""


def test_its_resources_are_made_kept_told_of_and_in_the_way(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        ec2, cloud_map = place.client("ec2"), place.client("servicediscovery")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        tags = [{"Key": "team", "Value": "shop"}]
        assert cloud_map.create_private_dns_namespace(Name="shop", Vpc=vpc, Tags=tags)["OperationId"]

        seen = "not seen yet"
        while seen == "not seen yet":
            found = cloud_map.get_namespace(Id="shop")["Namespace"]
            seen = found["Description"]
        assert seen == "seen with {'team': 'shop'}"
        arn = f"arn:aws:servicediscovery:{aws_api.REGION}:{place.account.account.id}:namespace/shop"
        assert found["Arn"] == arn

        (event,) = place.client("roadstead").list_events(resourceArn=arn)["events"]
        assert (event["reason"], event["resourceArn"]) == ("Asked", arn)
        with pytest.raises(ec2.exceptions.ClientError, match=r"DependencyViolation.*namespace shop"):
            ec2.delete_vpc(VpcId=vpc)
        cloud_map.create_private_dns_namespace(Name="other", Vpc=vpc)
        with pytest.raises(cloud_map.exceptions.ClientError, match=r"ResourceLimitExceeded.*2 namespaces"):
            cloud_map.create_private_dns_namespace(Name="third", Vpc=vpc)
        with pytest.raises(cloud_map.exceptions.NamespaceNotFound):
            cloud_map.get_namespace(Id="third")

    aws_api.told(tmp_path, story, given=registry.build(SERVICES))


def test_its_controller_works_in_every_cluster() -> None:
    async def story(world: runtimes.Scene) -> None:
        world.map("cart")
        await world.until(lambda: world.notices == ["one: default/cart is counted"])

    runtimes.play(story, *registry.build(SERVICES).controllers)


def test_without_it_nobody_knows_of_it(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        cloud_map = place.client("servicediscovery")
        with pytest.raises(cloud_map.exceptions.ClientError, match="no service 'servicediscovery'"):
            cloud_map.get_namespace(Id="shop")

    aws_api.told(tmp_path, story)
