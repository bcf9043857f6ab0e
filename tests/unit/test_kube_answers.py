"""Refusals of an API server as our errors, and where objects are found."""

from __future__ import annotations

import msgspec
import pytest

from roadstead.core import errors
from roadstead.kube import answers, resources


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.Denied),
        (403, "Forbidden", errors.Denied),
        (404, "NotFound", errors.NotFound),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.Busy),
        (500, "InternalError", errors.Failed),
        (503, "ServiceUnavailable", errors.Busy),
    ],
)
def test_each_status_is_an_error_with_its_words(status: int, reason: str, kind: type[errors.Error]) -> None:
    body = msgspec.json.encode({"kind": "Status", "message": "the words", "reason": reason, "code": status})
    error = answers.error(status, body, "GET /api")
    assert type(error) is kind
    assert error.message == "GET /api: the words"
    assert error.facts["reason"] == reason


def test_causes_are_kept() -> None:
    causes = [{"reason": "DisruptionBudget", "message": "The disruption budget web needs 2 healthy pods and has 2"}]
    body = msgspec.json.encode({"message": "Cannot evict", "details": {"causes": causes}})
    assert "budget web needs 2" in answers.error(429, body, "POST").facts["causes"]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"details": null}', b'{"details": {"causes": null}}']
)
def test_an_answer_of_another_form_is_an_error_all_the_same(body: bytes) -> None:
    assert isinstance(answers.error(502, body, "GET"), errors.Failed)


def test_paths() -> None:
    assert resources.NODES.path("n") == "/api/v1/nodes/n"
    assert resources.PODS.path("p", "ns", "eviction") == "/api/v1/namespaces/ns/pods/p/eviction"
    assert resources.PODS.path() == "/api/v1/pods"
    role = resources.of({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"})
    assert role.path("r") == "/apis/rbac.authorization.k8s.io/v1/clusterroles/r"


def test_a_kind_without_a_line_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="Thing"):
        resources.of({"apiVersion": "example.com/v1", "kind": "Thing"})
