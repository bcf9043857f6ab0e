"""The commands of the README and of the first page, in their order, as a person types them: nothing is called but them.
The first one where nothing runs: it starts Roadstead, with engines, and goes on.

Cost: about 50 s on two cores with engines in the cache: starts, a cluster with two nodes, a third, and their end.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testkit import waiting
from tests.live import conftest, ownership

from roadstead.core import instance
from roadstead.machine.services import engines
from roadstead.machine.supervision import see, tree

pytestmark = [pytest.mark.live, pytest.mark.machine]

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
        done = self.run(*words, inside=inside)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def run(self, *words: str, inside: bool = True) -> subprocess.CompletedProcess[str]:
        """In the namespace that stands for the machine's; outside for what needs the world."""
        command = ["nsenter", f"--net={self.places.machine_netns}", "--"] if inside else []
        environment = {**conftest.person(self.home), "ROADSTEAD_INSTANCE": self.places.id}
        return subprocess.run(
            [*command, str(conftest.ROOT / "roadstead"), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            cwd="/",
        )

    def kubectl(self, *words: str) -> str:
        """With the kubeconfig that `create cluster` wrote, which asks `roadstead` for tokens."""
        return self.roadstead("kubectl", *words)

    def objects(self, *words: str) -> list[Any]:
        items: list[Any] = self.document("kubectl", "get", *words)["items"]
        return items


STARTING = "Roadstead does not run here yet: `roadstead start`"
NO_SUCH_SUBNETS = ("--vpc-private-subnets", "subnet-0123456789abcdef0,subnet-0123456789abcdef1")
"""A cluster in them is refused by serve: it was asked, and makes nothing."""
PORT = "4581"


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """On a machine that has the engines, and where nothing runs yet."""
    with conftest.machine_restored(), conftest.for_start() as places:
        who = Person(places, tmp_path_factory.mktemp("person") / "home")
        # What has to come from the world.
        who.roadstead("engine", "get", "--all-needed", inside=False)
        yield who


def start(person: Person) -> None:
    words = ("--machine-netns", str(person.places.machine_netns), "--port", PORT, "--yes")
    person.roadstead("start", *words, inside=False)


def test_the_first_create_cluster_starts_roadstead(person: Person) -> None:
    places, aws = person.places, person.home / ".aws"

    def runs() -> bool:
        return see.tree(tree.folder(places)).scanner is not None

    # The profile and the services are gone again.
    start(person)
    person.roadstead("stop")
    shutil.rmtree(aws)

    done = person.run("get", "clusters")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"Error: Roadstead does not run on this machine (nothing answers at http://127.0.0.1:{PORT}): `roadstead start`"
    )
    for nothing in (("--dry-run",), ("--nodse", "3"), ("--help",)):
        assert STARTING not in person.run("create", "cluster", "--name", "c", *nothing).stderr
    # What can be foreseen to be refused is not begun either.
    done = person.run("create", "cluster", "--name=_bad")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: validation for _bad failed")
    assert not runs()

    done = person.run("create", "cluster", "--name", "c", *NO_SUCH_SUBNETS)
    assert done.stderr.splitlines()[0] == STARTING
    assert "InvalidSubnetID.NotFound" in done.stderr
    assert done.returncode == 1
    assert runs()
    # Its answer is its own: what start says goes where messages go.
    assert "instance " not in done.stdout
    assert person.run("get", "clusters").stdout == "No clusters found\n"

    # Engines that the services have no longer are given to them again, and the rest stays as it is.
    assert engines.missing(None) == ()
    shutil.rmtree(tree.CACHE / "engines" / "pause")
    done = person.run("create", "cluster", "--name", "c", *NO_SUCH_SUBNETS)
    assert STARTING not in done.stderr
    assert "getting the engines of the cluster: pause" in done.stderr
    assert engines.missing(None) == ()
    owner = (tree.CACHE / "engines" / "pause").stat().st_uid
    assert owner == tree.CACHE.stat().st_uid != 0


def test_from_the_first_command_to_the_last(person: Person) -> None:
    # As the test before has left it; the same again changes nothing.
    start(person)
    told = person.roadstead("create", "cluster", "--name=cluster-1", "--nodes=2", "--region=eu-central-1")
    assert 'EKS cluster "cluster-1" in "eu-central-1" region is ready' in told
    print(next(line for line in told.splitlines() if "all of it took" in line))
    _the_cluster_is_the_callers(person)
    group = _nodegroup_grows(person)
    _what_happened_is_told(person, group)
    # With hosts of every kind, and all that has been written for them.
    assert (wrong := ownership.wrong(person.places)) == [], "\n".join(wrong)
    person.roadstead("delete", "nodegroup", *ABOUT, f"--name={group}", "--wait")
    waiting.until("no node is left", lambda: person.objects("nodes") == [], 15)
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
    waiting.until("all is well", lambda: "everything is as it is wanted" in person.roadstead("status"), 30)
    assert "kube-apiserver" in person.roadstead("logs", "cluster-1.api-a/kube-apiserver", "-n", "5000")
    node = person.objects("nodes")[0]["metadata"]["name"]
    assert person.roadstead("shell", node, "hostname").strip().endswith(node)
    assert "cluster-1" in (person.home / ".kube" / "config").read_text()


def _ready(node: Any) -> bool:
    return any((one["type"], one["status"]) == ("Ready", "True") for one in node["status"]["conditions"])
