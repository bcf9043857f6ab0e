"""CloudFormation without stacks, as boto3 and eksctl's first calls meet it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from tests.unit import aws_api

NAME = "eksctl-shop-cluster"
ARN = f"arn:aws:cloudformation:{aws_api.REGION}:012345678901:stack/{NAME}/0a1b2c3d"


def refused(call: Any, **asked: Any) -> tuple[str, int, str]:
    """Code, status and sentence."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**asked)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_there_are_no_stacks(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        stacks = place.client("cloudformation")
        assert stacks.describe_stacks()["Stacks"] == []
        assert stacks.list_stacks(StackStatusFilter=["CREATE_COMPLETE", "DELETE_FAILED"])["StackSummaries"] == []
        for named in (NAME, ARN):
            gone = ("ValidationError", 400, f"Stack with id {named} does not exist")
            assert refused(stacks.describe_stacks, StackName=named) == gone
            assert refused(stacks.list_stack_resources, StackName=named) == gone
            assert refused(stacks.describe_stack_resources, StackName=named) == gone
            assert refused(stacks.get_template, StackName=named) == gone
        assert refused(stacks.describe_change_set, StackName=NAME, ChangeSetName="c")[:2] == ("ChangeSetNotFound", 404)
        # botocore's waiter takes exactly that sentence for the end of a stack.
        stacks.delete_stack(StackName=NAME)
        stacks.get_waiter("stack_delete_complete").wait(StackName=NAME, WaiterConfig={"Delay": 0, "MaxAttempts": 1})

    aws_api.told(tmp_path, story)


def test_what_makes_stacks_is_not_built_and_what_does_it_instead_is_named(tmp_path: Path) -> None:
    def story(place: aws_api.Place) -> None:
        stacks = place.client("cloudformation")
        code, status, said = refused(stacks.create_stack, StackName=NAME, TemplateBody="{}")
        assert (code, status) == ("UnsupportedOperation", 501)
        assert "does not do cloudformation CreateStack" in said
        assert "`roadstead create`" in said
        # Of a service of which much is built no such word is said.
        assert "stacks" not in refused(place.client("iam").create_group, GroupName="g")[2]

    aws_api.told(tmp_path, story)
