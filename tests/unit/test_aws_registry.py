"""The registry: what it collects, what it refuses, how it counts; and the tables of errors."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any

import pytest

from roadstead.aws import calls, faults, registry
from roadstead.aws.authorization import context, resources
from roadstead.core import errors
from roadstead.wire import exchange, services
from roadstead.wire.codes import choice, table


def module(*marks: tuple[str, str], on: calls.Resources | None = (), **notes: Any) -> types.ModuleType:
    made = types.ModuleType("operations")
    for number, (service, name) in enumerate(marks):

        async def function(call: calls.Call, asked: calls.Asked) -> calls.Answer:  # noqa: ARG001
            return {}

        function.__module__ = made.__name__
        setattr(made, f"function_{number}", calls.operation(service, name, on=on, **notes)(function))
    return made


def built(*modules: types.ModuleType, **more: Any) -> registry.Registry:
    return registry.build([registry.Service(modules)], **more)


def test_marked_functions_are_found_by_service_and_name() -> None:
    made = built(module(("eks", "DescribeCluster"), ("sts", "GetCallerIdentity")))
    bound = made.find("eks", "DescribeCluster")
    assert bound is not None
    assert (bound.operation.name, bound.service.name) == ("DescribeCluster", "eks")
    assert made.find("eks", "ListClusters") is None
    assert set(made.services) == {"eks", "sts"}


def test_services_are_known_by_the_name_in_the_scope_of_a_signature() -> None:
    assert built(module(("elbv2", "DescribeTags"))).services["elasticloadbalancing"].name == "elbv2"


def test_what_a_module_imports_is_not_its_own() -> None:
    other = module(("eks", "DescribeCluster"))
    borrower = types.ModuleType("borrower")
    vars(borrower).update(taken=vars(other)["function_0"])
    assert len(built(other, borrower).bound) == 1


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ([module(("eks", "DescribeClutser"))], "has no operation DescribeClutser"),
        ([module(("eksx", "DescribeCluster"))], "no model of a service 'eksx'"),
        ([module(("eks", "ListClusters"), ("eks", "ListClusters"))], "eks ListClusters is marked twice"),
        ([module(("eks", "ListClusters"), errors="NoSuchThing")], "the model has no error NoSuchThing"),
        ([module(("eks", "CreateCluster"), again="DescribeCluster")], "there is no DescribeCluster"),
    ],
)
def test_what_does_not_fit_the_models_is_refused(modules: list[types.ModuleType], said: str) -> None:
    with pytest.raises(errors.Invalid, match=said):
        built(*modules)


def test_an_operation_that_declares_nothing_to_be_allowed_is_refused() -> None:
    """Also one that only ever answers an empty list; and one that depends on what its input lacks."""
    for notes in ({}, {"answers": "empty"}):
        with pytest.raises(errors.Invalid, match="eks ListAddons: declares nothing that its caller has to be allowed"):
            built(module(("eks", "ListAddons"), on=None, **notes))
    with pytest.raises(errors.Invalid, match="depends on StackName"):
        built(module(("eks", "ListAddons"), on=(resources.template("stack", "{StackName}"),)))
    with pytest.raises(errors.Invalid, match="depends on Tags"):
        built(module(("eks", "ListAddons"), context=(context.tags("Tags"),)))


def test_condition_keys_of_a_service_are_those_of_its_operations() -> None:
    region = calls.ContextKey(("eks:region",), (), lambda call, _: (("eks:region", (call.region,)),))
    one = registry.Service(
        (module(("eks", "ListAddons"), context=(context.present("eks:x", "clusterName"),)),), context=(region,)
    )
    other = registry.Service((module(("sts", "GetCallerIdentity")),))
    made = registry.build([one, other]).bound
    assert [key.names for key in made["eks", "ListAddons"].authorization.context] == [("eks:x",), ("eks:region",)]
    assert made["sts", "GetCallerIdentity"].authorization.context == ()


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(errors.Invalid, match=r"iam NoSuch.*sts NoSuch"):
        built(module(("iam", "NoSuch"), ("sts", "NoSuch")))


def test_states_are_held_against_the_models_enums() -> None:
    operations = (module(("eks", "DescribeCluster")),)

    def checked(*states: registry.States) -> None:
        registry.build([registry.Service(operations, states)])

    checked(registry.States("eks", "ClusterStatus", frozenset({"CREATING", "ACTIVE"})))
    with pytest.raises(errors.Invalid, match="ClusterStatus has no state SLEEPING"):
        checked(registry.States("eks", "ClusterStatus", frozenset({"SLEEPING"})))
    with pytest.raises(errors.Invalid, match="no operation"):
        checked(registry.States("iam", "statusType", frozenset({"Active"})))


def test_coverage_counts_every_operation_of_every_model_in_one_column() -> None:
    modules = [module(("eks", "DescribeCluster")), module(("eks", "ListFargateProfiles"), answers="empty")]
    counted = registry.coverage(built(*modules, known=("eks", "sts")))
    assert counted["eks"]["behaves"] == ["DescribeCluster"]
    assert counted["eks"]["answers empty"] == ["ListFargateProfiles"]
    for name, rows in counted.items():
        assert sorted(name for names in rows.values() for name in names) == sorted(services.load(name).operation_names)
    assert counted["sts"]["behaves"] == []


@pytest.mark.parametrize("name", registry.SERVICES)
def test_every_service_has_a_code_for_every_error(name: str) -> None:
    service = services.load(name)
    for case in table.rows(service.protocol, name):
        assert faults.known(service, choice.chosen(service, None, case)), case


EKS = services.load("eks")


@pytest.mark.parametrize(
    ("operation", "error", "code"),
    [
        ("DescribeCluster", errors.NotFound("x"), "ResourceNotFoundException"),
        ("ListTagsForResource", errors.NotFound("x"), "NotFoundException"),
        ("CreateCluster", errors.AlreadyExists("x"), "ResourceInUseException"),
        ("CreateCluster", errors.Invalid("x"), "InvalidParameterException"),
        ("CreateCluster", errors.LimitExceeded("x"), "ResourceLimitExceededException"),
        ("CreateCluster", errors.Busy("x"), "ServiceUnavailableException"),
        ("CreateCluster", errors.Failed("x"), "ServerException"),
        ("CreateCluster", calls.OperationRefused("UnsupportedAvailabilityZoneException", "x"), None),
    ],
)
def test_errors_of_the_house_have_the_codes_that_the_operation_names(
    operation: str, error: errors.Error, code: str | None
) -> None:
    fault = faults.fault(EKS, EKS.operation(operation), error)
    assert fault.code == (code or "UnsupportedAvailabilityZoneException")


def test_facts_become_members_and_what_failed_inside_stays_inside() -> None:
    missing = errors.NotFound("No cluster.", clusterName="one")
    operation = EKS.operation("DescribeCluster")
    assert faults.fault(EKS, operation, missing) == exchange.Fault(
        "ResourceNotFoundException", "No cluster.", 404, members={"clusterName": "one"}
    )
    inside = faults.fault(EKS, operation, errors.Failed("cannot write /var/lib/x", output="secret"))
    assert (inside.status, inside.sender, inside.members) == (500, False, {})
    assert "/var/lib" not in inside.message


def test_a_mark_changes_nothing_about_its_function() -> None:
    seen: dict[str, Any] = {}

    async def function(_call: calls.Call, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.update(asked)
        return asked

    assert calls.operation("eks", "ListClusters")(function) is function
