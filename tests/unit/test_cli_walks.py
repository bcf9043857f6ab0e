"""Walks of `create cluster` and `delete cluster`: refused, cut off, gone on with, half made; and what they leave."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.unit import cloud_for_cli
from tests.unit.test_cli_served import Said, cloud, said

from roadstead.cli import service, validity
from roadstead.cli.live import follow
from roadstead.clusters import nodegroups
from roadstead.core import errors

__all__ = ["cloud", "said"]
"""Fixtures."""


def left(cloud: cloud_for_cli.Cloud) -> tuple[int, ...]:
    return len(cloud.clusters), len(cloud.nodegroups), len(cloud.vpcs), len(cloud.subnets), len(cloud.roles)


NOTHING = (0, 0, 0, 0, 0)


def test_the_lines_and_the_kubeconfig(
    cloud: cloud_for_cli.Cloud, said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.looks = 3
    (tmp_path / "kubectl").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    code, out, err = said("create cluster dev -N 4 --nodegroup-name ng")
    assert (code, err) == (0, "")
    lines = [line[25:] for line in out.splitlines()]
    for line in (
        "using region eu-central-1",
        "setting availability zones to [eu-central-1a eu-central-1b eu-central-1c]",
        "subnets for eu-central-1b - public:192.168.32.0/19 private:192.168.128.0/19",
        'nodegroup "ng" will use "" [AmazonLinux2023/1.37]',
        'creating EKS cluster "dev" in "eu-central-1" region with managed nodes',
        'waiting for cluster "dev" to become active',
        f'saved kubeconfig as "{tmp_path}/.kube/config"',
        'nodegroup "ng" has 4 node(s)',
        'node "ip-192-168-0-3.eu-central-1.compute.internal" is ready',
        'created 1 managed nodegroup(s) in cluster "dev"',
        f"kubectl command should work with \"{tmp_path}/.kube/config\", try 'kubectl get nodes'",
        'EKS cluster "dev" in "eu-central-1" region is ready',
    ):
        assert any(line in each for each in lines), line
    assert "\x1b" not in out
    assert "UntagResource" in cloud.calls
    assert "roadstead/unfinished" not in cloud.clusters["dev"]["tags"]
    written = (tmp_path / ".kube" / "config").read_text()
    assert "current-context: ann@dev.eu-central-1.eksctl.io" in written
    assert "server: https://127.0.0.1:30001" in written
    assert "- --profile\n      - roadstead\n" in written
    code, out, _ = said("delete cluster dev")
    assert code == 0
    assert "the entries of the cluster have been removed" in out
    assert "eksctl.io" not in (tmp_path / ".kube" / "config").read_text()


def test_a_summary_for_programs(cloud: cloud_for_cli.Cloud, said: Said, tmp_path: Path) -> None:
    code, out, err = said("create cluster dev --nodegroup-name ng -o json --auto-kubeconfig")
    assert code == 0
    shown = json.loads(out)
    assert shown["endpoint"] == cloud.clusters["dev"]["endpoint"]
    assert shown["kubeconfig"] == str(tmp_path / ".kube" / "eksctl" / "clusters" / "dev")
    assert [len(each) for each in shown["nodegroups"].values()] == [2]
    assert "is ready" in err
    said("delete cluster dev")
    assert not Path(shown["kubeconfig"]).exists()


@pytest.mark.parametrize("at", ["CreateVpc", "CreateSubnet", "CreateRole", "AttachRolePolicy", "CreateCluster"])
def test_after_a_refusal_nothing_is_left(cloud: cloud_for_cli.Cloud, said: Said, at: str) -> None:
    cloud.fail_at, cloud.fail_with = at, "InvalidRequestException"
    code, out, err = said("create cluster dev")
    assert (code, err) == (1, 'Error: failed to create cluster "dev": InvalidRequestException: out of order\n')
    assert left(cloud) == NOTHING
    assert "taken back" in out or at == "CreateVpc"


def test_what_was_there_before_a_refusal_stays(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.fail_at = "CreateCluster"
    said("create cluster dev")
    before = left(cloud)
    assert before == (0, 0, 1, 6, 2)
    cloud.fail_with = "InvalidRequestException"
    assert said("create cluster dev")[0] == 1
    assert left(cloud) == before
    code, _, err = said("create cluster dev --vpc-cidr 10.0.0.0/16")
    assert code == 1
    assert "has left the VPC vpc-0 with 192.168.0.0/16, not 10.0.0.0/16" in err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--version 1.20", "invalid version, 1.20 is not supported: this Roadstead offers 1.34, 1.35, 1.36, 1.37"),
        ("--node-type z9.huge", "there is no instance type 'z9.huge'"),
        ("--instance-types m5.large,m6g.large", "one architecture"),
        ("--zones eu-central-1a,eu-central-1x", "there is no zone 'eu-central-1x'"),
        ("--vpc-cidr 198.19.0.0/16", "kept for the networks of control planes"),
        ("-N 451", "at most 450 nodes"),
        ("--node-labels a=-", "labels: a=- is not valid"),
        ("--node-volume-size 0", "is no size of a disk"),
        ("--nodegroup-name _x", "is not valid"),
        ("--kubeconfig x --auto-kubeconfig", "cannot be used at the same time"),
        ("--kubeconfig /", "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    cloud: cloud_for_cli.Cloud, said: Said, line: str, says: str
) -> None:
    code, out, err = said(f"create cluster dev {line}")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert says in err
    assert not [name for name in cloud.calls if name.startswith(("Create", "Attach"))]


def test_a_control_plane_and_nodes_too_many_together_are_refused_before_anything_is_made(
    cloud: cloud_for_cli.Cloud, said: Said, tmp_path: Path
) -> None:
    cloud.room = 5
    code, out, err = said("create cluster dev -N 6")
    refused = 'Error: failed to create cluster "dev": InvalidRequestException: Not enough memory: 6 nodes more.\n'
    assert (code, out, err) == (1, "", refused)
    file = tmp_path / "two.yaml"
    groups = "".join(f"- {{name: {name}, desiredCapacity: 3}}\n" for name in ("a", "b"))
    head = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: dev, region: eu-central-1}\n"
    file.write_text(f"{head}managedNodeGroups:\n{groups}")
    assert said(f"create cluster -f {file}")[2] == refused
    assert not [name for name in cloud.calls if name.startswith(("Create", "Attach"))]
    assert left(cloud) == NOTHING
    assert said("create cluster dev -N 5")[0] == 0


def test_what_goes_on_is_not_summed_up_again(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.looks = 2
    with monkeypatch.context() as patched:
        patched.setattr(follow.Stage, "until", _interrupt)
        said("create cluster dev")
    # Its own control plane would be counted twice.
    cloud.room = 0
    assert said("create cluster dev")[0] == 0


def test_the_rules_are_the_services() -> None:
    assert nodegroups.MOST_NODES == validity.MOST_NODES


def test_a_taken_name_is_refused_in_ekss_words(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    said("create cluster dev")
    before = left(cloud)
    code, out, err = said("create cluster dev")
    assert (code, out) == (1, "")
    assert err == (
        'Error: failed to create cluster "dev": ResourceInUseException: Cluster already exists with name: dev\n'
    )
    assert left(cloud) == before


def test_interrupted_before_it_was_asked_for_nothing_is_left(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("roadstead.cli.actions.building.Building._ask", _interrupt)
    code, out, _ = said("create cluster dev")
    assert code == 130
    assert "not asked for yet, and nothing is left" in out
    assert left(cloud) == NOTHING


def test_interrupted_later_it_goes_on_and_so_does_the_next_call(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.looks = 2
    with monkeypatch.context() as patched:
        patched.setattr(follow.Stage, "until", _interrupt)
        code, out, _ = said("create cluster dev")
    assert code == 130
    assert "roadstead get events -w --cluster=dev --region=eu-central-1" in out
    assert left(cloud) == (1, 0, 1, 6, 2)
    (first,) = (cloud.clusters["dev"]["tags"]["roadstead/unfinished"],)
    code, out, err = said("create cluster dev")
    assert (code, err) == (0, "")
    assert "from an earlier call of this command: going on with it" in out
    assert list(cloud.nodegroups) == [("dev", first)]
    assert cloud.nodegroups["dev", first]["labels"]["alpha.eksctl.io/nodegroup-name"] == first
    assert left(cloud) == (1, 1, 1, 6, 2)
    assert said("create cluster dev")[0] == 1


def test_a_service_that_is_away_for_a_moment_is_asked_again(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.looks = 1
    asked = []

    def describe(wanted: dict[str, str]) -> dict[str, object]:
        asked.append(1)
        if len(asked) == 3:
            raise cloud_for_cli.Refusal("ServerException", "starting")
        return cloud_for_cli.Cloud.DescribeCluster(cloud, wanted)

    monkeypatch.setattr(cloud, "DescribeCluster", describe)
    code, out, _ = said("create cluster dev --without-nodegroup")
    assert code == 0
    assert "[!]  ServerException: starting" in out


def test_a_service_that_is_not_there_for_a_moment_is_asked_again(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.looks = 2
    call = service.ApiConnection.call
    away = [True]

    def cut(api: service.ApiConnection, of: str, operation: str, **values: object) -> dict[str, object]:
        if operation == "ListClusterParts" and away and away.pop():
            raise errors.Busy("cannot reach Roadstead")
        return call(api, of, operation, **values)

    monkeypatch.setattr(service.ApiConnection, "call", cut)
    code, out, _ = said("create cluster dev --without-nodegroup")
    assert (code, away) == (0, [])
    assert out.count("[!]  cannot reach Roadstead") == 1


def test_a_cluster_that_fails_says_why(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.looks = 1
    issue = {"code": "InternalFailure", "message": "etcd-a: no room", "resourceIds": ["etcd-a"]}
    made = cloud.CreateCluster

    def create(asked: dict[str, object]) -> dict[str, object]:
        found = made(asked)
        cloud.clusters["dev"] |= {"status": "FAILED", "health": {"issues": [issue]}}
        return found

    cloud.CreateCluster = create  # type: ignore[method-assign]
    code, _, err = said("create cluster dev")
    assert (code, err) == (1, 'Error: cluster "dev" is FAILED: InternalFailure: etcd-a: no room\n')
    assert said("delete cluster dev")[0] == 0
    assert left(cloud) == NOTHING


def test_it_ends_when_the_time_is_over(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.looks = 1000
    code, _, err = said("create cluster dev --timeout 300ms")
    assert (code, err.count("\n")) == (1, 1)
    assert "timed out waiting for" in err


def test_a_kubeconfig_that_cannot_be_written_is_told_at_the_end(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("roadstead.cli.kubeconfig.files._WAIT", 0.05)
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config.lock").touch()
    code, out, err = said("create cluster dev")
    assert code == 1
    assert "another program has locked the kubeconfig" in out
    assert "roadstead utils write-kubeconfig --cluster=dev" in err
    assert cloud.clusters["dev"]["status"] == "ACTIVE"
    (tmp_path / ".kube" / "config.lock").unlink()
    code, out, _ = said("utils write-kubeconfig --cluster dev --set-kubeconfig-context=false")
    assert code == 0
    assert "saved kubeconfig" in out
    assert "current-context: ann" not in (tmp_path / ".kube" / "config").read_text()


@pytest.mark.parametrize("missing", ["roles", "subnets", "vpcs", "clusters"])
def test_delete_takes_back_from_any_half_made_state(cloud: cloud_for_cli.Cloud, said: Said, missing: str) -> None:
    said("create cluster dev")
    match missing:
        case "roles":
            cloud.roles.clear()
        case "subnets":
            cloud.subnets.clear()
        case "vpcs":
            cloud.subnets.clear()
            cloud.vpcs.clear()
        case _:
            cloud.nodegroups.clear()
            cloud.clusters.clear()
    code, out, err = said("delete cluster dev")
    assert (code, err) == (0, "")
    assert "all cluster resources were deleted" in out
    assert left(cloud) == NOTHING
    code, _, err = said("delete cluster dev")
    assert code == 1
    assert "No cluster found for name: dev." in err


def test_the_longest_name_comes_and_goes(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    name = "x" * 100
    code, _, err = said(f"create cluster {name} --nodegroup-name ng")
    assert (code, err) == (0, "")
    assert left(cloud) == (1, 1, 1, 6, 2)
    assert said(f"delete cluster {name}")[0] == 0
    assert left(cloud) == NOTHING


def test_nodegroups_are_made_beside_those_that_are_there(
    cloud: cloud_for_cli.Cloud, said: Said, tmp_path: Path
) -> None:
    said("create cluster dev --nodegroup-name a")
    code, out, err = said("create nodegroup --cluster dev b -N 3 -P --node-zones eu-central-1b")
    assert (code, err) == (0, "")
    assert 'nodegroup "b" has 3 node(s)' in out
    (subnet,) = cloud.nodegroups["dev", "b"]["subnets"]
    assert cloud.subnets[subnet]["CidrBlock"] == "192.168.128.0/19"
    assert left(cloud) == (1, 2, 1, 6, 2)
    file = tmp_path / "c.yaml"
    file.write_text(said("create cluster dev --nodegroup-name a --dry-run")[1])
    code, _, err = said(f"create nodegroup -f {file}")
    assert code == 1
    assert "NodeGroup already exists with name a and cluster name dev" in err
    assert said("create ng --cluster dev --dry-run --name z")[1].count("  name: z\n") == 1
    assert "there is no instance type" in said("create ng --cluster dev -t none")[2]
    assert "No cluster found" in said("create ng --cluster nope")[2]


def test_events_are_watched_until_the_time_is_over(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {
        "id": "1",
        "time": cloud_for_cli.CREATED,
        "resourceArn": "arn:aws:eks:eu-central-1:000000000000:cluster/gone",
        "severity": "NORMAL",
        "reason": "Deleted",
        "message": "cluster gone is gone",
    }
    cloud.events.append(event)
    assert "cluster gone is gone" in said("get events --cluster gone")[1]
    listed = cloud.ListEvents
    looks: list[int] = []
    monkeypatch.setattr("roadstead.cli.actions.events.time", cloud_for_cli.clock(lambda: len(looks) > 3))

    def later(asked: dict[str, object]) -> dict[str, object]:
        looks.append(1)
        if "startTime" in asked and len(cloud.events) == 1:
            cloud.events.append({**event, "id": "2", "message": "came later"})
        return listed(asked)

    cloud.ListEvents = later  # type: ignore[method-assign]
    code, out, _ = said("get events --cluster gone -w --timeout 60s")
    assert code == 0
    assert [line.rpartition("  ")[2].strip() for line in out.splitlines()] == [
        "MESSAGE",
        "cluster gone is gone",
        "came later",
    ]
    cloud.events.clear()
    assert said("get events --cluster nope")[0] == 1


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("words", ["create cluster dev", "utils write-kubeconfig --cluster dev"])
def test_a_kubeconfig_that_would_never_log_in_is_refused(cloud: cloud_for_cli.Cloud, said: Said, words: str) -> None:
    code, _, err = said(f"{words} --authenticator-role-arn arn:aws:iam::123456789012:role/r")
    assert code == 1
    assert "--authenticator-role-arn is not supported: roles cannot be assumed yet" in err
    assert cloud.calls == []


def test_a_program_of_anothers_choice(
    cloud: cloud_for_cli.Cloud, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "aws"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert said("create cluster dev --without-nodegroup --authenticator aws")[0] == 0
    written = (tmp_path / ".kube" / "config").read_text()
    assert f"command: {tool}" in written
    assert "@dev.eu-central-1.eksctl.io" in written
    assert cloud.clusters["dev"]["name"] == "dev"
    assert said("delete cluster dev")[0] == 0
    assert "eksctl.io" not in (tmp_path / ".kube" / "config").read_text()
