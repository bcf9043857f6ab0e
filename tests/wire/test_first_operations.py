"""First operations that no story comes by, and an earlier release's state folder, against the real serve."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from testkit import api_served

from roadstead.wire import services

FIRST_RELEASE = Path(__file__).parents[1] / "fixtures" / "state-0.1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    folder = tmp_path_factory.mktemp("first")
    with api_served.served(folder / "state", folder / "home", module="roadstead.serve.main") as served:
        yield served


def own(running: api_served.Served) -> Any:
    """boto3's client of the service `roadstead`, made from our model as of any other."""
    core = botocore.session.Session()
    core.get_component("data_loader").search_paths.append(str(services.OURS))
    found = running.profile
    return boto3.session.Session(botocore_session=core).client(
        "roadstead",
        endpoint_url=running.endpoint,
        region_name=found.region,
        aws_access_key_id=found.access_key,
        aws_secret_access_key=found.secret,
    )


def test_regions_are_those_of_the_partition_and_can_be_named(running: api_served.Served) -> None:
    ec2 = running.client("ec2")
    names = {region["RegionName"] for region in ec2.describe_regions()["Regions"]}
    assert {"eu-central-1", "us-east-1"} <= names
    some = ec2.describe_regions(RegionNames=["eu-central-1"])["Regions"]
    assert [region["RegionName"] for region in some] == ["eu-central-1"]


def test_a_deleted_tag_is_gone_and_the_others_stay(running: api_served.Served) -> None:
    ec2 = running.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ec2.delete_tags(Resources=[vpc], Tags=[{"Key": "a"}])
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"] == [{"Key": "b", "Value": "2"}]


def test_a_user_is_as_it_was_made_and_the_caller_is_one_too(running: api_served.Served) -> None:
    iam = running.client("iam")
    made = iam.create_user(UserName="ann")["User"]
    assert iam.get_user(UserName="ann")["User"] == made
    assert iam.get_user()["User"]["UserName"] == "admin"
    for name in ("ann", "Ann"):
        with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
            iam.create_user(UserName=name)
    with pytest.raises(iam.exceptions.InvalidInputException):
        iam.create_user(UserName="ben", Tags=[{"Key": "team", "Value": "a"}, {"Key": "Team", "Value": "b"}])
    iam.delete_user(UserName="ann")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="ann")


def test_our_own_service_says_what_serve_is(running: api_served.Served) -> None:
    status = own(running).get_status()
    assert status["accountId"] == running.client("sts").get_caller_identity()["Account"]
    assert status["instance"] == "main"
    assert status["revision"] > 0
    assert own(running).list_events()["events"] == []


def test_serve_opens_the_state_folder_of_an_earlier_release(tmp_path: Path) -> None:
    state = tmp_path / "state"
    shutil.copytree(FIRST_RELEASE, state)
    state.chmod(0o700)
    for file in state.iterdir():
        # Modes of secrets are no part of what git keeps.
        file.chmod(0o600)
    with api_served.served(state, tmp_path / "home", module="roadstead.serve.main") as first:
        account = first.client("sts").get_caller_identity()["Account"]
        first.client("iam").create_user(UserName="kept")
    with api_served.served(state, tmp_path / "home", module="roadstead.serve.main") as again:
        assert again.client("sts").get_caller_identity()["Account"] == account
        assert again.client("iam").get_user(UserName="kept")["User"]["UserName"] == "kept"
