"""Access entries as real boto3 asks for them, from the creation of their cluster to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit import aws_api
from tests.unit import test_aws_ops_stories as stories

POLICY = "arn:aws:eks::aws:cluster-access-policy/"
ADMIN, VIEW = f"{POLICY}AmazonEKSClusterAdminPolicy", f"{POLICY}AmazonEKSViewPolicy"
WHOLE: dict[str, Any] = {"type": "cluster"}
BY_API = {"authenticationMode": "API_AND_CONFIG_MAP"}


def principals(place: aws_api.Place) -> tuple[str, str, str]:
    """The ARNs of the caller, of another user, and of a role."""
    iam = place.client("iam")
    ann = iam.create_user(UserName="ann", Path="/team/")["User"]["Arn"]
    trust = aws_api.trust("ec2.amazonaws.com")
    ops = iam.create_role(RoleName="ops", Path="/team/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    return place.client("sts").get_caller_identity()["Arn"], ann, ops


def test_the_life_of_an_entry(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        admin, ann, ops = principals(place)
        eks = stories.cluster(place, accessConfig=BY_API)[0]
        assert eks.list_access_entries(clusterName="shop")["accessEntries"] == [admin]
        of_creator = eks.list_associated_access_policies(clusterName="shop", principalArn=admin)
        assert [one["policyArn"] for one in of_creator["associatedAccessPolicies"]] == [ADMIN]
        assert of_creator["associatedAccessPolicies"][0]["accessScope"] == {"type": "cluster", "namespaces": []}

        asked = {"clusterName": "shop", "principalArn": ann, "kubernetesGroups": ["devs"], "tags": {"a": "b"}}
        made = eks.create_access_entry(**asked, clientRequestToken="one")["accessEntry"]
        assert made.items() >= asked.items()
        assert (made["username"], made["type"]) == (ann, "STANDARD")
        assert f"access-entry/shop/user/{place.account.account.id}/ann/" in made["accessEntryArn"]
        assert eks.create_access_entry(**asked, clientRequestToken="one")["accessEntry"] == made
        one = {"clusterName": "shop", "principalArn": ann}
        assert eks.describe_access_entry(**one)["accessEntry"] == made
        assert stories.code(eks.create_access_entry, **asked) == "ResourceInUseException"

        arn = made["accessEntryArn"]
        eks.tag_resource(resourceArn=arn, tags={"c": "d"})
        assert eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"a": "b", "c": "d"}
        eks.untag_resource(resourceArn=arn, tagKeys=["c"])
        assert eks.describe_access_entry(**one)["accessEntry"]["tags"] == {"a": "b"}
        assert stories.code(eks.list_tags_for_resource, resourceArn=f"{arn}0") == "NotFoundException"

        changed = eks.update_access_entry(**one, username="ann", kubernetesGroups=[])["accessEntry"]
        assert (changed["username"], changed["kubernetesGroups"], changed["tags"]) == ("ann", [], {"a": "b"})
        eks.associate_access_policy(**one, policyArn=VIEW, accessScope=WHOLE)
        again = eks.associate_access_policy(**one, policyArn=VIEW, accessScope=WHOLE)["associatedAccessPolicy"]
        assert again["policyArn"] == VIEW
        listed = eks.list_access_entries(clusterName="shop", associatedPolicyArn=VIEW)["accessEntries"]
        assert listed == [ann]
        eks.disassociate_access_policy(**one, policyArn=VIEW)
        assert stories.code(eks.disassociate_access_policy, **one, policyArn=VIEW) == "ResourceNotFoundException"

        of_role = eks.create_access_entry(clusterName="shop", principalArn=ops)["accessEntry"]
        assert of_role["username"].endswith(":assumed-role/ops/{{SessionName}}")
        pages = eks.get_paginator("list_access_entries").paginate(clusterName="shop", PaginationConfig={"PageSize": 1})
        assert [page["accessEntries"] for page in pages] == [[each] for each in sorted([admin, ann, ops])]
        eks.delete_access_entry(**one)
        assert stories.code(eks.describe_access_entry, **one) == "ResourceNotFoundException"
        assert stories.code(eks.delete_access_entry, **one) == "ResourceNotFoundException"

    aws_api.told(tmp_path, story)


def test_what_cannot_be_an_entry(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        admin, ann, _ = principals(place)
        eks = stories.cluster(place, accessConfig=BY_API)[0]
        one = {"clusterName": "shop", "principalArn": ann}
        wrong = "InvalidParameterException"
        for more in (
            {"kubernetesGroups": ["system:masters"]},
            {"kubernetesGroups": ["eks:access-policy:AmazonEKSClusterAdminPolicy"]},
            {"username": "system:admin"},
            {"username": "roadstead:serve"},
            {"kubernetesGroups": ["devs", "Roadstead:admins"]},
            {"username": "{{SessionName}}"},
            {"type": "EC2_LINUX"},
            {"type": "OTHER"},
            {"principalArn": ann.replace("/team", "")},
            {"principalArn": ann.replace("/ann", "/bob")},
            {"principalArn": ann.replace(place.account.account.id, "999999999999")},
            {"principalArn": ann.replace(":iam:", ":sts:")},
        ):
            assert stories.code(eks.create_access_entry, **{**one, **more}) == wrong, more
        assert stories.code(eks.create_access_entry, **{**one, "clusterName": "other"}) == "ResourceNotFoundException"
        policy = {"clusterName": "shop", "principalArn": admin, "policyArn": VIEW}
        spaces = {"type": "namespace", "namespaces": ["default"]}
        assert stories.code(eks.associate_access_policy, **policy, accessScope=spaces) == wrong
        odd = {"type": "cluster", "namespaces": ["default"]}
        assert stories.code(eks.associate_access_policy, **policy, accessScope=odd) == wrong
        unknown = {**policy, "policyArn": f"{POLICY}Other"}
        assert stories.code(eks.associate_access_policy, **unknown, accessScope=WHOLE) == "ResourceNotFoundException"
        assert stories.code(eks.associate_access_policy, **{**policy, **one}, accessScope=WHOLE) == (
            "ResourceNotFoundException"
        )
        assert stories.code(eks.update_access_entry, **one) == "ResourceNotFoundException"
        assert (
            stories.code(eks.update_access_entry, clusterName="shop", principalArn=admin, kubernetesGroups=["system:x"])
            == wrong
        )
        ours = {"clusterName": "shop", "principalArn": admin, "username": "roadstead:serve"}
        assert stories.code(eks.update_access_entry, **ours) == wrong
        names = {each["name"] for each in eks.list_access_policies()["accessPolicies"]}
        assert {"AmazonEKSClusterAdminPolicy", "AmazonEKSViewPolicy"} <= names

    aws_api.told(tmp_path, story)


def test_without_the_api_entries_are_refused_until_the_mode_is_changed(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        admin, ann, _ = principals(place)
        eks = stories.cluster(place)[0]
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=stories.QUICK)
        one = {"clusterName": "shop", "principalArn": ann}
        for call, more in (
            (eks.create_access_entry, {}),
            (eks.describe_access_entry, {}),
            (eks.update_access_entry, {}),
            (eks.delete_access_entry, {}),
            (eks.list_associated_access_policies, {}),
            (eks.associate_access_policy, {"policyArn": VIEW, "accessScope": WHOLE}),
            (eks.disassociate_access_policy, {"policyArn": VIEW}),
        ):
            assert stories.code(call, **one, **more) == "InvalidRequestException"
        assert stories.code(eks.list_access_entries, clusterName="shop") == "InvalidRequestException"
        eks.update_cluster_config(name="shop", accessConfig=BY_API)
        # The creator's was there all the time.
        assert eks.list_access_entries(clusterName="shop")["accessEntries"] == [admin]

    aws_api.told(tmp_path, story)


def test_entries_go_with_their_cluster_and_a_creator_may_be_left_out(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        _, ann, _ = principals(place)
        eks, made, subnets, _ = stories.cluster(place, accessConfig=BY_API)
        eks.create_access_entry(clusterName="shop", principalArn=ann)
        eks.get_waiter("cluster_active").wait(name="shop", WaiterConfig=stories.QUICK)
        eks.delete_cluster(name="shop")
        eks.get_waiter("cluster_deleted").wait(name="shop", WaiterConfig=stories.QUICK)
        nobody = {**BY_API, "bootstrapClusterCreatorAdminPermissions": False}
        again = {"name": "shop", "roleArn": made["roleArn"], "resourcesVpcConfig": {"subnetIds": subnets}}
        eks.create_cluster(**again, accessConfig=nobody)
        assert eks.list_access_entries(clusterName="shop")["accessEntries"] == []
        eks.delete_cluster(name="shop")
        assert stories.code(eks.create_access_entry, clusterName="shop", principalArn=ann) in (
            "InvalidRequestException",
            "ResourceNotFoundException",
        )

    aws_api.told(tmp_path, story)
