"""A node pulls from a real registry in the world behind the machine: by a mirror, with a private authority.

Debian's package docker-registry, and the node that others share.
"""

from __future__ import annotations

import json

import pytest
from tests.live import node_lab, registry_lab

pytestmark = pytest.mark.live


def test_a_pod_of_an_image_from_a_mirror_with_a_private_authority_runs(shared_node: node_lab.Lab) -> None:
    lab = shared_node
    container = {"name": "main", "image": f"{registry_lab.MIRRORED}/pause:1"}
    spec = {"nodeName": lab.node.name, "hostNetwork": True, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pulled"}, "spec": spec}
    text = json.dumps(pod)
    lab.until("pod accepted", lambda: lab.kubectl("apply", "-f", "-", text=text).returncode == 0, 20)
    took = lab.until("pulled and running", lambda: lab.pod_running("pulled") is not None, 60)
    print(f"\npulled and running after {took:.1f} s")
    lab.asked("delete", "pod", "pulled", "--wait=true", "--timeout=30s")
