"""Settings that change while clusters run: the address of endpoints, and where nodes get images from.

Cost: about 20 s on the shared cluster, Debian's docker-registry in the world behind the machine.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from testkit import authorities, waiting
from tests.live import network_lab, registry_lab, shared
from tests.live import service as services

from roadstead.clusters.components import registries
from roadstead.contract.messages import desired

pytestmark = pytest.mark.live

IMAGE = f"{registry_lab.NAME}:{registry_lab.PORT}/pause:1"


@dataclass
class Harbour:
    """A cluster, and a registry that its nodes do not trust yet."""

    cluster: shared.Cluster
    authority: authorities.Authority
    folder: Path

    @property
    def service(self) -> services.Service:
        return self.cluster.service

    def restart_serve(self, *more: str) -> None:
        """serve again, with another command line, as `roadstead start` restarts it."""
        self.service.serve.end()
        self.service.serve = replace(self.service.serve, words=(*self.service.serve.words, *more), process=None)
        self.service.serve.start()

    def units(self, component: str) -> dict[str, int | None]:
        """Process ids of all units of that name, by host."""
        ends = f"/{component}"
        return {id: one.pid for (kind, id), one in self.cluster.seen().items() if kind == "units" and id.endswith(ends)}

    def containers(self) -> dict[str, int]:
        """Restarts of every container that runs, by its id, but for those of pods that are ending anyway."""
        pods = [pod for pod in self.cluster.items("pods", "") if "deletionTimestamp" not in pod["metadata"]]
        statuses = [one for pod in pods for one in pod["status"]["containerStatuses"]]
        return {one["containerID"]: one["restartCount"] for one in statuses if "running" in one["state"]}


@pytest.fixture(scope="module")
def harbour(shared_cluster: shared.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    """The shared cluster, which keeps the settings that it is given here: these tests are its last."""
    assert shared.NAMES == {registry_lab.NAME: network_lab.WORLD}
    folder, authority = tmp_path_factory.mktemp("settings"), authorities.Authority("private")
    machine = shared_cluster.service.netns
    with registry_lab.registry(machine.with_name(f"{machine.name}-world"), authority, folder) as curl:
        registry_lab.push(curl, registry_lab.image(), folder)
        yield Harbour(shared_cluster, authority, folder)
        shared_cluster.log_in()


def pod(name: str, image: str) -> dict[str, Any]:
    container = {"name": "main", "image": image, "imagePullPolicy": "Always"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def test_nodes_that_run_get_the_settings_of_registries(harbour: Harbour) -> None:
    cluster = harbour.cluster
    cluster.apply(pod("early", IMAGE))

    def refused() -> bool:
        (status,) = cluster.get("pod", "early")["status"].get("containerStatuses", [{}])
        return "x509" in json.dumps(status)

    took = waiting.until("the private authority is not trusted", refused, 30)
    print(f"\nrefused after {took:.1f} s")
    before, containers = harbour.units("containerd"), harbour.containers()
    kubelets, servers = harbour.units("kubelet"), harbour.units("kube-apiserver")
    assert containers
    mirror = f"https://{registry_lab.NAME}:{registry_lab.PORT}"
    of = registries.Registries(authorities=harbour.authority.pem.decode(), mirrors={"mirrored.test:5000": (mirror,)})
    path = harbour.folder / "registries.json"
    path.write_bytes(registries.written(of))
    harbour.restart_serve("--registries", str(path))

    def changed() -> bool:
        return harbour.units("containerd") != before and not cluster.unwell()

    print(f"containerd with the authority after {waiting.until('containerd is another', changed, 30):.1f} s")
    # By the registry's own name, which the VPC's resolver knows, and by one that is nowhere but has a mirror.
    cluster.apply(pod("named", IMAGE), pod("mirrored", "mirrored.test:5000/pause:1"))

    def run() -> bool:
        pods = [cluster.get("pod", name) for name in ("named", "mirrored")]
        return all(one["status"].get("phase") == "Running" for one in pods)

    print(f"pulled and running after {waiting.until('the images are pulled', run, 30):.1f} s")
    # Containers go on while containerd is restarted, and nothing else was.
    after = harbour.containers()
    assert {id: after.get(id) for id in containers} == containers
    assert (harbour.units("kubelet"), harbour.units("kube-apiserver")) == (kubelets, servers)


def test_the_same_settings_again_disturb_nothing(harbour: Harbour) -> None:
    before = harbour.units("containerd")
    generations = {id: one["generation"] for id, one in harbour.service.agent.client.wanted()["units"].items()}
    harbour.restart_serve()
    harbour.cluster.until_well()
    now = {id: one["generation"] for id, one in harbour.service.agent.client.wanted()["units"].items()}
    assert (harbour.units("containerd"), now) == (before, generations)


def test_endpoints_follow_the_machines_address(harbour: Harbour) -> None:
    cluster, address, began = harbour.cluster, network_lab.MACHINE, dt.datetime.now(dt.UTC)
    before = cluster.described
    old, port = before["endpoint"], before["endpoint"].rpartition(":")[2]
    assert old.startswith("https://127.0.0.1:")
    servers, nodes = harbour.units("kube-apiserver"), cluster.nodes()
    # As `roadstead start --advertise-address` does: the agent publishes at no address that root does not name.
    harbour.service.agent.process.terminate()
    harbour.service.agent.process.wait(20)
    harbour.service.agent.restart("--publish-address", address)
    harbour.restart_serve("--advertise-address", address)
    new = f"https://{address}:{port}"
    took = waiting.until("the new endpoint is shown", lambda: cluster.described["endpoint"] == new, 20)
    print(f"\nshown after {took:.1f} s")
    # Server certificates are taken up by API servers as they run, which look at the files once a minute at least.
    took = waiting.until("certificates are of the new address", lambda: served(harbour, address), 90)
    print(f"all certificates after {took:.1f} s")
    assert harbour.units("kube-apiserver") == servers
    # As a customer: the same command as ever, and kubectl with a token of its own.
    file = harbour.folder / "renewed"
    update = ("aws", "eks", "update-kubeconfig", "--name", shared.NAME, "--kubeconfig", str(file))
    done = harbour.service.machine(*update)
    assert done.returncode == 0, done.stderr
    assert new in file.read_text()
    done = harbour.service.machine("kubectl", f"--kubeconfig={file}", "get", "nodes", "-o", "name")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == shared.NODES
    # Nobody answers at the old address any more.
    gone = cluster.try_kubectl("get", "nodes", "--request-timeout=3s")
    assert gone.returncode != 0
    assert "refused" in gone.stderr, gone.stderr
    cluster.log_in()
    cluster.until_well()
    assert {name: one["metadata"]["uid"] for name, one in cluster.nodes().items()} == {
        name: one["metadata"]["uid"] for name, one in nodes.items()
    }
    told = harbour.service.aws("roadstead", "list_events", startTime=began)["events"]
    assert [one["message"] for one in told if one["reason"] == "EndpointMoved"] == [
        f"the endpoint is {new} now, no more {old}"
    ]


def served(harbour: Harbour, address: str) -> bool:
    """True when each API server shows a certificate for the address, else fails with one that does not; the endpoint
    leads to any of the three.
    """
    wanted = harbour.service.agent.client.wanted()["hosts"]
    for letter in "abc":
        host = msgspec.convert(wanted[harbour.cluster.host(f"api-{letter}")]["spec"], desired.Host)
        done = harbour.service.machine(
            # As serve's user, whom the way to the control plane's network is open to.
            *("setpriv", f"--reuid={services.USER}", f"--regid={services.USER}", "--clear-groups"),
            *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
            *("curl", "-sS", "--max-time", "3", "--cacert", str(harbour.service.folder / "ca.pem")),
            *("--connect-to", f"::{host.legs[1].address}:443", f"https://{address}/healthz"),
        )
        # A certificate of another name is 60; anything else may be a server that is busy.
        assert done.returncode == 0, f"api-{letter}: curl ended with {done.returncode}: {done.stderr}"
    return True
