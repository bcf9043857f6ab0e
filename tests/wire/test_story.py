"""A customer's story against a running serve with an agent: boto3, unmodified awscli, and our own command."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit import api_served
from tests.wire import serve_with_provider, story

from roadstead.clusters import observed, spec
from roadstead.store import keys

AWSCLI = "awscli==1.46.3"
"""Brings a botocore of its own."""


def never() -> None:
    raise AssertionError("a connection broke, though serve was not killed")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[api_served.Served]:
    folder = tmp_path_factory.mktemp("story")
    provider = ("--provider", str(folder / "provider.json"))
    with api_served.served(
        folder / "state", folder / "home", *provider, module="tests.wire.serve_with_provider"
    ) as running:
        yield running
    assert running.process.returncode == 0
    assert [line for line in running.lines if line["level"] not in ("INFO", "WARNING")] == []


def parts(serve: api_served.Served) -> dict[str, list[str]]:
    """The parts that the agent has, by `CLUSTER` or `CLUSTER/NODEGROUP`."""
    hosts = serve_with_provider.read(serve.home.parent / "provider.json")
    there = {
        "/".join(keys.Key.parse(owner).names): sorted(
            name for name, host in mine.items() if host.part.phase is not observed.Phase.ABSENT
        )
        for owner, mine in hosts.items()
    }
    return {owner: names for owner, names in there.items() if names}


def environment(serve: api_served.Served, **more: str) -> dict[str, str]:
    """A person's whose home has the profile that serve wrote."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ROADSTEAD_", "SUDO_"))}
    return {**kept, "HOME": str(serve.home), "AWS_PROFILE": "roadstead", **more}


def test_a_customer_with_boto3(serve: api_served.Served) -> None:
    customer = story.Customer(story.clients(serve.profile), never)
    story.cluster(customer, "one")
    story.cluster(customer, "two")
    assert story.found(customer) == customer.ledger
    assert len(customer.ledger.nodegroups) == 2
    shown = customer.client("eks").describe_cluster(name="one")["cluster"]
    assert (shown["status"], shown["version"]) == ("ACTIVE", "1.37")
    assert shown["endpoint"].startswith("https://")
    nodes = customer.pages("ec2", "describe_instances", "Reservations", 5)
    assert len(nodes) == 6
    assert parts(serve)["one"] == sorted(spec.MEMBERS)
    assert len(parts(serve)["two/workers"]) == 3
    story.delete(customer, "one")
    assert story.found(customer) == customer.ledger
    story.delete(customer, "two")
    assert story.found(customer) == story.Ledger()
    assert parts(serve) == {}
    lived = ["Ready", "Ready", "Deleted"]
    assert story.events(customer) == {
        "cluster/one": lived,
        "nodegroup/one/workers": lived,
        "cluster/two": lived,
        "nodegroup/two/workers": lived,
    }


@functools.cache
def awscli() -> tuple[str, ...]:
    """How to call an unmodified awscli: of this environment, of uv, or of the machine; or skip."""
    if importlib.util.find_spec("awscli") is not None:
        return (sys.executable, "-m", "awscli")
    if (uv := shutil.which("uv")) is not None:
        return (uv, "tool", "run", "--from", AWSCLI, "aws")
    if (aws := shutil.which("aws")) is not None:
        return (aws,)
    pytest.skip("no awscli: neither in this environment, nor by uv, nor on the PATH")


def test_a_customer_with_awscli(serve: api_served.Served) -> None:
    def aws(line: str, **asked: str) -> dict[str, object]:
        options = [word for name, value in asked.items() for word in (f"--{name.replace('_', '-')}", value)]
        command = [*awscli(), *line.split(), *options, "--output", "json"]
        done = subprocess.run(
            command, env=environment(serve), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(done.stdout or "{}")
        return found

    customer = story.Customer(story.clients(serve.profile), never)
    _, subnets = story.network(customer, "terminal")
    trust = story.trust("eks.amazonaws.com")
    assert "Role" in aws("iam create-role --role-name terminal", assume_role_policy_document=trust)
    role = f"arn:aws:iam::{aws('sts get-caller-identity')['Account']}:role/terminal"
    network = f"subnetIds={','.join(subnets)}"
    aws("eks create-cluster --name terminal", role_arn=role, resources_vpc_config=network)
    customer.wait("eks", "cluster_active", name="terminal")
    aws("eks wait cluster-active --name terminal")
    assert aws("eks list-clusters --page-size 1") == {"clusters": ["terminal"]}
    assert str(aws("eks describe-cluster --name terminal", query="cluster.{status:status}")) == "{'status': 'ACTIVE'}"
    aws("eks delete-cluster --name terminal")
    aws("eks wait cluster-deleted --name terminal")
    assert aws("eks list-clusters") == {"clusters": []}


def test_a_customer_with_our_own_command(serve: api_served.Served) -> None:
    def roadstead(line: str, code: int = 0) -> str:
        command = [sys.executable, "-W", "error", "-m", "roadstead.machine.main", *line.split()]
        path = str(api_served.ROOT / "src")
        done = subprocess.run(
            command, env=environment(serve, PYTHONPATH=path), capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    customer = story.Customer(story.clients(serve.profile), never)
    before = story.found(customer)
    said = roadstead("create cluster quick --nodegroup-name workers -N 3")
    assert 'EKS cluster "quick"' in said
    (shown,) = json.loads(roadstead("get cluster quick -o json"))
    assert shown["Status"] == "ACTIVE"
    (group,) = json.loads(roadstead("get nodegroup --cluster quick -o json"))
    assert (group["Name"], group["DesiredCapacity"]) == ("workers", 3)
    assert len(parts(serve)["quick/workers"]) == 3
    roadstead("create cluster quick --without-nodegroup", code=1)
    roadstead("delete cluster --name quick --wait")
    assert story.found(customer) == before
    assert "quick" not in parts(serve)


def test_without_an_agent_it_is_said(tmp_path: Path) -> None:
    with api_served.served(tmp_path / "state", tmp_path / "home", module="roadstead.serve.main") as alone:
        assert alone.line("there is no agent: clusters and nodegroups are kept, but nobody makes them")
