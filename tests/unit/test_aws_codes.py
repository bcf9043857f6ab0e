"""Every error code that an operation is written with is one that its service has. Read from the source."""

from __future__ import annotations

import ast
import inspect
import pathlib
import re
import types
from collections.abc import Iterator

import pytest

from roadstead import aws
from roadstead.aws import calls, faults
from roadstead.serve import main
from roadstead.wire import services, validate

MODULES = tuple(module for service in main.SERVICES for module in service.operations)
_REFUSING = frozenset({"Refused", "refuse"})
_CODING = "coded"


def codes(source: str) -> Iterator[str]:
    """The codes written out in a module: first arguments of `Refused` and `refuse`, values of tables for `coded`."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        first = node.args[0]
        if name in _REFUSING:
            yield from _texts(first)
        elif name == _CODING and isinstance(first, ast.Dict):
            for value in first.values:
                yield from _texts(value)


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def service_of(module: types.ModuleType) -> str | None:
    marks = (calls.marked(value) for value in vars(module).values())
    return next((mark.service for mark in marks if mark is not None), None)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.removeprefix("roadstead.aws."))
def test_codes_are_the_model_s(module: types.ModuleType) -> None:
    name = service_of(module)
    assert name is not None, "a module of operations has none"
    service = services.load(name)
    assert [code for code in codes(inspect.getsource(module)) if not faults.known(service, code)] == []


_LIKE = {
    "ec2": re.compile(
        r"(Invalid|Missing|Unsupported|Incorrect)[A-Z]\w*(\.\w+)?|\w+(Exceeded|Violation|NotFound|Malformed|Exists)(\.\w+)?"
    ),
    "eks": re.compile(r"\w+Exception"),
}
"""Texts that are a code, wherever they stand: in tables, in arguments, in constants."""


@pytest.mark.parametrize("service", list(_LIKE))
def test_whatever_looks_like_a_code_is_one(service: str) -> None:
    found: set[str] = set()
    for path in (pathlib.Path(aws.__file__).parent / service).rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        found |= {text for node in nodes if isinstance(node, ast.Constant) and isinstance(text := node.value, str)}
    like = {text for text in found if _LIKE[service].fullmatch(text)}
    assert len(like) > 5
    model = services.load(service)
    assert sorted(code for code in like if not faults.known(model, code)) == []


def test_what_is_missing_has_a_code_of_its_own_at_ec2() -> None:
    def told(service: str, operation: str, **asked: object) -> tuple[str, str]:
        model = services.load(service)
        found = validate.problems(model.operation(operation).input, asked)
        fault = faults.invalid(model, model.operation(operation), found)
        return fault.code, fault.message

    assert told("ec2", "DeleteVpc") == ("MissingParameter", "The request must contain the parameter vpcId")
    assert told("ec2", "DescribeVpcs", MaxResults=9999)[0] == "InvalidParameterValue"
    assert told("ec2", "DescribeInstanceTypes", InstanceTypes=["m5.huge"])[0] == "InvalidInstanceType"
    assert told("eks", "CreateCluster", name="-")[0] == "InvalidParameterException"
    assert told("iam", "CreateRole")[0] == "ValidationError"


def test_how_codes_are_found() -> None:
    source = (
        'kept.refuse("A", "x")\nraise calls.Refused("B", "y")\nwith kept.coded({E: "C"}, d="D"):\n    refuse(code, "E")'
    )
    assert sorted(codes(source)) == ["A", "B", "C"]
    service = services.load("eks")
    assert faults.known(service, "ResourceInUseException")
    assert not faults.known(service, "NoSuchEntity")
