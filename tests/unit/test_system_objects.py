"""The system's objects: golden files per minor, and what must hold whatever they look like.

`python -m tests.unit.test_system_objects` writes the golden files anew.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from roadstead.controllers import system
from roadstead.controllers.runtime import facts
from roadstead.controllers.system import budget, coredns, mappings, storage
from roadstead.kube import resources
from roadstead.kube.resources import Json

GOLDEN = Path(__file__).parent / "golden"
RELEASES = ("1.34.4", "1.35.4", "1.36.3", "1.37.2")
FACTS = facts.SystemFacts(
    id="c-1a2b3c4d",
    name="cluster-1",
    account="111122223333",
    region="eu-central-1",
    zones=("eu-central-1a", "eu-central-1b", "eu-central-1c"),
    release=RELEASES[-1],
    service_cidr="10.100.0.0/16",
    dns="10.100.0.10",
    vpc_cidr="192.168.0.0/16",
    resolvers=("192.168.0.2", "192.168.32.2"),
    images=facts.Images(coredns="roadstead.dev/coredns:1.15.0", provisioner="roadstead.dev/volume-provisioner:1.0"),
    settings=((coredns.NODE_ZONES, "3"),),
)


def rendered(release: str) -> str:
    made = system.objects(dataclasses.replace(FACTS, release=release))
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def golden(release: str) -> Path:
    return GOLDEN / f"system-{release.rpartition('.')[0]}.json"


def one(kind: str, name: str, of: facts.SystemFacts = FACTS) -> Json:
    (found,) = [o for o in system.objects(of) if (o["kind"], resources.name(o)) == (kind, name)]
    return found


@pytest.mark.parametrize("release", RELEASES)
def test_objects_are_as_the_golden_file(release: str) -> None:
    assert rendered(release) == golden(release).read_text()


def test_every_object_can_be_put_in_place_once() -> None:
    keys = [(resources.of(o), resources.key(o)) for o in system.objects(FACTS)]
    assert len(set(keys)) == len(keys)
    for resource, key in keys:
        assert resource.namespaced == key.startswith("kube-system/"), key


def test_nothing_comes_before_what_it_names() -> None:
    seen: set[tuple[str, str]] = set()
    for thing in system.objects(FACTS):
        if "roleRef" in thing:
            (who,) = thing["subjects"]
            assert (thing["roleRef"]["kind"], thing["roleRef"]["name"]) in seen
            assert ("ServiceAccount", who["name"]) in seen
        if thing["kind"] == "Deployment":
            assert ("ServiceAccount", thing["spec"]["template"]["spec"]["serviceAccountName"]) in seen
        seen.add((thing["kind"], resources.name(thing)))


def test_selectors_find_the_pods() -> None:
    deployment = one("Deployment", "coredns")
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        one("Service", "kube-dns")["spec"]["selector"],
        one("PodDisruptionBudget", "coredns")["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels
    provisioner = one("Deployment", "volume-provisioner")["spec"]
    assert provisioner["selector"]["matchLabels"] == provisioner["template"]["metadata"]["labels"]


@pytest.mark.parametrize(("zones", "waits"), [("1", False), ("2", True), ("3", True)])
def test_dns_waits_for_a_second_zone_only_where_one_is_expected(zones: str, waits: bool) -> None:
    of = dataclasses.replace(FACTS, settings=((coredns.NODE_ZONES, zones),))
    (spread,) = one("Deployment", "coredns", of)["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == ("DoNotSchedule" if waits else "ScheduleAnyway")
    assert spread.get("minDomains") == (2 if waits else None)


def test_names_outside_are_asked_at_the_resolver() -> None:
    assert "forward . 192.168.0.2 192.168.32.2\n" in coredns.corefile(FACTS.resolvers)
    assert "forward . /etc/resolv.conf\n" in coredns.corefile(())
    assert coredns.corefile(()).count("{") == coredns.corefile(()).count("}")


def test_one_class_is_the_default() -> None:
    classes = [o for o in system.objects(FACTS) if o["kind"] == "StorageClass"]
    annotation = "storageclass.kubernetes.io/is-default-class"
    assert {resources.name(o): o["metadata"]["annotations"][annotation] for o in classes} == {
        "gp3": "true",
        "gp2": "false",
    }
    assert {o["provisioner"] for o in classes} == {storage.PROVISIONER}


def test_no_pod_of_the_system_is_root_or_asks_a_registry_for_what_is_there() -> None:
    for thing in system.objects(FACTS):
        if thing["kind"] == "Deployment":
            (container,) = thing["spec"]["template"]["spec"]["containers"]
            assert container["securityContext"]["runAsUser"] > 0
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["imagePullPolicy"] == "IfNotPresent"
            assert container["image"].startswith("roadstead.dev/")


def node(zone: str, *, cordoned: bool) -> Json:
    spec = {"unschedulable": True} if cordoned else {}
    return {"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": zone}}, "spec": spec}


@pytest.mark.parametrize(
    ("cordoned", "taking", "expected", "nowhere"),
    [
        ("", "", "1", False),
        ("", "a", "2", False),
        ("a", "", "1", True),
        ("ab", "", "2", True),
        ("a", "b", "1", False),
        ("a", "b", "2", True),
        ("a", "bb", "2", True),
        ("a", "bc", "3", False),
    ],
)
def test_there_is_nowhere_to_go_when_those_that_are_not_cordoned_are_in_too_few_zones(
    cordoned: str, taking: str, expected: str, nowhere: bool
) -> None:
    of = dataclasses.replace(FACTS, settings=((coredns.NODE_ZONES, expected),))
    nodes = [*(node(zone, cordoned=True) for zone in cordoned), *(node(zone, cordoned=False) for zone in taking)]
    assert budget.nowhere(nodes, of) is nowhere


def test_the_budget_is_opened_and_closed_again_and_anothers_is_left_alone() -> None:
    ours = one("PodDisruptionBudget", "coredns")
    there = {**ours, "metadata": {**ours["metadata"], "resourceVersion": "7"}}
    assert budget.change(there, opened=False) is None
    change = budget.change(there, opened=True)
    assert change is not None
    assert change["spec"] == {"maxUnavailable": "100%"}
    assert change["metadata"]["resourceVersion"] == "7"
    opened = {
        "metadata": {**there["metadata"], "annotations": change["metadata"]["annotations"]},
        "spec": {**ours["spec"], **change["spec"]},
    }
    assert budget.change(opened, opened=True) is None
    closed = budget.change(opened, opened=False)
    assert closed is not None
    assert closed["spec"] == {"maxUnavailable": ours["spec"]["maxUnavailable"]}
    assert closed["metadata"]["annotations"] == {budget.OPENED: None}
    # One that its owner made another is never opened; one that was changed while it was open stays as it is.
    for spec in ({"minAvailable": 1}, {"maxUnavailable": 0}):
        assert budget.change({**there, "spec": {**spec, "selector": {}}}, opened=True) is None
    theirs = budget.change({**opened, "spec": {**ours["spec"], "maxUnavailable": 2}}, opened=False)
    assert theirs is not None
    assert theirs["spec"] == {"maxUnavailable": 2}


def test_who_writes_aws_auth_is_warned_and_not_refused() -> None:
    policy = one("ValidatingAdmissionPolicy", mappings.NAME)
    binding = one("ValidatingAdmissionPolicyBinding", mappings.NAME)
    assert binding["spec"] == {"policyName": mappings.NAME, "validationActions": ["Warn"]}
    assert policy["spec"]["failurePolicy"] == "Ignore"
    (said,) = policy["spec"]["validations"]
    assert "access entries" in said["message"]


if __name__ == "__main__":
    for release in RELEASES:
        golden(release).write_text(rendered(release))
