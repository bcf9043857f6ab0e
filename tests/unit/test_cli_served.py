"""The commands from the command line to a server on loopback: signed requests, tables, JSON, errors, exit codes."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit import cloud_for_cli

from roadstead.cli.infrastructure import parts
from roadstead.machine import main
from roadstead.wire import exchange, sigv4

SECRET = "secret/with+signs"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    cloud: cloud_for_cli.Cloud

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        request = exchange.Request.make(self.command, self.path, self.headers.items(), body)
        assert self.headers["host"] == f"127.0.0.1:{self.connection.getsockname()[1]}"
        claim = sigv4.read(request)
        sigv4.verify(request, claim, sigv4.signing_key(SECRET, claim.scope), dt.datetime.now(dt.UTC))
        response = self.cloud.answer(claim.scope.service, request)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, cloud: cloud_for_cli.Cloud) -> None:
        super().__init__(("127.0.0.1", 0), type("Served", (Handler,), {"cloud": cloud}))
        self.failures: list[BaseException] = []

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """A command whose time is over closes its connection, perhaps in the middle of an answer."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError):
            self.failures.append(error)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[cloud_for_cli.Cloud]:
    made = cloud_for_cli.Cloud()
    server = Server(made)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    for name in [key for key in os.environ if key.startswith("AWS_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text(
        f"[profile roadstead]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:{server.server_address[1]}\n"
    )
    monkeypatch.setattr("roadstead.cli.live.follow._FIRST_PAUSE", 0.005)
    monkeypatch.setattr("roadstead.cli.live.follow._LONGEST_PAUSE", 0.01)
    monkeypatch.setattr("roadstead.cli.actions.events._PAUSE", 0.05)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    credentials = tmp_path / "credentials"
    credentials.write_text(f"[roadstead]\naws_access_key_id = AKIA\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert server.failures == []


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[int, str, str]]:
    def call(line: str) -> tuple[int, str, str]:
        code = main.run(line.split())
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


Said = Callable[[str], tuple[int, str, str]]


def test_a_cluster_is_made_shown_scaled_and_deleted(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    code, out, err = said("create cluster dev -N 3 --nodegroup-name ng --node-labels a=b --tags team=x")
    assert (code, err) == (0, "")
    assert 'EKS cluster "dev" in "eu-central-1" region is ready' in out
    assert len(cloud.subnets) == 6
    assert cloud.clusters["dev"]["tags"]["team"] == "x"
    assert cloud.nodegroups["dev", "ng"]["labels"]["a"] == "b"

    assert said("get cluster") == (0, "NAME\tREGION\t\tEKSCTL CREATED\ndev\teu-central-1\tTrue\n", "")
    code, out, _ = said("get cluster dev")
    header, row = (line.split("\t") for line in out.replace("\t\t", "\t").splitlines())
    assert [name for name in header if name] == [
        "NAME",
        "VERSION",
        "STATUS",
        "CREATED",
        "VPC",
        "SUBNETS",
        "SECURITYGROUPS",
        "PROVIDER",
    ]
    assert row[:4] == ["dev", "1.37", "ACTIVE", "2026-11-01T12:00:00Z"]
    assert row[-1] == "EKS"

    code, out, err = said("get ng --cluster dev -o json")
    (shown,) = json.loads(out)
    assert (shown["Name"], shown["DesiredCapacity"], shown["Type"]) == ("ng", 3, "managed")

    code, out, _ = said("scale ng --cluster dev ng -N 5 -M 6 --wait")
    assert code == 0
    assert "nodegroup successfully scaled" in out
    assert cloud.nodegroups["dev", "ng"]["scalingConfig"] == {"minSize": 3, "desiredSize": 5, "maxSize": 6}

    code, out, err = said("delete cluster --name dev")
    assert (code, err) == (0, "")
    assert (cloud.clusters, cloud.nodegroups, cloud.vpcs, cloud.subnets, cloud.roles) == ({}, {}, {}, {}, {})
    assert said("get cluster") == (0, "No clusters found\n", "")


def test_clusters_are_asked_for_in_chunks(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    for name in ("a", "b", "c"):
        cloud.clusters[name] = {"name": name, "status": "ACTIVE", "tags": {}}
    code, out, _ = said("get clusters --chunk-size 2 -o json")
    assert code == 0
    assert json.loads(out) == [{"Name": name, "Region": "eu-central-1", "Owned": "False"} for name in ("a", "b", "c")]
    assert cloud.calls.count("ListClusters") == 2


@pytest.mark.usefixtures("cloud")
def test_a_cluster_as_json_and_yaml_has_the_names_of_gos_sdk(said: Said) -> None:
    said("create cluster dev --without-nodegroup --tags myTag=x")
    (shown,) = json.loads(said("get cluster dev -o json")[1])
    assert shown["ResourcesVpcConfig"]["VpcId"] == "vpc-0"
    assert shown["CreatedAt"] == "2026-11-01T12:00:00Z"
    assert shown["Tags"]["myTag"] == "x"
    assert '  Version: "1.37"\n' in said("get cluster dev -o yaml")[1]


def test_events(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    assert said("get events") == (0, "No events found\n", "")
    said("create cluster dev --without-nodegroup")
    event = {
        "id": "1",
        "time": cloud_for_cli.CREATED,
        "resourceArn": "arn:aws:eks:eu-central-1:000000000000:cluster/dev",
        "severity": "WARNING",
        "reason": "EtcdSlow",
        "message": "etcd-a answers slowly",
    }
    cloud.events += [event, {**event, "resourceArn": "arn:aws:eks:eu-central-1:000000000000:cluster/other"}]
    _, out, _ = said("get events --cluster dev")
    assert out.splitlines()[1:] == ["2026-11-01T12:00:00Z\tWARNING\t\tcluster/dev\tEtcdSlow\tetcd-a answers slowly"]
    assert [each["Id"] for each in json.loads(said("get events -o json")[1])] == ["1", "1"]


def test_insights(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    insight = {
        "id": "1",
        "name": "Cluster health",
        "kubernetesVersion": "1.38",
        "lastRefreshTime": cloud_for_cli.CREATED,
        "insightStatus": {"status": "ERROR", "reason": "api-a is failing"},
    }
    never = {**insight, "id": "2", "name": "Kubelet version skew", "insightStatus": {"status": "UNKNOWN", "reason": ""}}
    del never["lastRefreshTime"]
    cloud.insights += [insight, never]
    _, out, _ = said("get insights --cluster dev --status ERROR")
    row = "Cluster health\tERROR\tVERSION\t2026-11-01T12:00:00Z\tapi-a is failing"
    assert out.splitlines()[1] == row.replace("VERSION", "1.38")
    _, out, _ = said("get insights dev -o json")
    assert [(each["Id"], each["Recommendation"]) for each in json.loads(out)] == [("1", "r"), ("2", "r")]
    assert "StartInsightsRefresh" not in cloud.calls
    cloud.refreshes = ["IN_PROGRESS", "COMPLETED"]
    assert said("get insights dev --refresh --status PASSING") == (0, "No insights found\n", "")
    cloud.refreshes = ["FAILED"]
    assert said("get insights dev --refresh")[::2] == (
        1,
        'Error: the insights of cluster "dev" are not refreshed: it is FAILED\n',
    )
    assert said("get insights")[::2] == (1, "Error: --cluster must be set\n")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (
            "get cluster nope",
            'Error: unable to describe control plane "nope": ResourceNotFoundException: '
            "No cluster found for name: nope.\n",
        ),
        (
            "get nodegroup --cluster nope",
            "Error: unable to describe cluster control plane: ResourceNotFoundException: "
            "No cluster found for name: nope.\n",
        ),
        (
            "delete cluster --name nope",
            'Error: unable to describe control plane "nope": ResourceNotFoundException: '
            "No cluster found for name: nope.\n",
        ),
        (
            "scale ng --cluster nope --name x -N 1",
            'Error: failed to scale nodegroup "x" for cluster "nope", error: ResourceNotFoundException: '
            "No node group found for name: x.\n",
        ),
    ],
)
@pytest.mark.usefixtures("cloud")
def test_what_is_not_there_is_one_line_and_code_1(said: Said, line: str, error: str) -> None:
    code, _, err = said(line)
    assert (code, err) == (1, error)


def test_no_nodegroups_are_an_error_in_a_table_only(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.clusters["dev"] = {"name": "dev", "status": "ACTIVE"}
    assert said("get ng --cluster dev") == (1, "", "Error: No nodegroups found\n")
    assert said("get ng --cluster dev -o json") == (0, "[]\n", "")
    assert said("get ng --cluster dev -o yaml") == (0, "[]\n", "")


def test_a_cut_off_create_goes_on_where_it_was(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    cloud.fail_at = "CreateCluster"
    code, _, err = said("create cluster dev --nodegroup-name ng")
    assert (code, err) == (1, 'Error: failed to create cluster "dev": ServerException: out of order\n')
    cloud.fail_at = None
    assert said("create cluster dev --nodegroup-name ng")[0] == 0
    assert (len(cloud.vpcs), len(cloud.subnets), len(cloud.roles)) == (1, 6, 2)
    assert cloud.calls.count("CreateRole") == 2


def test_a_cut_off_delete_goes_on_where_it_was(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    said("create cluster dev --nodegroup-name ng")
    for operation in ("DeleteCluster", "DeleteVpc"):
        cloud.fail_at = operation
        assert said("delete cluster --name dev")[0] == 1
    cloud.fail_at = None
    code, out, err = said("delete cluster --name dev")
    assert (code, err) == (0, "")
    assert "going on with what was made for it" in out
    assert (cloud.clusters, cloud.vpcs, cloud.subnets, cloud.roles) == ({}, {}, {}, {})
    assert said("delete cluster --name dev")[0] == 1


@pytest.mark.usefixtures("cloud")
def test_a_flag_without_effect_says_so(said: Said) -> None:
    code, out, err = said("create cluster dev --dry-run --vpc-nat-mode Disable")
    assert code == 0
    assert "gateway: Disable" in out
    assert err == "Warning: --vpc-nat-mode has no effect: the VPC's router translates addresses itself, in every zone\n"
    assert said("create cluster dev --dry-run --vpc-nat-mode Disable -v 0")[2] == ""


def test_a_file_is_a_plan_until_it_is_approved(cloud: cloud_for_cli.Cloud, said: Said, tmp_path: Path) -> None:
    said("create cluster dev --nodegroup-name ng-a")
    file = tmp_path / "c.yaml"
    file.write_text(said("create cluster dev --nodegroup-name ng-a --dry-run")[1])
    code, out, _ = said(f"delete ng -f {file} --include ng-*")
    assert code == 0
    assert "(plan) would delete 1 nodegroup(s)" in out
    assert "DeleteNodegroup" not in cloud.calls
    assert said(f"delete ng -f {file} --exclude ng-* --approve")[0] == 0
    assert "DeleteNodegroup" not in cloud.calls
    assert said(f"delete ng -f {file} --approve --wait")[0] == 0
    assert cloud.nodegroups == {}


def test_nodes_are_drained_unless_it_is_said_otherwise(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    said("create cluster dev --nodegroup-name ng")
    assert said("create ng --cluster dev --name other")[0] == 0
    for name, line in (("ng", "--drain=false"), ("other", "")):
        group = cloud.nodegroups["dev", name]
        assert said(f"delete ng --cluster dev {name} {line}")[::2] == (0, "")
        assert (group["status"], parts.DRAIN in group["tags"]) == ("DELETING", bool(line))
    cloud.nodegroups.clear()
    said("create ng --cluster dev --name last")
    asked = len(cloud.calls)
    assert said("delete cluster dev")[0] == 0
    assert "TagResource" not in cloud.calls[asked:]


def test_subnets_that_are_there_are_used(cloud: cloud_for_cli.Cloud, said: Said) -> None:
    for name, zone in (("subnet-x", "eu-central-1a"), ("subnet-y", "eu-central-1b"), ("subnet-z", "eu-central-1b")):
        cloud.subnets[name] = {"SubnetId": name, "AvailabilityZone": zone, "Tags": []}
    line = "create cluster dev --vpc-public-subnets subnet-x,subnet-y --vpc-private-subnets subnet-z -P"
    assert said(f"{line} --nodegroup-name ng")[0] == 0
    assert cloud.vpcs == {}
    assert cloud.clusters["dev"]["resourcesVpcConfig"]["subnetIds"] == ["subnet-x", "subnet-y", "subnet-z"]
    assert cloud.nodegroups["dev", "ng"]["subnets"] == ["subnet-z"]


def test_nobody_there_is_one_line(said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    code, out, err = said("get cluster")
    assert (code, out) == (1, "")
    assert err.startswith("Error: cannot reach Roadstead at http://127.0.0.1:1: ")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("cloud")
def test_interrupted_while_waiting_is_130(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roadstead.cli.service.ApiConnection.call", _interrupted)
    assert said("get cluster") == (130, "", "\nInterrupted.\n")


def _interrupted(*_: object, **__: object) -> dict[str, Any]:
    raise KeyboardInterrupt
