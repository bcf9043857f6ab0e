"""The office's tables against EKS's model, and its views through EKS's codec."""

from __future__ import annotations

from dataclasses import replace

import pytest

from roadstead.clusters import lifecycles, nodegroups, observed, spec, versions, views
from roadstead.clusters.components.control import issuer
from roadstead.clusters.hands import names
from roadstead.core import errors, lifecycle
from roadstead.store import facts, keys
from roadstead.wire import services, validate

EKS = services.load("eks")
PLACE = spec.Place(vpc="vpc-1", vpc_cidr="10.100.0.0/16", subnets=("subnet-1", "subnet-2"), zones=("a", "b"))
ASKED = {
    "name": "shop",
    "roleArn": "arn:aws:iam::012345678901:role/shop",
    "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"], "endpointPrivateAccess": True},
    "tags": {"team": "blue"},
}
CREATED = 5
CREATOR = "arn:aws:iam::012345678901:user/admin"


@pytest.mark.parametrize(
    ("table", "shape", "unused", "hidden"),
    [
        (lifecycles.CLUSTER, "ClusterStatus", lifecycles.CLUSTER_UNUSED, {lifecycles.GONE}),
        (lifecycles.NODEGROUP, "NodegroupStatus", lifecycles.NODEGROUP_UNUSED, {lifecycles.GONE}),
        (lifecycles.UPDATE, "UpdateStatus", lifecycles.UPDATE_UNUSED, set()),
    ],
)
def test_life_cycles_are_the_models(
    table: lifecycle.Lifecycle, shape: str, unused: frozenset[str], hidden: set[str]
) -> None:
    lifecycle.against(table, EKS.shape(shape).enum, hidden=hidden, unused=unused)


def state(key: keys.Key, body: bytes, seen: observed.Observed | None = None) -> facts.State:
    saw = facts.Observation(key, observed.written(seen), 7, 8) if seen else None
    return facts.State(facts.Desired(key, body, 7, CREATED), saw)


def test_a_cluster_is_shown_as_it_was_asked_for_in_the_models_shape() -> None:
    wanted = spec.filled(ASKED, PLACE, 1.0, CREATOR)
    assert spec.read(spec.written(wanted)) == wanted
    key = spec.key("012345678901", "eu-central-1", "shop")
    shown = views.cluster(state(key, spec.written(wanted)))
    assert validate.problems(EKS.shape("Cluster"), shown) == []
    assert shown["resourcesVpcConfig"].items() >= ASKED["resourcesVpcConfig"].items()  # type: ignore[attr-defined]
    assert {member: shown[member] for member in ("name", "roleArn", "tags")} == {
        member: ASKED[member] for member in ("name", "roleArn", "tags")
    }
    assert wanted.service_cidr == "172.20.0.0/16"
    assert wanted.request == ASKED
    # What tokens of service accounts carry, from creation on.
    assert shown["identity"]["oidc"]["issuer"] == issuer.url("eu-central-1", names.cluster(key, CREATED))


def test_a_nodegroup_is_shown_as_it_was_asked_for_in_the_models_shape() -> None:
    asked = {
        "clusterName": "shop",
        "nodegroupName": "workers",
        "nodeRole": "arn:aws:iam::012345678901:role/node",
        "subnets": ["subnet-1"],
        "taints": [{"key": "gpu", "effect": "NO_SCHEDULE"}],
        "instanceTypes": ["m7g.large"],
        "tags": {"team": "blue"},
    }
    wanted = nodegroups.filled(asked, vpc="vpc-1", zones=("a",), version="1.36", created_at=1.0)
    assert nodegroups.read(nodegroups.written(wanted)) == wanted
    key = nodegroups.key("012345678901", "eu-central-1", "shop", "workers")
    shown = views.nodegroup(state(key, nodegroups.written(wanted)))
    assert validate.problems(EKS.shape("Nodegroup"), shown) == []
    assert shown.items() >= asked.items()
    assert shown["amiType"] == "AL2023_ARM_64_STANDARD"


def test_what_was_asked_for_since_is_shown_at_once_and_the_version_only_when_it_runs() -> None:
    key = spec.key("012345678901", "eu-central-1", "shop")
    wanted = replace(spec.filled(ASKED, PLACE, 1.0, CREATOR), version="1.37", update="u")
    seen = observed.Observed("ACTIVE", release="1.36.3")
    shown = views.cluster(state(key, spec.written(wanted), seen))
    assert (shown["status"], shown["version"]) == ("UPDATING", "1.36")
    shown = views.cluster(state(key, spec.written(replace(wanted, deleting=True)), seen))
    assert shown["status"] == "DELETING"
    settled = replace(seen, settled="u", release="1.37.2")
    shown = views.cluster(state(key, spec.written(wanted), settled))
    assert (shown["status"], shown["version"]) == ("ACTIVE", "1.37")


@pytest.mark.parametrize(
    ("current", "wanted"), [("1.36", "1.36"), ("1.36", "1.35"), ("1.35", "1.37"), ("1.36", "1.99")]
)
def test_a_cluster_goes_on_by_one_minor(current: str, wanted: str) -> None:
    versions.check_next("1.35", "1.36")
    with pytest.raises(errors.Invalid):
        versions.check_next(current, wanted)
