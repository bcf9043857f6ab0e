"""The system's workloads on a real node: cluster DNS answers, and volumes keep what was written to them.

Cost: about 50 s on the node that others share. One build of the provisioner when it
is not cached.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.live import fleet, node_lab

from roadstead import engine
from roadstead.contract.messages import desired, jobs
from roadstead.controllers import system
from roadstead.controllers.runtime import facts
from roadstead.controllers.system import storage
from roadstead.core import errors
from roadstead.engine import images
from roadstead.machine.load import archives, nodes

pytestmark = pytest.mark.live

TEST_IMAGE = "roadstead.dev/tools:1.0"


@pytest.fixture(scope="module")
def lab(shared_node: node_lab.Lab, tmp_path_factory: pytest.TempPathFactory) -> node_lab.Lab:
    """The shared node's cluster with a scheduler, the images on its node and the system's objects applied."""
    folder, made = tmp_path_factory.mktemp("system"), shared_node
    schedule(made)
    ready = images.system_images(made.node.release)
    import_archive(made, images.write_system(ready, folder / "images"), "system")
    made.import_image(tools(engine.get("pause").arch), "tools")
    names = {one.engine: one.name for one in ready}
    began = time.monotonic()
    put(made, *system.objects(system_facts(made, names)))
    took = made.until("the system's deployments are available", lambda: available(made), 90)
    print(f"\nsystem applied {time.monotonic() - began - took:.1f} s, available after {took:.1f} s more")
    return made


def tools(arch: str) -> images.Image:
    """Programs of this machine with their libraries, as an image: what is on every Debian."""
    programs = ("sh", "sleep", "date", "cat", "getent")
    found = [str(Path(shutil.which(name) or name).resolve()) for name in programs]
    tree: dict[str, images.Node] = {
        f"bin/{name}": images.ImageFile(Path(f), 0o755) for name, f in zip(programs, found, strict=True)
    }
    listed = subprocess.run(["ldd", *found], capture_output=True, text=True, check=True).stdout
    for library in set(re.findall(r"/\S+(?=\s\(0x)", listed)):
        tree[library.lstrip("/")] = images.ImageFile(Path(library).resolve(), 0o755)
    return images.Image(name=TEST_IMAGE, arch=arch, tree=tree, environment={"PATH": "/bin"})


def system_facts(lab: node_lab.Lab, names: dict[str, str]) -> facts.SystemFacts:
    return facts.SystemFacts(
        id="c-1a2b3c4d",
        name="cluster-1",
        account="111122223333",
        region=lab.node.region,
        zones=(lab.node.zone,),
        release=lab.node.release,
        service_cidr=lab.node.service_cidr,
        dns="10.100.0.10",
        vpc_cidr=lab.node.vpc_cidr,
        # Nobody answers there: names of the cluster must not need it.
        resolvers=("10.20.0.66",),
        images=facts.Images(coredns=names["coredns"], provisioner=names["volumes"]),
    )


def schedule(lab: node_lab.Lab) -> None:
    """A scheduler beside the API server."""
    kubeconfig = lab.agent.client.keep_blob(lab.folder / "admin")
    at = "/etc/units/kube-scheduler/kubeconfig"
    unit = desired.Unit(
        engine=lab.node.engines.kubernetes,
        component="kube-scheduler",
        flags={
            "kubeconfig": at,
            "authentication-kubeconfig": at,
            "authorization-kubeconfig": at,
            "leader-elect": "false",
        },
        files={"kubeconfig": desired.UnitFile(blob=kubeconfig, secret=True)},
    )
    lab.agent.client.accept(fleet.put(1, units={f"{node_lab.CONTROL}/kube-scheduler": unit}))


def import_archive(lab: node_lab.Lab, archive: Path, id: str) -> None:
    digest = lab.agent.client.keep_blob(archive)
    job = jobs.ImageImport(host=node_lab.NODE, engine=lab.node.engines.containerd, archive=digest)
    lab.agent.client.start_job(id, job)
    lab.until(f"import {archive.name}", lambda: lab.agent.client.job(id).state != "running", 60)
    assert lab.agent.client.job(id).state == "done", lab.agent.client.job(id)


def put(lab: node_lab.Lab, *objects: dict[str, Any]) -> None:
    """Server-side apply, as the controllers do it."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    lab.asked("apply", "--server-side", "-f", "-", text=text)


def available(lab: node_lab.Lab) -> bool:
    found = lab.get("deployment", "--namespace=kube-system")["items"]
    return all(one["status"].get("availableReplicas", 0) == one["spec"]["replicas"] for one in found)


def pod(name: str, command: str, volumes: dict[str, str] | None = None, **spec: object) -> dict[str, Any]:
    """A pod of the tools; `volumes` are claims by the path where they are mounted."""
    mounts = volumes or {}
    container = {
        "name": "main",
        "image": TEST_IMAGE,
        "command": ["sh", "-c", command],
        "volumeMounts": [{"name": claim, "mountPath": path} for path, claim in mounts.items()],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in mounts.values()],
            **spec,
        },
    }


def claim(name: str, mode: str = "ReadWriteOnce", **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}, **spec},
    }


def events(lab: node_lab.Lab, about: str, kind: str = "PersistentVolumeClaim") -> str:
    """What was said of an object."""
    found = lab.get("events", f"--field-selector=involvedObject.name={about},involvedObject.kind={kind}")["items"]
    return "\n".join(one["message"] for one in found)


def bound(lab: node_lab.Lab, name: str) -> Callable[[], bool]:
    return lambda: lab.get("pvc", name)["status"].get("phase") == "Bound"


def volume(lab: node_lab.Lab, name: str) -> dict[str, Any]:
    """The PersistentVolume of a claim."""
    found: dict[str, Any] = lab.get("pv", lab.get("pvc", name)["spec"]["volumeName"])
    return found


def test_names_of_the_cluster_are_answered_in_a_pod(lab: node_lab.Lab) -> None:
    put(lab, pod("asker", "sleep 3600"))
    lab.until("the pod runs", lambda: lab.pod_running("asker") is not None, 30)
    # CoreDNS is ready; kube-proxy may not have heard of it yet.
    known = ("exec", "asker", "--", "getent", "ahostsv4", "kubernetes.default.svc.cluster.local.")
    lab.until("the service answers", lambda: lab.kubectl(*known).returncode == 0, 30)
    # One name in full, one by the search list of the pod's resolv.conf.
    for name, address in (
        ("kubernetes.default.svc.cluster.local.", "10.100.0.1"),
        ("kube-dns.kube-system", "10.100.0.10"),
    ):
        said = lab.asked("exec", "asker", "--", "getent", "ahostsv4", name)
        assert said.split()[0] == address, said
    unknown = lab.kubectl("exec", "asker", "--", "getent", "ahostsv4", "none.default.svc.cluster.local.")
    assert unknown.returncode == 2, "it is answered that there is no such name"
    lab.asked("delete", "pod", "asker", "--wait=false")


def test_archives_are_loaded_into_all_nodes(lab: node_lab.Lab, tmp_path: Path) -> None:
    """One of ours, and one as `docker save` writes it; what cannot be imported is said, and the other is loaded."""
    tree = {"hello": images.ImageFile(b"hello")}
    images.write(
        images.Image(name="example.com/ours:1", arch=engine.get("pause").arch, tree=tree), tmp_path / "ours.tar"
    )
    saved(tmp_path / "ours.tar", tmp_path / "saved.tar", "example.com/saved:1")
    with tarfile.open(tmp_path / "broken.tar", "w") as out:
        add(out, "manifest.json", json.dumps([{"Config": "none", "RepoTags": ["broken:1"], "Layers": []}]).encode())
    read = tuple(archives.read(tmp_path / name, tmp_path) for name in ("ours.tar", "saved.tar", "broken.tar"))

    def hosts(name: str) -> tuple[str, ...]:
        return nodes.hosts_of(name, lab.agent.client.wanted())

    cluster = node_lab.NODE.partition(".")[0]
    for _ in range(2):
        ended = {one.images: (one.node, one.state) for one in nodes.into(lab.agent.client, read, cluster, hosts)}
        assert ended == {
            ("example.com/ours:1",): (node_lab.NODE, "done"),
            ("example.com/saved:1",): (node_lab.NODE, "done"),
            ("docker.io/library/broken:1",): (node_lab.NODE, "failed"),
        }
        listed = lab.inside("ctr images list -q").stdout.split()
        assert {"example.com/ours:1", "example.com/saved:1"} <= set(listed)
        lab.inside("ctr images remove example.com/ours:1 example.com/saved:1")
    with pytest.raises(errors.NotFound, match="has no nodes"):
        list(nodes.into(lab.agent.client, read, "other", hosts))


def saved(ours: Path, file: Path, name: str) -> None:
    """The same image as `docker save` wrote it before it wrote OCI layouts."""
    with tarfile.open(ours) as opened, tarfile.open(file, "w") as out:

        def blob(name: str) -> bytes:
            content = opened.extractfile(name)
            assert content is not None
            return content.read()

        def by_digest(digest: str) -> bytes:
            return blob(f"blobs/{digest.replace(':', '/')}")

        manifest = json.loads(by_digest(json.loads(blob("index.json"))["manifests"][0]["digest"]))
        add(out, "config.json", by_digest(manifest["config"]["digest"]))
        add(out, "layer.tar", by_digest(manifest["layers"][0]["digest"]))
        lines = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
        add(out, "manifest.json", json.dumps(lines).encode())


def add(out: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    out.addfile(entry, io.BytesIO(content))


def test_the_provisioner_has_no_more_rights_than_it_needs(lab: node_lab.Lab) -> None:
    who = f"--as=system:serviceaccount:kube-system:{storage.NAME}"
    for words, may in (
        (("create", "pods"), "yes"),
        (("get", "secrets"), "no"),
        (("create", "pods", "--subresource=exec"), "no"),
    ):
        said = lab.kubectl("auth", "can-i", *words, "--namespace=kube-system", who)
        assert said.stdout.strip() == may, (words, said)
    assert lab.kubectl("auth", "can-i", "create", "pods", "--namespace=default", who).stdout.strip() == "no"


def test_a_stateful_set_keeps_its_data(lab: node_lab.Lab) -> None:
    """When its pod is deleted, and when the first process of its node dies."""
    template = pod("unused", "date >> /kept/log; sleep 3600", {"/kept": "kept"})["spec"]
    del template["volumes"]
    # Not root: the volume is opened by fsGroup, as a new EBS volume is.
    template["securityContext"] = {"runAsUser": 1000, "runAsNonRoot": True, "fsGroup": 2000}
    kept = {**claim("kept"), "metadata": {"name": "kept"}}
    put(
        lab,
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "keeper"},
            "spec": {
                "serviceName": "keeper",
                "selector": {"matchLabels": {"app": "keeper"}},
                "template": {"metadata": {"labels": {"app": "keeper"}}, "spec": template},
                "volumeClaimTemplates": [kept],
            },
        },
    )
    lab.until("the pod is there", lambda: lab.kubectl("get", "pod", "keeper-0").returncode == 0, 20)
    took = lab.until("the pod runs", lambda: lab.pod_running("keeper-0") is not None, 60)
    print(f"\nfirst pod with a volume runs after {took:.1f} s")
    lab.until("it has written", lambda: lines(lab) == 1, 30)
    made = volume(lab, "kept-keeper-0")
    (term,) = made["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert {one["key"]: one["values"] for one in term["matchExpressions"]} == {
        "kubernetes.io/hostname": [lab.node.name],
        "topology.kubernetes.io/zone": [lab.node.zone],
    }
    assert made["spec"]["storageClassName"] == "gp3"
    assert made["spec"]["local"]["path"].startswith(storage.FOLDER)

    uid = lab.get("pod", "keeper-0")["metadata"]["uid"]
    lab.asked("delete", "pod", "keeper-0")
    lab.until("another pod runs", lambda: runs_again(lab, uid), 30)
    lab.until("it has written, too", lambda: lines(lab) == 2, 30)

    seen = next(o for o in lab.agent.client.observations().observations if (o.kind, o.id) == ("hosts", node_lab.NODE))
    assert seen.pid is not None
    os.kill(seen.pid, signal.SIGKILL)
    began = time.monotonic()
    lab.until("the pod has written again", lambda: lines(lab) == 3, 90)
    print(f"\nnode's PID 1 killed: the pod with the volume writes again after {time.monotonic() - began:.1f} s")
    lab.until("the system's deployments are available", lambda: available(lab), 90)
    lab.asked("delete", "statefulset", "keeper", "--wait=false")


def runs_again(lab: node_lab.Lab, uid: str) -> bool:
    found = lab.kubectl("get", "pod", "keeper-0", "-o", "json")
    if found.returncode != 0 or json.loads(found.stdout)["metadata"]["uid"] == uid:
        return False
    return lab.pod_running("keeper-0") is not None


def lines(lab: node_lab.Lab) -> int:
    """How often the pod has started, by what it wrote; -1 while it cannot be asked."""
    asked = lab.kubectl("exec", "keeper-0", "--", "cat", "/kept/log")
    return len(asked.stdout.splitlines()) if asked.returncode == 0 else -1


def test_a_deleted_claim_leaves_nothing(lab: node_lab.Lab) -> None:
    """Here with the class of a user's own that names the provisioner as EKS's oldest manifests do."""
    old = storage.storage_class("gp2")
    put(lab, {**old, "metadata": {"name": "old"}, "provisioner": storage.IN_TREE, "parameters": {"type": "gp2"}})
    put(lab, claim("brief", storageClassName="old"), pod("writer", "echo x > /v/x; sleep 3600", {"/v": "brief"}))
    lab.until("the pod runs", lambda: lab.pod_running("writer") is not None, 60)
    made = volume(lab, "brief")
    path = made["spec"]["local"]["path"]
    lab.until("it has written", lambda: lab.inside(f"cat {path}/x").stdout == "x\n", 30)
    lab.asked("delete", "pod/writer", "pvc/brief", "--wait=false")
    gone = lambda: "NotFound" in lab.kubectl("get", "pv", made["metadata"]["name"]).stderr  # noqa: E731
    lab.until("the volume is deleted", gone, 60)
    assert lab.inside(f"test ! -e {path} && ls {storage.FOLDER}").returncode == 0
    # The pod that did it is gone, too.
    helpers = ("get", "pods", "--namespace=kube-system", "--selector=app.kubernetes.io/name=volume-helper")
    lab.until("no helper is left", lambda: lab.get(*helpers[1:])["items"] == [], 30)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"mode": "ReadWriteMany"}, "access mode ReadWriteMany is not supported"),
        ({"volumeMode": "Block"}, "does not support block volume"),
    ],
)
def test_what_a_volume_cannot_be_is_said_in_an_event(lab: node_lab.Lab, wrong: dict[str, str], said: str) -> None:
    put(lab, claim("wrong", **wrong))
    waits = pod("waits", "sleep 3600", {"/v": "wrong"} if "mode" in wrong else None)
    if "mode" not in wrong:
        waits["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": "wrong"}}]
        waits["spec"]["containers"][0]["volumeDevices"] = [{"name": "v", "devicePath": "/dev/v"}]
    put(lab, waits)
    try:
        lab.until("the event", lambda: said in events(lab, "wrong"), 30)
    finally:
        lab.asked("delete", "pod/waits", "pvc/wrong", "--wait=true", "--timeout=30s")
