"""Pages: whole lists in any page size, tokens that are good for one list only, lists that change meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.aws import paging
from roadstead.wire import services

SECRET = b"s" * 32
EKS, IAM, EC2 = services.load("eks"), services.load("iam"), services.load("ec2")
WHERE = ("123456789012", "eu-central-1", "eks", "ListClusters")
RULE = paging.rules("eks")["ListClusters"]


def page(items: list[Any], asked: dict[str, Any], where: tuple[str, str, str, str] = WHERE) -> dict[str, Any]:
    window, _ = paging.opened(RULE, EKS.operation("ListClusters"), where, asked, SECRET, "rest-json")
    return paging.cut(window, {"clusters": items}, SECRET)


def walk(items: list[str], size: int) -> list[str]:
    seen: list[str] = []
    asked: dict[str, Any] = {"maxResults": size}
    while True:
        answer = page(items, asked)
        assert len(answer["clusters"]) <= size
        seen += answer["clusters"]
        if "nextToken" not in answer:
            return seen
        asked["nextToken"] = answer["nextToken"]


@given(st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=40), st.integers(1, 100))
def test_all_pages_together_are_the_list(items: list[str], size: int) -> None:
    assert walk(items, size) == items


@given(
    st.lists(st.integers(0, 60), unique=True, min_size=1, max_size=40),
    st.integers(1, 10),
    st.sets(st.integers(0, 60), max_size=5),
    st.sets(st.integers(61, 80), max_size=5),
)
def test_a_list_that_changes_loses_nothing_that_stays(
    numbers: list[int], size: int, gone: set[int], added: set[int]
) -> None:
    before = [f"c-{number:02}" for number in sorted(numbers)]
    after = [f"c-{number:02}" for number in sorted((set(numbers) - gone) | added)]
    first = page(before, {"maxResults": size})
    seen = list(first["clusters"])
    asked: dict[str, Any] = {"maxResults": size, "nextToken": first.get("nextToken")}
    while asked["nextToken"]:
        answer = page(after, asked)
        seen += answer["clusters"]
        asked["nextToken"] = answer.get("nextToken")
    if "nextToken" in first and not set(first["clusters"]) <= {f"c-{number:02}" for number in gone}:
        assert set(after) <= set(seen)


def test_a_structure_is_the_same_one_in_another_state() -> None:
    rule = paging.rules("ec2")["DescribeVpcs"]
    operation = EC2.operation("DescribeVpcs")
    where = (*WHERE[:2], "ec2", "DescribeVpcs")
    before = [{"VpcId": f"vpc-{number}", "State": "pending"} for number in range(9)]
    window, _ = paging.opened(rule, operation, where, {"MaxResults": 5}, SECRET, "ec2")
    token = paging.cut(window, {"Vpcs": before}, SECRET)["NextToken"]
    window, _ = paging.opened(rule, operation, where, {"MaxResults": 5, "NextToken": token}, SECRET, "ec2")
    after = [{**vpc, "State": "available"} for vpc in before[2:]]
    assert [vpc["VpcId"] for vpc in paging.cut(window, {"Vpcs": after}, SECRET)["Vpcs"]] == [
        f"vpc-{number}" for number in range(5, 9)
    ]


@pytest.mark.parametrize(
    "items",
    [
        [{"InstanceType": f"m{number}.large"} for number in range(7)],
        [{"Location": f"zone-{number}"} for number in range(7)],
        [{"VpcId": "vpc-1"}] * 7,
        [{}] * 7,
    ],
)
def test_structures_without_names_of_their_own_are_all_shown(items: list[dict[str, Any]]) -> None:
    asked: dict[str, Any] = {"maxResults": 3}
    first = page(items, asked)
    second = page(items, {**asked, "nextToken": first["nextToken"]})
    third = page(items, {**asked, "nextToken": second["nextToken"]})
    assert [*first["clusters"], *second["clusters"], *third["clusters"]] == items
    assert "nextToken" not in third


@pytest.mark.parametrize(
    "where",
    [
        ("210987654321", *WHERE[1:]),
        (WHERE[0], "us-east-1", *WHERE[2:]),
        (*WHERE[:3], "ListNodegroups"),
        (*WHERE[:2], "iam", "ListClusters"),
    ],
)
def test_a_token_of_another_list_is_refused(where: tuple[str, str, str, str]) -> None:
    token = page(["a", "b"], {"maxResults": 1})["nextToken"]
    with pytest.raises(paging.Foreign):
        page(["a", "b"], {"maxResults": 1, "nextToken": token}, where)


def test_a_token_is_of_its_filters_but_the_size_of_pages_may_change() -> None:
    token = page(["a", "b", "c"], {"maxResults": 1, "include": ["all"]})["nextToken"]
    assert page(["a", "b", "c"], {"maxResults": 9, "include": ["all"], "nextToken": token})["clusters"] == ["b", "c"]
    with pytest.raises(paging.Foreign):
        page(["a", "b", "c"], {"maxResults": 1, "nextToken": token})


@pytest.mark.parametrize("change", [lambda t: t[:-2], lambda t: "A" + t[1:] if t[0] != "A" else "B" + t[1:]])
def test_a_token_that_was_touched_is_refused(change: Any) -> None:
    token = page(["a", "b"], {"maxResults": 1})["nextToken"]
    with pytest.raises(paging.Foreign):
        page(["a", "b"], {"nextToken": change(token)})


@pytest.mark.parametrize("token", ["1", "é", "====", "a b", "\ud800", "A" * 4000])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(paging.Foreign):
        page(["a"], {"nextToken": token})


def test_a_token_tells_nothing_and_needs_the_secret() -> None:
    token = page(["secret-name", "b"], {"maxResults": 1})["nextToken"]
    assert "secret-name" not in token
    window, _ = paging.opened(RULE, EKS.operation("ListClusters"), WHERE, {"maxResults": 1}, b"t" * 32, "rest-json")
    other = paging.cut(window, {"clusters": ["secret-name", "b"]}, b"t" * 32)["nextToken"]
    with pytest.raises(paging.Foreign):
        page(["a", "b"], {"maxResults": 1, "nextToken": other})


def test_pages_have_a_hundred_items_and_those_of_ec2_have_all() -> None:
    many = [f"c-{number:03}" for number in range(150)]
    assert len(page(many, {})["clusters"]) == 100
    rule = paging.rules("ec2")["DescribeVpcs"]
    window, _ = paging.opened(rule, EC2.operation("DescribeVpcs"), WHERE, {}, SECRET, "ec2")
    assert len(paging.cut(window, {"Vpcs": many}, SECRET)["Vpcs"]) == 150


def test_iam_says_whether_there_is_more() -> None:
    rule = paging.rules("iam")["ListUsers"]
    window, _ = paging.opened(rule, IAM.operation("ListUsers"), WHERE, {"MaxItems": 1}, SECRET, "query")
    answer = paging.cut(window, {"Users": [{"UserName": "a"}, {"UserName": "b"}]}, SECRET)
    assert answer["IsTruncated"] is True
    assert answer["Marker"]


def test_an_operation_that_pages_itself_gets_its_own_token_back() -> None:
    operation = EKS.operation("ListClusters")
    window, given = paging.opened(RULE, operation, WHERE, {"maxResults": 2}, SECRET, "rest-json")
    assert given == {"maxResults": 2}
    answer = paging.cut(window, {"clusters": ["a", "b"], "nextToken": "behind b/é"}, SECRET)
    assert "behind" not in answer["nextToken"]
    asked = {"maxResults": 2, "nextToken": answer["nextToken"]}
    window, given = paging.opened(RULE, operation, WHERE, asked, SECRET, "rest-json")
    assert given == {"maxResults": 2, "nextToken": "behind b/é"}
    # Its last page is not cut again.
    assert paging.cut(window, {"clusters": ["c"]}, SECRET) == {"clusters": ["c"]}
