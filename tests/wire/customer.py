"""A customer of the real AWS API who asks for what cannot be: refused, and nothing is kept. For tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api

from roadstead.aws.authorization import requests
from roadstead.clusters.capacity import facts
from roadstead.contract.messages import machine
from roadstead.store import interface

QUICK = {"Delay": 0.01, "MaxAttempts": 500}


class Kept:
    """All that a store holds, but observations: to compare."""

    def __init__(self, place: aws_api.Place) -> None:
        self._ask = place.ask

    def now(self) -> tuple[dict[str, int], int]:
        """Generations by key, and the number of records."""
        return self._ask(self._read)  # type: ignore[no-any-return]

    @staticmethod
    async def _read(store: interface.Store) -> tuple[dict[str, int], int]:
        page = await store.list(limit=interface.LONGEST_PAGE)
        assert page.next is None
        records = await store.records(interface.ALL, limit=interface.LONGEST_PAGE)
        return {state.key.text: state.desired.generation for state in page.items}, len(records)


class Customer:
    """Somebody with a network, roles, and a cluster if there is to be one."""

    def __init__(self, place: aws_api.Place) -> None:
        self.place, self.kept = place, Kept(place)
        self.eks, self.ec2 = place.client("eks"), place.client("ec2")
        iam = place.client("iam")
        self.roles = [
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=aws_api.trust(f"{name}.amazonaws.com"))["Role"]
            for name in ("eks", "ec2")
        ]
        self.vpc = self.ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [self.subnet(f"192.168.{32 * n}.0/19", zone) for n, zone in enumerate("ab")]

    def subnet(self, cidr: str, zone: str) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"eu-central-1{zone}")
        return str(made["Subnet"]["SubnetId"])

    def cluster(self, **other: Any) -> dict[str, Any]:
        """What CreateCluster is asked for."""
        subnets = {"subnetIds": other.pop("subnets", self.subnets)}
        return {"name": "shop", "roleArn": self.roles[0]["Arn"], "resourcesVpcConfig": subnets, **other}

    def nodes(self, count: int, **other: Any) -> dict[str, Any]:
        """What CreateNodegroup is asked for."""
        size = {"minSize": 0, "maxSize": max(1, count), "desiredSize": count}
        asked = {"clusterName": "shop", "nodegroupName": "workers", "nodeRole": self.roles[1]["Arn"]}
        return {**asked, "subnets": self.subnets, "scalingConfig": size, **other}

    def active(self) -> None:
        self.eks.create_cluster(**self.cluster())
        self.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)

    def knows(self, seen: machine.Machine) -> None:
        """The machine is looked at."""
        self.place.ask(lambda store: facts.keep(store, seen))

    def refused(self, call: Callable[..., Any], **asked: Any) -> tuple[str, str]:
        """Code and sentence of a call that is refused; nothing in the store is other than before."""
        before = self.kept.now()
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call(**asked)
        assert self.kept.now() == before
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500
        code, said = caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]
        assert "\n" not in said
        return str(code), str(said)


def told(folder: Path, story: Callable[[Customer], None], authorizer: requests.Authorizer | None = None) -> None:
    aws_api.told(folder, lambda place: story(Customer(place)), authorizer=authorizer)
