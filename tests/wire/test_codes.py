"""Every way of being wrong, at every operation: its code and its status, per service, and where each code is from."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.unit import aws_api
from tests.wire import wrong_ways

from roadstead.aws import registry
from roadstead.aws.ec2 import ids
from roadstead.serve import main
from roadstead.wire import exchange, services
from roadstead.wire.codes import choice, documented, table

OPERATIONS = registry.build(main.SERVICES)
UNSIGNED = {"json": ("MissingAuthenticationTokenException", 403), "query": ("MissingAuthenticationToken", 403)}
HTTP = ("MalformedHttpRequestException", 400)
JSON: dict[str, tuple[str, int]] = {
    "unsigned": UNSIGNED["json"],
    "half signed": ("IncompleteSignatureException", 403),
    "unknown key": ("UnrecognizedClientException", 403),
    "session": ("UnrecognizedClientException", 403),
    "wrong secret": ("InvalidSignatureException", 403),
    "old": ("InvalidSignatureException", 403),
    "ahead": ("InvalidSignatureException", 403),
    "region": ("InvalidSignatureException", 403),
    "scope": ("UnknownOperationException", 404),
    "coding": HTTP,
    "chunks": HTTP,
    "method": ("UnknownOperationException", 404),
    "damaged": ("SerializationException", 400),
    "type": ("SerializationException", 400),
    "missing": ("ValidationException", 400),
    "constraint": ("ValidationException", 400),
}
QUERY: dict[str, tuple[str, int]] = {
    "unsigned": UNSIGNED["query"],
    "half signed": ("IncompleteSignature", 400),
    "unknown key": ("InvalidClientTokenId", 403),
    "session": ("InvalidClientTokenId", 403),
    "wrong secret": ("SignatureDoesNotMatch", 403),
    "old": ("SignatureDoesNotMatch", 403),
    "ahead": ("SignatureDoesNotMatch", 403),
    "region": ("SignatureDoesNotMatch", 403),
    "scope": ("InvalidAction", 400),
    "coding": HTTP,
    "chunks": HTTP,
    "method": ("InvalidAction", 400),
    "operation": ("InvalidAction", 400),
    "no action": ("MissingAction", 400),
    "damaged": ("MalformedInput", 400),
    "type": ("MalformedInput", 400),
    "missing": ("ValidationError", 400),
    "constraint": ("ValidationError", 400),
}
# At one path, by X-Amz-Target.
BY_TARGET = {**JSON, "scope": ("UnknownOperationException", 400), "method": ("UnknownOperationException", 400)}
EXPECTED: dict[str, dict[str, tuple[str, int]]] = {
    "eks": {**JSON, "missing": ("InvalidParameterException", 400), "constraint": ("InvalidParameterException", 400)},
    "ec2": {
        **QUERY,
        "unknown key": ("AuthFailure", 401),
        "session": ("AuthFailure", 401),
        "old": ("RequestExpired", 400),
        "ahead": ("RequestExpired", 400),
        "unknown member": ("UnknownParameter", 400),
        "damaged": ("InvalidParameterValue", 400),
        "type": ("InvalidParameterValue", 400),
        "missing": ("MissingParameter", 400),
        "constraint": ("InvalidParameterValue", 400),
        "no such type": ("InvalidInstanceType", 400),
    },
}
"""Written out once more, by what clients of each service catch; others are as their protocol has it."""


@pytest.mark.parametrize("name", registry.SERVICES)
def test_every_code_of_the_table_is_told_of_by_a_model_or_a_document(name: str) -> None:
    service = services.load(name)
    for case, row in table.rows(service.protocol, name).items():
        for operation in (None, *map(service.operation, service.operation_names)):
            code = choice.chosen(service, operation, case)
            assert choice.source(service, code), (case, code)
            shape = service.error(code)
            if operation is not None and shape is None:
                # Nothing of the row is the operation's own.
                own = {one.error.code for one in operation.errors if one.error} | {one.name for one in operation.errors}
                assert not own & set(row.codes), (case, operation.name)


SIGNATURES: tuple[table.Signature, ...] = get_args(table.Signature)
BEFORE: tuple[table.Case, ...] = (*SIGNATURES, "http", "too large", "no operation", "no action", "busy", "failed")
"""What is told before it is known which service is asked."""


@pytest.mark.parametrize("protocol", get_args(exchange.Protocol))
@pytest.mark.parametrize("case", BEFORE)
def test_what_is_told_before_a_service_is_known_has_the_documents_status(
    protocol: exchange.Protocol, case: table.Case
) -> None:
    fault = table.unserved(protocol, case, "x")
    family = table.family(protocol)
    told = set(documented.COMMON.get(fault.code, ()))
    if family == "ec2" and fault.code in documented.EC2:
        told = {documented.EC2_STATUS.get(fault.code, 400)}
    elif fault.code in documented.SEEN[family]:
        told = {documented.SEEN[family][fault.code][0]}
    assert fault.status in told, fault
    assert fault.sender == (fault.status < 500)


def swept(folder: Path, ways: Callable[[wrong_ways.Stranger, registry.Bound], Any]) -> Mapping[str, int]:
    """How many requests there were of each way; all were answered as expected."""
    counted: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []

    def story(place: aws_api.Place) -> None:
        stranger = wrong_ways.Stranger(place)
        for (service, operation), bound in sorted(OPERATIONS.bound.items()):
            expected = EXPECTED.get(service) or (QUERY if bound.service.protocol == "query" else BY_TARGET)
            for way, request in ways(stranger, bound):
                told = stranger.answer(request, bound.service)
                if way == "unknown member" and way not in expected:
                    # Passed over, as new clients' members are.
                    assert told.code not in ("MalformedInput", "UnknownParameter"), operation
                    continue
                counted[way] += 1
                if told.both != expected[way]:
                    wrong.append(f"{service} {operation}, {way}: {told}")

    aws_api.told(folder, story)
    assert wrong[:5] == []
    return counted


def test_what_is_refused_for_its_signature_or_its_head(tmp_path: Path) -> None:
    counted = swept(tmp_path, wrong_ways.by_signature)
    assert set(counted) == set(JSON) - {"damaged", "type", "missing", "constraint"}
    assert set(counted.values()) == {len(OPERATIONS.bound)}


def test_what_is_refused_by_the_codec_or_the_model(tmp_path: Path) -> None:
    counted = swept(tmp_path, wrong_ways.by_form)
    assert {"damaged", "unknown member", "operation", "no action", "missing", "type", "constraint"} <= set(counted)
    assert min(counted.values()) >= 50


def test_names_of_eks_that_can_be_none_are_told_apart_from_those_that_there_are_not(tmp_path: Path) -> None:
    """At every operation, whether or not its model has a pattern for the name."""
    counted: collections.Counter[str] = collections.Counter()

    def story(place: aws_api.Place) -> None:
        stranger = wrong_ways.Stranger(place)
        user = f"arn:aws:iam::{stranger.account}:user/admin"
        others: dict[str, Any] = {
            "nodegroupName": "workers",
            "principalArn": user,
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "cluster"},
            "scalingConfig": {"minSize": 0},
            "logging": {"clusterLogging": []},
            "version": "1.37",
        }
        for (service, operation), bound in sorted(OPERATIONS.bound.items()):
            shape = bound.operation.input
            of = next((key for key in ("clusterName", "name") if shape and key in shape.required), None)
            if service != "eks" or shape is None or of is None or operation == "CreateCluster":
                continue
            values = {
                **wrong_ways.sampled(bound.operation),
                **{key: others[key] for key in others if key in shape.members},
            }
            if operation == "UpdateClusterConfig":
                values = {"logging": others["logging"]}
            for name, code in (
                ("none", ("ResourceNotFoundException", 404)),
                ("a b", ("InvalidParameterException", 400)),
                ("-x", ("InvalidParameterException", 400)),
                ("x" * 101, ("InvalidParameterException", 400)),
            ):
                told = stranger.call(bound, {**values, of: name})
                assert told.both == code, (operation, name, told)
                counted[operation] += 1

    aws_api.told(tmp_path, story)
    assert len(counted) > 30


NAMED = re.compile(
    r"Invalid\w+\.(NotFound|Malformed|Unknown)|NatGateway(NotFound|Malformed)|InvalidReservedInstancesId"
)
OTHERS = frozenset({"ZoneIds", "OwnerIds", "RestorableByUserIds", "ImportTaskIds", "OwnerId", "AvailabilityZoneId"})
"""Ids of what is nothing of the caller's, or of which EC2 passes over those that there are not."""
UNBUILT = frozenset({"Ipv4IpamPoolId", "Ipv6IpamPoolId"})


def test_ids_of_ec2_that_can_be_none_are_told_apart_from_those_that_there_are_not(tmp_path: Path) -> None:
    counted: collections.Counter[str] = collections.Counter()
    malformed = {code for _, code in ids.MALFORMED.values()}

    def story(place: aws_api.Place) -> None:
        stranger = wrong_ways.Stranger(place)
        for (service, operation), bound in sorted(OPERATIONS.bound.items()):
            shape = bound.operation.input
            if service != "ec2" or shape is None:
                continue
            for key, ref in shape.members.items():
                if not key.endswith(("Id", "Ids")) or key in OTHERS | UNBUILT:
                    continue
                values = wrong_ways.sampled(bound.operation) | ({"CidrBlock": "10.0.0.0/24"} if key == "VpcId" else {})
                values = {name: value for name, value in values.items() if name in shape.members}
                many = ref.shape.kind == "list"
                told = stranger.call(bound, {**values, key: ["nonsense"] if many else "nonsense"})
                assert NAMED.fullmatch(told.code), (operation, key, told)
                assert told.status == 400
                counted["nonsense"] += 1
                if told.code not in malformed:
                    # None of this kind of id is ever malformed to EC2.
                    continue
                prefix = told.message.partition('expecting "')[2].partition("-...")[0]
                absent = f"{prefix}-0123456789abcdef0"
                told = stranger.call(bound, {**values, key: [absent] if many else absent})
                assert NAMED.fullmatch(told.code), (operation, key, told)
                assert told.code not in malformed, (operation, key, told)
                counted["absent"] += 1

    aws_api.told(tmp_path, story)
    assert counted["nonsense"] >= 50
    assert counted["absent"] >= 30
