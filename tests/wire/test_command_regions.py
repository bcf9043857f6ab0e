"""The command against a running serve with two regions: what is of one of them is never the other's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from testkit import api_served
from tests.wire import story
from tests.wire.test_story import environment

HERE, THERE = "eu-central-1", "us-east-1"
LONGEST = "x" * 100


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    folder = tmp_path_factory.mktemp("regions")
    provider = ("--provider", str(folder / "provider.json"))
    with api_served.served(
        folder / "state", folder / "home", *provider, module="tests.wire.serve_with_provider"
    ) as running:
        yield running


def roadstead(serve: api_served.Served, line: str, code: int = 0) -> tuple[str, str]:
    command = [sys.executable, "-m", "roadstead.machine.main", *line.split()]
    around = environment(serve, PYTHONPATH=str(api_served.ROOT / "src"))
    done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout, done.stderr


def roles(serve: api_served.Served) -> dict[str, int]:
    """How many policies each role has."""
    iam = serve.client("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    return {name: len(iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]) for name in names}


def vpcs(serve: api_served.Served, region: str) -> list[Any]:
    """But the region's own."""
    made = [{"Name": "is-default", "Values": ["false"]}]
    found: list[Any] = serve.client("ec2", region_name=region).describe_vpcs(Filters=made)["Vpcs"]
    return found


def test_a_namesake_in_another_region_keeps_its_roles(serve: api_served.Served) -> None:
    roadstead(serve, f"create cluster --name=cluster-1 --nodegroup-name=ng --region={HERE}")
    before = roles(serve)
    assert len(before) == 2
    # There is none of this name: nothing is touched.
    out, err = roadstead(serve, f"delete cluster --name=cluster-1 --region={THERE}", code=1)
    assert (out, err) == (
        "",
        'Error: unable to describe control plane "cluster-1": ResourceNotFoundException: '
        "No cluster found for name: cluster-1.\n",
    )
    assert roles(serve) == before
    # Two of one name have each its own.
    roadstead(serve, f"create cluster --name=cluster-1 --nodegroup-name=ng --region={THERE}")
    assert len(roles(serve)) == 4
    roadstead(serve, f"delete cluster --name=cluster-1 --region={THERE}")
    assert roles(serve) == before
    assert (len(vpcs(serve, HERE)), vpcs(serve, THERE)) == (1, [])
    described = serve.client("eks").describe_cluster(name="cluster-1")["cluster"]
    assert described["status"] == "ACTIVE"
    assert described["roleArn"].rpartition("/")[2] in before
    roadstead(serve, f"delete cluster --name=cluster-1 --region={HERE}")
    assert roles(serve) == {}


def test_roles_without_a_region_stay_with_a_word(serve: api_served.Served) -> None:
    """Of a cluster that an earlier release made: one in another region may have them, too."""
    customer = story.Customer(story.clients(serve.profile), lambda: None)
    vpc, subnets = story.network(customer, "old")
    names = ["eksctl-old-cluster-ServiceRole", "eksctl-old-nodegroup-NodeInstanceRole"]
    arn, _ = (story.role(customer, name, "eks.amazonaws.com") for name in names)
    wanted = {"subnetIds": subnets}
    serve.client("eks").create_cluster(name="old", roleArn=arn, resourcesVpcConfig=wanted)
    out, _ = roadstead(serve, f"delete cluster --name=old --wait --region={HERE}")
    assert roles(serve) == dict.fromkeys(names, 1)
    assert all(name in out for name in names)
    for name in names:
        serve.client("iam").detach_role_policy(RoleName=name, PolicyArn=story.POLICY)
        serve.client("iam").delete_role(RoleName=name)
    for subnet in subnets:
        serve.client("ec2").delete_subnet(SubnetId=subnet)
    serve.client("ec2").delete_vpc(VpcId=vpc)


def test_the_longest_name_comes_and_goes(serve: api_served.Served) -> None:
    roadstead(serve, f"create cluster --name={LONGEST} --nodegroup-name=ng --region={HERE}")
    assert max(map(len, roles(serve))) == 64
    roadstead(serve, f"delete cluster --name={LONGEST} --region={HERE}")
    assert (roles(serve), vpcs(serve, HERE)) == ({}, [])
