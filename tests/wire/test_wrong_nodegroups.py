"""Nodegroups, and changes of what there is, that cannot be: refused with EKS's code, and nothing is kept of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.wire.customer import QUICK, Customer, told

NAMES = ("", "-workers", "two words", "a/b", "w" * 64)
UPDATE_CONFIGS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"maxUnavailable": 1, "maxUnavailablePercentage": 50}, "cannot be given together"),
    ({"maxUnavailable": 2}, "must be within the range 1 and 1"),
)
"""For a nodegroup of at most one node."""
REPAIRS: tuple[tuple[dict[str, Any], str], ...] = tuple(
    ({f"{what}Count": 1, f"{what}Percentage": 50}, f"{what}Count and {what}Percentage cannot be given together")
    for what in ("maxUnhealthyNodeThreshold", "maxParallelNodesRepaired")
)
LABELS = (
    ("eks.amazonaws.com/nodegroup", "Label cannot contain reserved prefixes [eks.amazonaws.com/]"),
    ("my.eks.amazonaws.com/own", "Label cannot contain reserved prefixes [eks.amazonaws.com/]"),
    ("kubernetes.io/hostname", "Label kubernetes.io/hostname is reserved"),
    ("topology.kubernetes.io/zone", "Label topology.kubernetes.io/zone is reserved"),
)
TAINT = {"key": "a", "value": "b", "effect": "NO_SCHEDULE"}


def taints(count: int) -> list[dict[str, str]]:
    return [{**TAINT, "key": f"a{number}"} for number in range(count)]


def test_nodegroups_that_cannot_be(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        narrow = customer.subnet("192.168.64.0/28", "a")
        create = customer.eks.create_nodegroup
        code, said = customer.refused(create, **customer.nodes(1))
        assert (code, said) == ("ResourceNotFoundException", "No cluster found for name: shop.")
        customer.active()
        wrong: list[tuple[dict[str, Any], str, str]] = [
            *(({"nodegroupName": name}, "InvalidParameterException", "nodegroupName") for name in NAMES),
            ({"labels": {"a b": "c"}}, "InvalidParameterException", "'a b' is no key of a label"),
            ({"labels": {"team": "a/b"}}, "InvalidParameterException", "'a/b' is no value of a label"),
            (
                {"taints": [{"key": "no key", "effect": "NO_SCHEDULE"}]},
                "InvalidParameterException",
                "'no key' is no key of a taint",
            ),
            *(({"updateConfig": config}, "InvalidParameterException", words) for config, words in UPDATE_CONFIGS),
            *(({"nodeRepairConfig": config}, "InvalidParameterException", words) for config, words in REPAIRS),
            *(({"labels": {key: "x"}}, "InvalidParameterException", words) for key, words in LABELS),
            ({"taints": [TAINT, TAINT]}, "InvalidParameterException", "given twice"),
            ({"taints": taints(51)}, "InvalidParameterException", "51 taints"),
            ({"capacityType": "CAPACITY_BLOCK"}, "InvalidParameterException", "CAPACITY_BLOCK is not built yet"),
            ({"diskSize": 0}, "InvalidParameterException", "diskSize 0"),
            ({"diskSize": 16385}, "InvalidParameterException", "diskSize 16385"),
            ({"instanceTypes": ["t3.medium"] * 21}, "InvalidParameterException", "21 instance types"),
            ({"instanceTypes": ["z9.huge"]}, "InvalidParameterException", "z9.huge is not offered here"),
            ({"version": "1.30"}, "InvalidParameterException", "unsupported Kubernetes version 1.30"),
            ({"nodeRole": customer.roles[0]["Arn"]}, "InvalidParameterException", "could not be assumed"),
            ({"subnets": [narrow]}, "InvalidParameterException", f"Subnet {narrow} (192.168.64.0/28) has room for 0"),
            ({"subnets": ["subnet-0"]}, "InvalidParameterException", "'subnet-0' does not exist"),
            (
                {"scalingConfig": {"minSize": 0, "maxSize": 451, "desiredSize": 0}},
                "InvalidParameterException",
                "at most 450 nodes",
            ),
        ]
        for change, code, words in wrong:
            found = customer.refused(create, **{**customer.nodes(1), **change})
            assert found[0] == code, (change, found)
            assert words in found[1], (change, found)

    told(tmp_path, story)


def test_changes_of_nodegroups_that_cannot_be(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.active()
        customer.eks.create_nodegroup(**customer.nodes(1, labels={"team": "blue"}, updateConfig={"maxUnavailable": 1}))
        customer.eks.get_waiter("nodegroup_active").wait(
            clusterName="shop", nodegroupName="workers", WaiterConfig=QUICK
        )
        wrong: list[tuple[dict[str, Any], str]] = [
            ({}, "Nothing to update"),
            ({"labels": {}, "taints": {"removeTaints": []}, "scalingConfig": {}}, "Nothing to update"),
            *(({"updateConfig": config}, words) for config, words in UPDATE_CONFIGS),
            *(({"nodeRepairConfig": config}, words) for config, words in REPAIRS),
            *(({"labels": {"addOrUpdateLabels": {key: "x"}}}, words) for key, words in LABELS),
            ({"labels": {"addOrUpdateLabels": {"a": "b"}, "removeLabels": ["a"]}}, "labels a are both"),
            ({"taints": {"addOrUpdateTaints": [TAINT], "removeTaints": [TAINT]}}, "taints a are both"),
            ({"taints": {"addOrUpdateTaints": [TAINT, TAINT]}}, "given twice"),
            ({"taints": {"addOrUpdateTaints": taints(51)}}, "51 taints"),
        ]
        for change, words in wrong:
            asked = {"clusterName": "shop", "nodegroupName": "workers", **change}
            code, said = customer.refused(customer.eks.update_nodegroup_config, **asked)
            assert (code, words in said) == ("InvalidParameterException", True), (change, said)
        good = {"updateConfig": {"maxUnavailablePercentage": 50}}
        customer.eks.update_nodegroup_config(clusterName="shop", nodegroupName="workers", **good)
        shown = customer.eks.describe_nodegroup(clusterName="shop", nodegroupName="workers")["nodegroup"]
        assert shown["updateConfig"] == {"maxUnavailablePercentage": 50}

    told(tmp_path, story)


def test_changes_of_clusters_that_cannot_be(tmp_path: Path) -> None:
    def story(customer: Customer) -> None:
        customer.eks.create_cluster(**customer.cluster(accessConfig={"authenticationMode": "API"}))
        customer.eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=QUICK)
        for change, words in (
            ({}, "asked for: none"),
            ({"accessConfig": {}}, "nothing would change"),
            ({"resourcesVpcConfig": {}}, "nothing would change"),
            ({"accessConfig": {"authenticationMode": "CONFIG_MAP"}}, "update from API to CONFIG_MAP"),
            ({"accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"}}, "update from API to API_AND_CONFIG_MAP"),
        ):
            code, said = customer.refused(customer.eks.update_cluster_config, name="shop", **change)
            assert (code, words in said) == ("InvalidParameterException", True), (change, said)

    told(tmp_path, story)
