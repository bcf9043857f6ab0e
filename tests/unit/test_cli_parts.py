"""ListClusterParts: what the live view asks, as the service answers it."""

from __future__ import annotations

from pathlib import Path

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api, test_aws_ops_stories


def test_the_parts_of_a_cluster_with_zones_and_nodegroups(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        own = place.client("roadstead")
        with pytest.raises(botocore.exceptions.ClientError, match="No cluster found for name: shop"):
            own.list_cluster_parts(clusterName="shop")
        eks, _, subnets, role = test_aws_ops_stories.cluster(place)
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=test_aws_ops_stories.QUICK)
        group = {"clusterName": "shop", "nodegroupName": "workers"}
        eks.create_nodegroup(**group, subnets=subnets, nodeRole=role)
        eks.get_waiter("nodegroup_active").wait(**group, WaiterConfig=test_aws_ops_stories.QUICK)
        parts = own.list_cluster_parts(clusterName="shop")["parts"]
        assert {each["state"] for each in parts} == {"READY"}
        members = {each["name"]: each.get("zone") for each in parts if "nodegroup" not in each}
        assert members["etcd-a"] == members["api-a"] == "eu-central-1a"
        assert members["api-c"] == "eu-central-1c"
        assert [(each["name"], each["zone"]) for each in parts if each.get("nodegroup") == "workers"] == [
            ("node-1", "eu-central-1a"),
            ("node-2", "eu-central-1b"),
        ]

    aws_api.told(tmp_path, story)
