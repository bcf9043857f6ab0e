"""A node pulls from a real registry in the world behind the machine: by a mirror, with a private authority.

Cost: about 12 s, Debian's package docker-registry; one etcd, API server and controller-manager, one node.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.live import conftest, network_lab, node_lab, registry_lab

from roadstead.clusters.components import registries

pytestmark = pytest.mark.live


def test_a_pod_of_an_image_from_a_mirror_with_a_private_authority_runs(
    agent: conftest.RunningAgent, tmp_path: Path
) -> None:
    authority = node_lab.Authority("private")
    # The registry itself has no name anywhere: only its mirror can have given the image.
    of = registries.Registries(
        mirrors={"registry.test:5000": (f"https://{registry_lab.NAME}:{registry_lab.PORT}",)},
        authorities=authority.pem.decode(),
    )
    image = registry_lab.image()
    with (
        registry_lab.world(agent) as netns,
        registry_lab.registry(netns, authority, tmp_path) as curl,
    ):
        registry_lab.push(curl, image, tmp_path)
        with node_lab.running(agent, tmp_path, of=of, names={network_lab.WORLD: (registry_lab.NAME,)}) as lab:
            lab.import_image(image, "pause")
            container = {"name": "main", "image": "registry.test:5000/pause:1"}
            spec = {"nodeName": lab.node.name, "hostNetwork": True, "containers": [container]}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pulled"}, "spec": spec}
            text = json.dumps(pod)
            lab.until("pod accepted", lambda: lab.kubectl("apply", "-f", "-", text=text).returncode == 0, 20)
            took = lab.until("pulled and running", lambda: lab.pod_running("pulled") is not None, 60)
            print(f"\npulled and running after {took:.1f} s")
