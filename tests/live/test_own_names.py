"""Names of the house's own at a real API server: who has only the name can do nothing; porter is asked of these alone.

Cost: about 20 s: one etcd, one API server and one controller-manager on loopback.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest
from testkit import authorities, waiting
from tests.live import own_names_lab

from roadstead.clusters import trust
from roadstead.contract import kubernetes
from roadstead.kube import connection

pytestmark = pytest.mark.live

PODS = "/api/v1/namespaces/default/pods"
SECRETS = "/api/v1/namespaces/kube-system/secrets"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[own_names_lab.Place]:
    with own_names_lab.running(tmp_path_factory.mktemp("names")) as running:
        # As after a renewal: another one counts, too.
        running.door.know(kubernetes.SERVE, running.plane.credentials(kubernetes.SERVE))
        running.users[kubernetes.SERVE] = running.door.know(
            kubernetes.SERVE, running.plane.credentials(kubernetes.SERVE)
        )
        yield running


def named(user: str, **more: str) -> dict[str, str]:
    return {
        "Impersonate-User": user,
        **{f"Impersonate-{name.replace('_', '-')}": value for name, value in more.items()},
    }


def shown_as(credentials: connection.Credentials) -> dict[str, str]:
    key = kubernetes.CREDENTIAL.replace("/", "%2f")
    return {"Impersonate-User": "ann", f"Impersonate-Extra-{key}": trust.credential_id(credentials.certificate)}


def test_serve_may_do_everything_by_its_own_certificates_and_no_role(place: own_names_lab.Place) -> None:
    began = time.monotonic()
    assert place.ask(kubernetes.SERVE, SECRETS)[0] == 200
    first = time.monotonic() - began
    assert place.ask(kubernetes.SERVE, SECRETS)[0] == 200
    again = time.monotonic() - began - first
    for number in range(20):
        assert place.ask(kubernetes.SERVE, f"{SECRETS}/none-{number}")[0] == 404
    more = (time.monotonic() - began - first - again) / 20
    print(f"first asked for: {first * 1000:.1f} ms; then {more * 1000:.1f} ms; remembered: {again * 1000:.1f} ms")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}}
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    assert place.ask(kubernetes.SERVE, ROLES, {**role, "rules": rules})[0] == 201
    assert place.ask(kubernetes.SERVE, "/metrics")[0] == 200
    asked = place.door.counts["own names allowed"]
    assert place.ask(kubernetes.SERVE, SECRETS)[0] == 200
    assert place.door.counts["own names allowed"] == asked


def test_a_certificate_that_somebody_approved_for_the_name_gives_nothing(place: own_names_lab.Place) -> None:
    for user, groups in (
        (kubernetes.SERVE, ()),
        (kubernetes.API_SERVER, ()),
        ("roadstead:other", ()),
        ("ann", ("roadstead:admins",)),
        ("ann", ("eks:access-policy:AmazonEKSClusterAdminPolicy",)),
    ):
        forged = approved(place, user, groups)
        for path in (SECRETS, PODS):
            said = place.refused(forged, path)
            assert "Roadstead's" in said, said
    # Kubernetes itself refuses the group that nothing can refuse.
    assert "system:masters" in place.refused("boss", REQUESTS, request("ann", ("system:masters",))[0])


def request(user: str, groups: tuple[str, ...]) -> tuple[dict[str, Any], bytes]:
    return authorities.request("kubernetes.io/kube-apiserver-client", ["client auth"], user, groups)


def approved(place: own_names_lab.Place, user: str, groups: tuple[str, ...]) -> connection.Credentials:
    """A certificate that an administrator of the cluster has asked for, approved and got."""
    asked, key = request(user, groups)
    status, made = place.ask("boss", REQUESTS, asked)
    assert status == 201, made
    name = made["metadata"]["name"]
    yes = {"type": "Approved", "status": "True", "reason": "Test", "message": "test"}
    status, made = place.ask(
        "boss", f"{REQUESTS}/{name}/approval", {**made, "status": {"conditions": [yes]}}, method="PUT"
    )
    assert status == 200, made

    def signed() -> str:
        return str(place.ask("boss", f"{REQUESTS}/{name}")[1].get("status", {}).get("certificate", ""))

    waiting.until("the request is signed", lambda: bool(signed()), 20, 0.05)
    return connection.Credentials(ca=place.plane.authority.pem, certificate=base64.b64decode(signed()), key=key)


def test_who_may_impersonate_everybody_may_not_impersonate_us(place: own_names_lab.Place) -> None:
    serve = place.users[kubernetes.SERVE]
    for headers in (
        named(kubernetes.SERVE),
        named(kubernetes.SERVE, Group="system:masters"),
        named(kubernetes.API_SERVER),
        named("ann", Group="roadstead:admins"),
        named("ann", Uid="roadstead:serve"),
        shown_as(serve),
        {**shown_as(serve), **named(kubernetes.SERVE)},
    ):
        said = place.refused("boss", PODS, headers=headers)
        assert "is Roadstead's own and cannot be impersonated" in said, said
        # serve itself neither.
        assert "cannot be impersonated" in place.refused(kubernetes.SERVE, PODS, headers=headers)
    # All else goes on.
    other = shown_as(place.plane.credentials("other"))
    for headers in (named("boss"), named("x", Group="system:masters"), {**other, **named("boss")}):
        assert place.ask("boss", PODS, headers=headers)[0] == 200
    assert place.ask(kubernetes.SERVE, PODS, headers=named("boss"))[0] == 200


def test_impersonation_that_is_constrained_neither(place: own_names_lab.Place) -> None:
    rules = [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["users"], "verbs": ["impersonate:user-info"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["impersonate-on:user-info:list"]},
    ]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "narrow"}}
    assert place.ask("boss", ROLES, {**role, "rules": rules})[0] == 201
    binding = own_names_lab.bound("guest", "narrow")
    assert place.ask("boss", ROLES.replace("roles", "rolebindings"), binding)[0] == 201
    waiting.until("guest may", lambda: place.ask("guest", PODS, headers=named("boss"))[0] == 200, 10, 0.05)
    assert "cannot be impersonated" in place.refused("guest", PODS, headers=named(kubernetes.SERVE))


def test_api_servers_are_themselves_at_kubelets(place: own_names_lab.Place) -> None:
    """By a certificate that the configuration has, which is not asked for, and by one that porter has."""
    asked = dict(place.door.counts)
    assert place.ask(place.api_server, PODS)[0] == 200
    assert place.door.counts == asked
    renewed = place.door.know(kubernetes.API_SERVER, place.plane.credentials(kubernetes.API_SERVER))
    assert place.ask(renewed, PODS)[0] == 200
    assert place.door.counts["own names passed on"] > asked.get("own names passed on", 0)
    # What RBAC does not give it, it has not.
    assert place.ask(place.api_server, SECRETS)[0] == 403
    # As kubelets ask: the certificate is in the review.
    reviewed = {"user": kubernetes.API_SERVER, "resourceAttributes": {"verb": "list", "resource": "pods"}}
    extra = {kubernetes.CREDENTIAL: [trust.credential_id(place.api_server.certificate)]}
    assert may(place, {**reviewed, "extra": extra}) == (True, False)
    assert may(place, reviewed) == (False, True)


def may(place: own_names_lab.Place, spec: dict[str, Any]) -> tuple[bool, bool]:
    """Whether a review allows, and whether it denies."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    status, answer = place.ask("boss", REVIEWS, review)
    assert status == 201, answer
    assert "evaluationError" not in answer["status"], answer
    return answer["status"]["allowed"], answer["status"].get("denied", False)


def test_reviews_of_others_are_as_they_were(place: own_names_lab.Place) -> None:
    listing = {"resourceAttributes": {"verb": "list", "resource": "pods"}}
    assert may(place, {"user": "ann", **listing}) == (False, False)
    assert may(place, {"groups": ["devs"], **listing}) == (False, False)
    assert may(place, {"user": "boss", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}) == (True, False)
    assert may(place, {"user": "", "groups": ["roadstead:x"], **listing}) == (False, True)


def test_what_is_forbidden_says_no_word_of_how_it_is_decided(place: own_names_lab.Place) -> None:
    assert place.refused("ann", PODS) == (
        'pods is forbidden: User "ann" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    assert place.refused("ann", "/metrics") == 'forbidden: User "ann" cannot get path "/metrics"'


def test_while_porter_is_away_names_of_ours_are_refused_and_nobody_else_is(place: own_names_lab.Place) -> None:
    place.ask(kubernetes.SERVE, SECRETS)
    forged = place.plane.credentials(kubernetes.SERVE)
    place.door.close()
    try:
        assert place.ask("boss", PODS)[0] == 200
        assert place.ask("boss", PODS, headers=named("ann"))[0] == 403
        assert place.ask("boss", PODS, headers=named("boss"))[0] == 200
        assert place.refused("ann", PODS).endswith('in the namespace "default"')
        assert place.ask(place.api_server, PODS)[0] == 200
        for who, headers in (
            (forged, {}),
            ("boss", named(kubernetes.SERVE)),
            ("boss", named("ann", Group="roadstead:x")),
        ):
            status, answer = place.ask(who, PODS, headers=headers)
            assert status in (403, 500), answer
        assert place.ask(kubernetes.SERVE, "/api/v1/nodes")[0] == 500
        assert place.ask(kubernetes.SERVE, SECRETS)[0] == 200, "what was asked lately is remembered"
    finally:
        place.door.open()
    assert place.ask(kubernetes.SERVE, "/api/v1/nodes")[0] == 200
    assert "no credential" in place.refused(forged, PODS)
