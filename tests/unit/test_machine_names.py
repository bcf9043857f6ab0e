"""Clusters and hosts are found by what people call them, and listed wherever they are."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit import cloud_for_cli

from roadstead.core import errors
from roadstead.machine import status
from roadstead.machine.services import names

CLUSTERS = {"eu-central-1/one": "c-1", "eu-central-1/two": "c-2", "eu-west-1/two": "c-3"}
NODE = "ip-192-168-0-5.eu-central-1.compute.internal"
OTHER = "ip-192-168-0-6.eu-central-1.compute.internal"


def host(role: str = "api", hostname: str = "own", said: str = "role") -> dict[str, Any]:
    return {"generation": 1, "deleting": False, "spec": {said: role, "hostname": hostname}}


WANTED = {
    "hosts": {
        **{f"{id}.{name}": host() for id in ("c-1", "c-2", "c-3") for name in ("api-a", "edge", "etcd-a")},
        "c-1.i-0a": host("node", NODE),
        # As an agent of an earlier release has it.
        "c-1.i-0b": host("node", OTHER, said="kind"),
        # The VPCs of two clusters may have the same addresses.
        "c-2.i-0c": host("node", NODE),
        "bench": host("node", "bench"),
        "newer": {"generation": 1, "deleting": False, "spec": {"shape": "another"}},
    }
}


def test_the_cluster_is_found_by_its_name() -> None:
    clusters = {"eu-central-1/one": "c-1", "eu-central-1/two": "c-2", "eu-west-1/two": "c-3"}
    assert names.cluster_id(clusters, "one", None) == "c-1"
    assert names.cluster_id(clusters, "two", "eu-west-1") == "c-3"
    with pytest.raises(errors.Invalid, match=r"two are in eu-central-1, eu-west-1: say which with --region"):
        names.cluster_id(clusters, "two", None)
    for name, region in (("three", None), ("one", "eu-west-1"), ("on", None)):
        with pytest.raises(errors.NotFound, match=f"no cluster is called {name}"):
            names.cluster_id(clusters, name, region)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("c-1.etcd-a", "c-1.etcd-a"),
        ("one.etcd-a", "c-1.etcd-a"),
        ("one.edge", "c-1.edge"),
        ("one.i-0a", "c-1.i-0a"),
        (OTHER, "c-1.i-0b"),
        ("ip-192-168-0-6", "c-1.i-0b"),
        (f"one.{NODE}", "c-1.i-0a"),
        ("two.ip-192-168-0-5", "c-2.i-0c"),
        ("c-1.ip-192-168-0-5", "c-1.i-0a"),
        ("bench", "bench"),
        ("newer", "newer"),
    ],
)
def test_a_host_is_found_by_what_people_call_it(asked: str, found: str) -> None:
    assert names.host(asked, CLUSTERS, WANTED) == found


def test_a_name_of_several_hosts_is_answered_by_their_ids() -> None:
    told = r"several hosts are called {}: say which by its id: {}$"
    with pytest.raises(errors.Invalid, match=told.format(NODE, r"c-1\.i-0a \(.*/one\), c-2\.i-0c \(.*/two\)")):
        names.host(NODE, CLUSTERS, WANTED)
    with pytest.raises(
        errors.Invalid, match=told.format("two.api-a", r"c-2\.api-a \(eu-central-1/two\), c-3\.api-a .*")
    ):
        names.host("two.api-a", CLUSTERS, WANTED)


def test_what_is_not_there_is_told_with_what_is() -> None:
    with pytest.raises(
        errors.NotFound, match=r"cluster one has no host 'etcd-z': it has api-a, edge, etcd-a, i-0a, i-0b"
    ):
        names.host("one.etcd-z", CLUSTERS, WANTED)
    for nothing in ("three.etcd-a", "ip-192-168-9-9", "own", ""):
        with pytest.raises(
            errors.NotFound, match=r"no host is called .*: write CLUSTER\.HOST, as in my-cluster\.etcd-a"
        ):
            names.host(nothing, CLUSTERS, WANTED)
    assert names.host("c-1.api-a", {}, WANTED) == "c-1.api-a"


class Region(cloud_for_cli.Cloud):
    def __init__(self, region: str, *clusters: str) -> None:
        super().__init__()
        self.region = region
        self.clusters = {name: {"name": name, "status": "ACTIVE", "version": "1.37"} for name in clusters}


def test_clusters_of_all_regions_are_told() -> None:
    assert status.regions("eu-central-1", CLUSTERS) == ["eu-central-1", "eu-west-1"]
    assert status.regions("us-east-1", {}) == ["us-east-1"]
    apis = [Region("eu-central-1", "one", "new"), Region("eu-west-1", "two"), Region("us-east-1")]
    assert status.told(apis, CLUSTERS) == [
        status.ClusterStatus("new", "", "eu-central-1", "ACTIVE", "1.37"),
        status.ClusterStatus("one", "c-1", "eu-central-1", "ACTIVE", "1.37"),
        status.ClusterStatus("two", "c-3", "eu-west-1", "ACTIVE", "1.37"),
    ]


def test_what_is_not_well_of_a_cluster_is_told_where_all_its_processes_run() -> None:
    """A node may run and be registered nowhere: then nothing fails at the agent, and nothing is as it is wanted."""
    cluster: dict[str, Any] = {"name": "one", "status": "ACTIVE", "health": {"issues": []}}
    ill = {"issues": [{"code": "NodeCreationFailure", "message": "node-0: waits to be registered"}]}
    groups: dict[str, dict[str, Any]] = {
        "a": {"status": "CREATING", "health": ill},
        "b": {"status": "ACTIVE", "health": ill},
        "c": {"status": "ACTIVE"},
        "d": {"status": "UPDATING"},
    }
    assert status.unwell(cluster, {"c": groups["c"]}) == ()
    assert status.unwell(cluster | {"status": "FAILED"}, groups) == (
        "cluster one is FAILED",
        "nodegroup a of one is CREATING: node-0: waits to be registered",
        "nodegroup b of one is ACTIVE: node-0: waits to be registered",
        "nodegroup d of one is UPDATING",
    )


def test_what_is_not_well_is_asked_for_with_the_clusters() -> None:
    api = Region("eu-central-1", "one")
    api.nodegroups = {("one", "ng"): {"status": "CREATING"}}
    assert status.told([api], CLUSTERS)[0].unwell == ("nodegroup ng of one is CREATING",)


def test_ids_are_told_also_when_serve_is_silent() -> None:
    assert status.table_of(status.untold(CLUSTERS)).splitlines() == [
        "CLUSTER  ID   REGION        STATUS  VERSION",
        "one      c-1  eu-central-1  -       -",
        "two      c-2  eu-central-1  -       -",
        "two      c-3  eu-west-1     -       -",
    ]
