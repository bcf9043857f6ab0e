"""Every version of Kubernetes that is offered makes a cluster: 3+3 active, a node Ready, DNS, a volume.

Only in `make soak`: an engine takes minutes to build. Cost: about 30 s for each version once engines are built.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from testkit import waiting
from tests.live import service as services
from tests.live import shared, world

from roadstead.clusters import versions
from roadstead.engine import images

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif("ROADSTEAD_ALL_VERSIONS" not in os.environ, reason="only in `make soak`"),
]

WRITE = "echo kept > /v/file && exec sleep 3600"


@pytest.mark.parametrize("version", versions.OFFERED, ids=lambda version: version.minor)
def test_a_cluster_of_each_version_works(version: versions.Version, tmp_path: Path) -> None:
    archive = tmp_path / "visitor.tar"
    images.write(shared.image(shared.built(tmp_path)), archive)
    with services.running_service(tmp_path, (version.minor,)) as service, world.names(service.netns, world.NAMES):
        cluster = shared.Cluster(service, tmp_path, archive)
        # Active, the node Ready, and all deployments available: cluster DNS and the volumes' provisioner.
        shared.make(cluster, 1, version.minor)
        assert cluster.described["version"] == version.minor
        told = json.loads(cluster.kubectl("version", "-o", "json"))
        assert told["serverVersion"]["gitVersion"] == f"v{version.patch}"
        assert [one["status"]["nodeInfo"]["kubeletVersion"] for one in cluster.nodes().values()] == [
            f"v{version.patch}"
        ]
        cluster.load_image()
        cluster.apply(claim(), pod())

        def runs() -> bool:
            return bool(cluster.get("pod", "writer")["status"].get("phase") == "Running")

        waiting.until("the pod with the volume runs", runs, 60)
        assert cluster.kubectl("exec", "writer", "--", "cat", "/v/file") == "kept\n"
        # Names of the cluster, by cluster DNS from a pod.
        found = cluster.kubectl("exec", "writer", "--", "visitor", "resolve", "kubernetes.default.svc.cluster.local")
        assert "10.100.0.1" in found
        log = service.serve.log.read_text() + service.agent.log.read_text()
        assert "Traceback" not in log, log[-6000:]


def claim() -> dict[str, object]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": asked}


def pod() -> dict[str, object]:
    container = {
        "name": "main",
        "image": shared.IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", WRITE],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    spec = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer"}, "spec": spec}
