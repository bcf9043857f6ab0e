"""What API servers are told about names of ours: only what was made for a name lets it do anything, and nobody else is
judged.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadstead.contract import kubernetes
from roadstead.contract.messages.sections import webhooks
from roadstead.porter import authorization

MINE, OLD, APIS, OTHER = (f"X509SHA256={digit * 64}" for digit in "1234")
CLUSTER = webhooks.Cluster(
    name="shop",
    account="1",
    region="r",
    certificate="",
    key="",
    bearer="",
    credentials={kubernetes.SERVE: (MINE, OLD), kubernetes.API_SERVER: (APIS,)},
)
LIST = {"verb": "list", "resource": "pods", "namespace": "default", "version": "v1"}


def status(spec: dict[str, Any]) -> dict[str, Any]:
    whole = {"apiVersion": authorization.API, "kind": "SubjectAccessReview", "metadata": {}, "spec": spec}
    asked = msgspec.json.decode(json.dumps(whole), type=authorization.AccessReview)
    _, answer = authorization.answered(asked, CLUSTER)
    assert (answer["apiVersion"], answer["kind"]) == (authorization.API, "SubjectAccessReview")
    told: dict[str, Any] = json.loads(msgspec.json.encode(answer["status"]))
    return told


def by(user: str, *ids: str, **more: Any) -> dict[str, Any]:
    """A request of a user who has shown these."""
    return {
        "user": user,
        "extra": {kubernetes.CREDENTIAL: list(ids)} if ids else {},
        "resourceAttributes": LIST,
        **more,
    }


@pytest.mark.parametrize("id", [MINE, OLD])
def test_serve_may_do_everything_by_what_was_made_for_it(id: str) -> None:
    groups = ["system:authenticated"]
    assert status(by(kubernetes.SERVE, id, groups=groups)) == {"allowed": True}
    path = {"path": "/metrics", "verb": "get"}
    assert status({**by(kubernetes.SERVE, id), "resourceAttributes": None, "nonResourceAttributes": path})["allowed"]


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        (kubernetes.SERVE, ()),
        (kubernetes.SERVE, (OTHER,)),
        (kubernetes.SERVE, (APIS,)),
        (kubernetes.SERVE, (MINE, OTHER)),
        (kubernetes.SERVE, (MINE[:-1],)),
        (kubernetes.API_SERVER, (MINE,)),
        (kubernetes.API_SERVER, ()),
        ("roadstead:other", (MINE,)),
        ("roadstead:", (MINE,)),
    ],
)
def test_a_name_alone_may_do_nothing(user: str, ids: tuple[str, ...]) -> None:
    told = status(by(user, *ids))
    assert (told["allowed"], told["denied"]) == (False, True)
    assert told["reason"] == f"{user} is Roadstead's own, and this is no credential of it"


def test_of_api_servers_it_is_for_others_to_say() -> None:
    assert status(by(kubernetes.API_SERVER, APIS)) == {"allowed": False}


@pytest.mark.parametrize("group", ["roadstead:admins", "eks:access-policy:AmazonEKSClusterAdminPolicy"])
def test_no_certificate_gives_a_group_of_ours(group: str) -> None:
    assert status(by("ann", OTHER, groups=["devs", group]))["denied"]
    assert status(by(kubernetes.SERVE, MINE, groups=[group]))["denied"]


def test_groups_of_access_policies_come_by_tokens() -> None:
    assert status(by("ann", groups=["eks:access-policy:AmazonEKSViewPolicy"])) == {"allowed": False}


@pytest.mark.parametrize(
    "asked",
    [
        *({"resource": kind, "name": kubernetes.SERVE} for kind in ("users", "groups", "uids")),
        {"resource": "users", "name": "roadstead:other"},
        {"resource": "userextras", "subresource": kubernetes.CREDENTIAL, "name": OLD},
    ],
)
@pytest.mark.parametrize("verb", ["impersonate", "impersonate:user-info", "impersonate:other"])
@pytest.mark.parametrize("who", [by("boss"), by(kubernetes.SERVE, MINE)])
def test_nobody_may_impersonate_us(asked: dict[str, str], verb: str, who: dict[str, Any]) -> None:
    told = status({**who, "resourceAttributes": {**asked, "verb": verb}})
    assert (told["allowed"], told["denied"]) == (False, True)
    assert "cannot be impersonated" in told["reason"]


@pytest.mark.parametrize(
    "asked",
    [
        {"verb": "impersonate", "resource": "users", "name": "ann"},
        {"verb": "impersonate", "resource": "serviceaccounts", "name": "default"},
        {"verb": "impersonate", "resource": "userextras", "subresource": kubernetes.CREDENTIAL, "name": OTHER},
        {"verb": "impersonate", "resource": "userextras", "subresource": "scopes", "name": MINE},
        # Of the object that is asked for meanwhile, and of objects that are called so.
        {"verb": "impersonate-on:user-info:get", "resource": "groups", "name": "roadstead:kubelet-api-admin"},
        {"verb": "get", "resource": "clusterroles", "name": "roadstead:kubelet-api-admin"},
    ],
)
def test_whom_else_somebody_may_be_it_is_for_others_to_say(asked: dict[str, str]) -> None:
    assert status({**by("boss"), "resourceAttributes": asked}) == {"allowed": False}


@given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
def test_nobody_is_allowed_anything_but_serve(user: str, ids: list[str]) -> None:
    assert not status(by(user, *ids))["allowed"]
    assert not status(by(user, MINE))["allowed"]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}'])
def test_what_is_no_review(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=authorization.AccessReview)
