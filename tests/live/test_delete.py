"""Delete from any state: real clusters, half made, broken, or with their programs killed, are gone within 15 s, and
nothing of them is left. One Roadstead of its own; about 60 s on two cores.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.exceptions  # type: ignore[import-untyped]
import pytest
from testkit import waiting
from tests.live import conftest
from tests.live import service as services

from roadstead.machine.supervision import tree

pytestmark = pytest.mark.live

BOUND = 15.0
"""Seconds until what is deleted is gone, at most."""
_SETTLED = 10.0
"""Seconds that the kernel is given to take down what nobody uses any more."""
_KEPT_ANYWAY = ("machine", "promise", "idempotency-token")
"""Kinds of the store that are not of a cluster: what the machine has, and tokens, for a day."""


@dataclass
class Account:
    """A Roadstead with a VPC and roles, and what there was of it before any cluster."""

    service: services.Service
    subnets: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    before: dict[str, set[str]] = field(default_factory=dict)

    def create(self, name: str) -> None:
        network = {"subnetIds": self.subnets}
        self.service.aws("eks", "create_cluster", name=name, roleArn=self.roles[0], resourcesVpcConfig=network)

    def create_nodes(self, cluster: str, subnets: list[str], count: int = 2) -> None:
        size = {"minSize": 0, "maxSize": count, "desiredSize": count}
        about: dict[str, Any] = {"clusterName": cluster, "nodegroupName": "ng"}
        role = self.roles[1]
        self.service.aws("eks", "create_nodegroup", nodeRole=role, subnets=subnets, scalingConfig=size, **about)

    def active(self, name: str) -> None:
        def is_active() -> bool:
            return str(self.service.aws("eks", "describe_cluster", name=name)["cluster"]["status"]) == "ACTIVE"

        waiting.until(f"{name} is ACTIVE", is_active, 120)

    def delete(self, name: str) -> None:
        self.service.aws("eks", "delete_cluster", name=name)

    def gone(self, what: str, began: float, operation: str = "describe_cluster", **about: str) -> None:
        """Until it is not there; within the bound since `began`, with nothing left of it."""

        def is_gone() -> bool:
            try:
                self.service.aws("eks", operation, **about)
            except botocore.exceptions.ClientError as error:
                return bool(error.response["Error"]["Code"] == "ResourceNotFoundException")
            return False

        waiting.until(f"{what}: it is gone", is_gone, 2 * BOUND)
        took = time.monotonic() - began
        print(f"delete, {what}: {took:.1f} s")
        assert took <= BOUND, what

    def nothing_left(self) -> None:
        deadline = time.monotonic() + _SETTLED
        while (now := things(self.service)) != self.before and time.monotonic() < deadline:
            time.sleep(0.1)
        left = {kind: sorted(now[kind] ^ was) for kind, was in self.before.items() if now[kind] != was}
        assert not left, left

    def nodes(self) -> list[str]:
        """Hosts of nodes that the agent has."""
        return [host for host in self.service.agent.client.wanted().get("hosts", {}) if ".i-" in host]

    def unit_pid(self, unit: str) -> int:
        """Of the first unit of that name, or of a host's PID 1."""
        kind = "units" if "/" in unit else "hosts"
        seen = self.service.agent.client.observations().observations
        found = next(each for each in seen if each.kind == kind and each.id.endswith(unit))
        assert found.pid is not None
        return found.pid


def things(service: services.Service) -> dict[str, set[str]]:
    """All that a cluster could leave on the machine and in the store, by what it is."""
    places = service.agent.places
    agents = service.agent.client.wanted()
    machine = service.machine("ip", "-o", "link").stdout.splitlines()
    nft = service.machine("nft", "list", "ruleset").stdout
    return {
        "at the agent": {f"{kind}/{id}" for kind, ids in agents.items() if kind != "engines" for id in ids},
        "folders of hosts": _names(places.state / "hosts") | _names(places.run / "hosts") | _names(places.log),
        "namespaces": _names(places.run / "netns"),
        "links": {line.split(": ")[1] for line in machine},
        "rules": set(re.findall(r"c-[0-9a-f]{8}", nft)),
        "mounts": {
            target
            for line in Path(f"/proc/{service.agent.process.pid}/mountinfo").read_text().splitlines()
            if f"/{places.id}/hosts/" in (target := line.split()[4])
        },
        "cgroups": {
            f"{folder}/{name}"
            for folder, names, _ in os.walk("/sys/fs/cgroup")
            if folder.endswith(places.id)
            for name in names
            if "c-" in name
        },
        "loop devices": {line for line in _output("losetup", "-a").splitlines() if f"/{places.id}/" in line},
        "store": _kept(tree.serve_state(places)),
    }


def _names(folder: Path) -> set[str]:
    """Of the folder's things that are of clusters."""
    return {path.name for path in folder.iterdir() if path.name.startswith("c-")} if folder.is_dir() else set()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def _kept(state: Path) -> set[str]:
    """Keys of desired states, observations and secrets."""
    found: set[str] = set()
    for database in state.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
            for table in ("desired", "observed", "secrets"):
                found |= {f"{table} {key}" for (key,) in opened.execute(f"SELECT key FROM {table}")}
    assert found, f"no database in {state}"
    return {key for key in found if not key.split("/")[2].startswith(_KEPT_ANYWAY)}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with services.running_service(tmp_path_factory.mktemp("delete")) as running:
        made = Account(running)
        vpc = running.aws("ec2", "create_vpc", CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        for number, letter in enumerate("abc"):
            place = {"CidrBlock": f"10.20.{number}.0/24", "AvailabilityZone": f"{services.REGION}{letter}"}
            made.subnets.append(running.aws("ec2", "create_subnet", VpcId=vpc, **place)["Subnet"]["SubnetId"])
        for name in ("eks", "ec2"):
            allowed = {"Effect": "Allow", "Principal": {"Service": f"{name}.amazonaws.com"}, "Action": "sts:AssumeRole"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
            role = running.aws("iam", "create_role", RoleName=f"role-{name}", AssumeRolePolicyDocument=document)
            made.roles.append(role["Role"]["Arn"])
        # The VPC's resolver, by UDP and TCP in each of its subnets, is the last that is made of it.
        waiting.until("the VPC's network", lambda: len(running.agent.client.wanted().get("listeners", {})) == 6, 20)
        running.agent.client.wait_ready(20)
        # A region has its default VPC from the first look at it.
        running.aws("ec2", "describe_vpcs")
        made.before = things(running)
        yield made
        log = running.serve.log.read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 400 :][:6000]


@pytest.fixture(autouse=True)
def none_left(account: Account) -> Iterator[None]:
    """A test that failed leaves its cluster; the next one is not to meet it."""
    yield
    for name in account.service.aws("eks", "list_clusters")["clusters"]:
        with contextlib.suppress(botocore.exceptions.ClientError):
            account.delete(name)
    waiting.until("no cluster is left", lambda: not account.service.aws("eks", "list_clusters")["clusters"], 60)


@pytest.mark.parametrize("after", [0.0, 1.0, 3.0])
def test_while_it_is_made(account: Account, after: float) -> None:
    account.create("early")
    time.sleep(after)
    began = time.monotonic()
    account.delete("early")
    # A second time is as good.
    with contextlib.suppress(botocore.exceptions.ClientError):
        account.delete("early")
    account.gone(f"{after:g} s after it was asked for", began, name="early")
    account.nothing_left()


def test_made_again_under_its_name_at_once(account: Account) -> None:
    account.create("phoenix")
    time.sleep(1.5)
    began = time.monotonic()
    account.delete("phoenix")
    account.gone("to be made again", began, name="phoenix")
    account.create("phoenix")
    account.active("phoenix")
    began = time.monotonic()
    account.delete("phoenix")
    account.gone("when it was ACTIVE", began, name="phoenix")
    account.nothing_left()


def test_with_its_programs_killed_and_stopped(account: Account) -> None:
    """An API server is killed, another one stopped, and PID 1 of hosts of etcd and of the endpoint, too."""
    account.create("broken")
    account.active("broken")
    os.kill(account.unit_pid("api-a/kube-apiserver"), signal.SIGKILL)
    for stopped in ("api-b/kube-apiserver", ".etcd-a", ".edge", ".api-c"):
        os.kill(account.unit_pid(stopped), signal.SIGSTOP)
    began = time.monotonic()
    account.delete("broken")
    account.gone("with programs killed and stopped", began, name="broken")
    account.nothing_left()


@pytest.mark.parametrize("killed", ["serve", "agent"])
def test_with_ours_killed_in_the_middle(account: Account, killed: str) -> None:
    """Bounded from the time on that it runs again."""
    account.create("cut-off")
    time.sleep(3.0)
    account.delete("cut-off")
    time.sleep(0.25)
    if killed == "serve":
        account.service.serve.kill()
        account.service.serve.start()
    else:
        account.service.agent.kill()
        account.service.agent.restart()
    began = time.monotonic()
    account.gone(f"with {killed} killed in the middle", began, name="cut-off")
    account.nothing_left()


def test_by_the_command_with_all_that_it_made(account: Account) -> None:
    """A nodegroup whose nodes are joining is deleted first, and another one with the cluster."""
    made = _roadstead(account, "create", "cluster", "--name=whole", "--without-nodegroup")
    assert made.returncode == 0, made.stderr
    kubeconfig = account.service.folder / ".kube" / "config"
    assert "whole" in kubeconfig.read_text()
    subnets = account.service.aws("eks", "describe_cluster", name="whole")["cluster"]["resourcesVpcConfig"]["subnetIds"]
    account.create_nodes("whole", subnets)
    waiting.until("nodes are being made", lambda: bool(account.nodes()), 20)
    began = time.monotonic()
    about = {"clusterName": "whole", "nodegroupName": "ng"}
    account.service.aws("eks", "delete_nodegroup", **about)
    account.gone("a nodegroup whose nodes join", began, "describe_nodegroup", **about)
    assert account.nodes() == []
    account.create_nodes("whole", subnets)
    waiting.until("nodes are being made", lambda: bool(account.nodes()), 20)
    began = time.monotonic()
    deleted = _roadstead(account, "delete", "cluster", "--name=whole")
    assert deleted.returncode == 0, deleted.stderr
    account.gone("by the command, with a nodegroup, VPC, subnets, roles, kubeconfig", began, name="whole")
    assert "whole" not in kubeconfig.read_text()
    account.nothing_left()
    again = _roadstead(account, "delete", "cluster", "--name=whole")
    assert again.returncode == 1
    assert "No cluster found for name: whole" in again.stdout + again.stderr


def _roadstead(account: Account, *words: str, timeout: float = 90.0) -> subprocess.CompletedProcess[str]:
    program = ("env", f"PYTHONPATH={conftest.ROOT / 'src'}", sys.executable, "-m", "roadstead.machine.main")
    return account.service.machine(*program, *words, timeout=timeout)
