"""The reconciler's tables against EKS's model, and its views through EKS's codec."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest
from tests.unit import control_plane_facts

from roadstead.clusters import lifecycles, nodegroups, observed, spec, versions, views
from roadstead.clusters.allocation import names
from roadstead.clusters.components import apiserver, controller_manager, scheduler
from roadstead.clusters.components.control import issuer
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
    ("day", "support", "old"),
    [
        ("2026-12-01", "STANDARD_SUPPORT", "standard-support"),
        ("2026-12-02", "EXTENDED_SUPPORT", "extended-support"),
        ("2027-12-01", "EXTENDED_SUPPORT", "extended-support"),
        ("2027-12-02", "UNSUPPORTED", "unsupported"),
    ],
)
def test_a_versions_support_is_by_the_date(day: str, support: str, old: str) -> None:
    shown = views.version(versions.find("1.34"), dt.date.fromisoformat(day))
    assert (shown["versionStatus"], shown["status"]) == (support, old)
    assert validate.problems(EKS.shape("ClusterVersionInformation"), shown) == []
    assert shown.keys() == EKS.shape("ClusterVersionInformation").members.keys()


def test_settings_of_control_planes_that_are_shown_are_upstreams_and_nothing_sets_them() -> None:
    plane = control_plane_facts.plane("1.37.2")
    flags = apiserver.unit(plane, "a", {}).flags.keys() | controller_manager.unit(plane, "a", {}).flags.keys()
    would = "event-ttl service-node-port-range terminated-pod-gc-threshold horizontal-pod-autoscaler-sync-period"
    assert not flags & set(would.split())
    assert not {"profiles", "parallelism"} & json.loads(scheduler.configuration()).keys()
    shown = views.version(versions.find("1.37"), dt.date(2026, 12, 1))["controlPlaneComponentConfig"]
    assert shown["kubeApiServerConfig"]["eventTtl"] == {
        "defaultValue": "60m",
        "constraints": {"min": "60m", "max": "60m"},
    }


def test_the_words_for_support_are_the_models() -> None:
    assert {support.value for support in versions.Support} == EKS.shape("VersionStatus").enum
    assert {support.deprecated for support in versions.Support} == EKS.shape("ClusterVersionStatus").enum


@pytest.mark.parametrize(
    ("version", "policy", "day", "said"),
    [
        ("1.34", "STANDARD", "2026-12-01", None),
        ("1.34", "STANDARD", "2026-12-02", "standard support of Kubernetes version 1.34 ended on 2026-12-02"),
        ("1.34", "EXTENDED", "2026-12-02", None),
        ("1.34", "EXTENDED", "2027-12-02", "extended support ended on 2027-12-02; .* offers 1.35, 1.36, 1.37"),
    ],
)
def test_a_new_cluster_has_a_version_with_support(version: str, policy: str, day: str, said: str | None) -> None:
    made_at = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()
    asked = {**ASKED, "version": version, "upgradePolicy": {"supportType": policy}}
    if said is None:
        assert spec.filled(asked, PLACE, made_at, CREATOR).support == policy
        return
    with pytest.raises(errors.Invalid, match=said):
        spec.filled(asked, PLACE, made_at, CREATOR)


@pytest.mark.parametrize(
    ("current", "wanted"), [("1.36", "1.36"), ("1.36", "1.35"), ("1.35", "1.37"), ("1.36", "1.99")]
)
def test_a_cluster_goes_on_by_one_minor(current: str, wanted: str) -> None:
    versions.check_next("1.35", "1.36")
    with pytest.raises(errors.Invalid):
        versions.check_next(current, wanted)
