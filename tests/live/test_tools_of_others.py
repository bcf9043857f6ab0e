"""What kubectl and eksctl do by themselves at a cluster of one node: a drain of all there is ends, aws-auth warns.

eksctl is asked where it is found, by the profile's endpoint and keys. Cost: about 90 s, one cluster.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest
from testkit import waiting
from tests.live import service as services
from tests.live import shared, world

from roadstead.controllers.system import budget, mappings
from roadstead.engine import images

pytestmark = pytest.mark.live

EKSCTL = shutil.which("eksctl")
needs_eksctl = pytest.mark.skipif(EKSCTL is None, reason="there is no eksctl")
DRAINING = 240.0
"""Seconds: a pod of cluster DNS ends in 35."""
MAPPED = "- rolearn: arn:aws:iam::111122223333:role/ops\n  username: ops\n  groups: [system:masters]\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[shared.Cluster]:
    folder = tmp_path_factory.mktemp("others")
    archive = folder / "visitor.tar"
    images.write(shared.image(shared.built(folder)), archive)
    with services.running_service(folder) as service, world.names(service.netns, world.NAMES):
        made = shared.Cluster(service, folder, archive)
        shared.make(made, 1, own_vpc=False)
        yield made
        log = service.serve.log.read_text() + service.agent.log.read_text()
        assert "Traceback" not in log, log[-6000:]


def most(cluster: shared.Cluster) -> object:
    """What the budget of cluster DNS lets go at once."""
    return cluster.get("poddisruptionbudgets", "coredns", "kube-system")["spec"]["maxUnavailable"]


def well_again(cluster: shared.Cluster) -> None:
    (name,) = cluster.nodes()
    cluster.kubectl("uncordon", name)
    cluster.until_well(120)
    waiting.until("the budget is closed", lambda: most(cluster) == 1, 10)


def eksctl(cluster: shared.Cluster, *words: str, code: int = 0) -> str:
    """All that it says; fails when it ends in another way."""
    assert EKSCTL is not None
    done = cluster.service.machine(EKSCTL, *words, timeout=DRAINING)
    said = done.stdout + done.stderr
    assert "panic" not in said, said
    assert done.returncode == code, f"eksctl {' '.join(words)}: {said}"
    return said


def test_kubectl_drains_the_only_node(cluster: shared.Cluster) -> None:
    assert most(cluster) == 1
    (name,) = cluster.nodes()
    cluster.kubectl("drain", name, "--ignore-daemonsets", f"--timeout={DRAINING:g}s", timeout=DRAINING + 10)
    assert most(cluster) == budget.EVERYTHING
    running = cluster.items("pods", "", fieldSelector=f"spec.nodeName={name}")
    assert running == []
    well_again(cluster)


def test_who_maps_a_role_is_told_that_it_lets_nobody_in(cluster: shared.Cluster) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mapRoles": MAPPED}}
    text = json.dumps({**made, "metadata": {"name": "aws-auth", "namespace": "kube-system"}})
    done = cluster.try_kubectl("apply", "-f", "-", text=text)
    assert (done.returncode, "configmap/aws-auth created" in done.stdout) == (0, True), done
    assert mappings.SAID in done.stderr
    # Another name, or another namespace, is nobody's business.
    other = text.replace('"aws-auth"', '"other"')
    assert cluster.try_kubectl("apply", "-f", "-", text=other).stderr == ""
    assert cluster.try_kubectl("apply", "-f", "-", text=text.replace("kube-system", "default")).stderr == ""
    cluster.kubectl("delete", "configmap", "aws-auth", "-n", "kube-system")


@needs_eksctl
def test_eksctl_reads_what_there_is(cluster: shared.Cluster) -> None:
    name, of = shared.NAME, ("--cluster", shared.NAME)
    assert name in eksctl(cluster, "get", "cluster")
    assert "ACTIVE" in eksctl(cluster, "get", "cluster", "--name", name)
    assert shared.GROUP in eksctl(cluster, "get", "nodegroup", *of)
    assert "No addons found" in eksctl(cluster, "get", "addon", *of)
    assert "1.34" in eksctl(cluster, "utils", "describe-cluster-versions")
    assert "No iamidentitymappings found" in eksctl(cluster, "get", "iamidentitymapping", *of)
    # The cluster has the authentication mode that CreateCluster gives by itself.
    assert "access entries API is not currently enabled" in eksctl(cluster, "get", "accessentry", *of, code=1)
    written = cluster.service.folder / "by-eksctl"
    eksctl(cluster, "utils", "write-kubeconfig", *of, f"--kubeconfig={written}")
    assert cluster.described["endpoint"] in written.read_text()
    assert "apiVersion: eksctl.io/v1alpha5" in eksctl(cluster, "create", "cluster", "--name=two", "--dry-run")


@needs_eksctl
def test_eksctl_is_told_what_is_not_built(cluster: shared.Cluster) -> None:
    assert "There are no stacks here yet" in eksctl(cluster, "create", "cluster", "--name=two", code=1)
    role = cluster.service.aws("iam", "get_role", RoleName="node")["Role"]["Arn"]
    mapping = ("--arn", role, "--username=ops", "--group=devs")
    said = eksctl(cluster, "create", "iamidentitymapping", "--cluster", shared.NAME, *mapping)
    assert "does not read the ConfigMap aws-auth" in said


@needs_eksctl
def test_eksctl_drains_the_only_nodegroup_and_deletes_the_cluster(cluster: shared.Cluster) -> None:
    eksctl(cluster, "drain", "nodegroup", "--cluster", shared.NAME, "--name", shared.GROUP)
    assert most(cluster) == budget.EVERYTHING
    well_again(cluster)
    eksctl(cluster, "delete", "cluster", "--name", shared.NAME, "--wait")
    assert cluster.service.aws("eks", "list_clusters")["clusters"] == []
