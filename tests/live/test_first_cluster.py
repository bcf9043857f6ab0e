"""The commands of the README and of the first page, in their order, as a person types them: nothing is called but them.

Cost: about 45 s on two cores with engines in the cache: a start, a cluster with two nodes, a third, and their end.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.live import conftest, ownership
from tests.live import service as services

from roadstead.core import instance

pytestmark = pytest.mark.live

ABOUT = ("--cluster=cluster-1", "--region=eu-central-1")


@dataclass
class Person:
    """At a shell on the machine, with a home and no setting but which Roadstead is meant."""

    places: instance.Instance
    home: Path

    def roadstead(self, *words: str, inside: bool = True, code: int = 0) -> str:
        """What `./roadstead` prints, with what it tells; fails when it ends with another exit code."""
        done = self._done(words, inside, code)
        return done.stdout + done.stderr

    def document(self, *words: str) -> Any:
        """What it prints with `-o json`."""
        return json.loads(self._done((*words, "-o", "json"), inside=True, code=0).stdout)

    def _done(self, words: tuple[str, ...], inside: bool, code: int) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", f"--net={self.places.machine_netns}", "--"] if inside else []
        environment = {**conftest.person(self.home), "ROADSTEAD_INSTANCE": self.places.id}
        done = subprocess.run(
            [*command, str(conftest.ROOT / "roadstead"), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            cwd="/",
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def kubectl(self, *words: str) -> str:
        """With the kubeconfig that `create cluster` wrote, which asks `roadstead` for tokens."""
        return self.roadstead("kubectl", *words)

    def objects(self, *words: str) -> list[Any]:
        items: list[Any] = self.document("kubectl", "get", *words)["items"]
        return items


@pytest.fixture
def person(started_instance: instance.Instance, tmp_path: Path) -> Person:
    """Roadstead runs, and waits at the port of this test's machine."""
    who = Person(started_instance, tmp_path / "home")
    who.roadstead("engine", "get", "--all-needed", inside=False)
    netns = ("--machine-netns", str(started_instance.machine_netns))
    who.roadstead("start", *netns, "--port", "4582", "--yes", inside=False)
    return who


def test_from_the_first_command_to_the_last(person: Person) -> None:
    told = person.roadstead("create", "cluster", "--name=cluster-1", "--nodes=2", "--region=eu-central-1")
    assert 'EKS cluster "cluster-1" in "eu-central-1" region is ready' in told
    print(next(line for line in told.splitlines() if "all of it took" in line))
    _the_cluster_is_the_callers(person)
    group = _nodegroup_grows(person)
    _what_happened_is_told(person, group)
    # With hosts of every kind, and all that has been written for them.
    assert (wrong := ownership.wrong(person.places)) == [], "\n".join(wrong)
    person.roadstead("delete", "nodegroup", *ABOUT, f"--name={group}", "--wait")
    services.until("no node is left", lambda: person.objects("nodes") == [], 15)
    assert "all cluster resources were deleted" in person.roadstead("delete", "cluster", "--name=cluster-1")
    kubeconfig = person.home / ".kube" / "config"
    assert "cluster-1" not in kubeconfig.read_text()
    assert "No cluster found for name: cluster-1" in person.roadstead("delete", "cluster", "--name=cluster-1", code=1)
    assert not list((person.places.state / "hosts").iterdir())


def _the_cluster_is_the_callers(person: Person) -> None:
    nodes = person.objects("nodes")
    assert [_ready(node) for node in nodes] == [True, True]
    assert len({node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}) == 2
    who = person.document("kubectl", "auth", "whoami")["status"]["userInfo"]
    assert "system:masters" not in who["groups"]
    assert person.kubectl("auth", "can-i", "*", "*", "--all-namespaces").strip().endswith("yes")
    person.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s")
    mode = (person.home / ".kube" / "config").stat().st_mode & 0o777
    assert mode == 0o600


def _nodegroup_grows(person: Person) -> str:
    (group,) = person.document("get", "nodegroup", *ABOUT)
    name = str(group["Name"])
    person.roadstead("scale", "nodegroup", *ABOUT, f"--name={name}", "--nodes=3", "--nodes-max=3", "--wait")
    assert [_ready(node) for node in person.objects("nodes")] == [True] * 3
    return name


def _what_happened_is_told(person: Person, group: str) -> None:
    told = person.roadstead("get", "events", *ABOUT)
    assert group in told
    assert f"nodegroup cluster-1/{group} is active: all parts are ready" in told
    assert "cluster-1" in json.dumps(person.document("get", "cluster"))
    services.until("all is well", lambda: "everything is as it is wanted" in person.roadstead("status"), 30)
    assert "kube-apiserver" in person.roadstead("logs", "cluster-1.api-a/kube-apiserver", "-n", "5000")
    node = person.objects("nodes")[0]["metadata"]["name"]
    assert person.roadstead("shell", node, "hostname").strip().endswith(node)
    assert "cluster-1" in (person.home / ".kube" / "config").read_text()


def _ready(node: Any) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in node["status"]["conditions"])
