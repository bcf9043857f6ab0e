"""A small cluster through the agent: one host with etcd, kube-apiserver and kube-controller-manager, and one node.

The control plane is the simplest that a node can join; what is tried is the node. The world of `pod_lab` is behind
the machine for those who need it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from testkit import authorities, waiting
from tests.live import conftest, fleet

from roadstead import engine
from roadstead.clusters.components import facts, nodes, registries
from roadstead.contract.messages import desired, jobs
from roadstead.core import errors
from roadstead.engine import images
from roadstead.machine import shell
from roadstead.network import sizes

CONTROL, NODE = "c.api", "c.i-0123456789abcdef0"
NET = fleet.network("10.40.0.0/24", egress=True)
CONTROL_ADDRESS, NODE_ADDRESS, PREFIX = "10.40.0.4", "10.40.0.68", "10.40.0.80/28"
API = f"https://{CONTROL_ADDRESS}:{facts.API_PORT}"
SERVICE_CIDR = "10.100.0.0/16"
TOKEN = ("abcdef", "0123456789abcdef")
PAUSE = "roadstead.dev/pause:1.0"
ENGINES = {"etcd": "etcd-3.6.16", "containerd": "containerd-2.3.7", "runc": "runc-1.5.3"}
TYPE = sizes.find("t3.medium")


def kubeconfig(ca: authorities.Authority, user: Mapping[str, str]) -> bytes:
    cluster = {"server": API, "certificate-authority-data": base64.b64encode(ca.pem).decode()}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
    ).encode()


def by_certificate(ca: authorities.Authority, leaf: authorities.Pair) -> bytes:
    parts = {"client-certificate-data": leaf.certificate, "client-key-data": leaf.key}
    return kubeconfig(ca, {name: base64.b64encode(part).decode() for name, part in parts.items()})


def node_facts(kubernetes: str, **more: Any) -> facts.Node:
    return facts.Node(
        id=NODE.partition(".")[2],
        name=f"ip-{NODE_ADDRESS.replace('.', '-')}.eu-central-1.compute.internal",
        address=NODE_ADDRESS,
        zone="b",
        region="eu-central-1",
        release=kubernetes,
        engines=facts.Engines(kubernetes=f"kubernetes-{kubernetes}", **ENGINES),
        instance_type=TYPE.name,
        architecture="x86_64",
        most_pods=17,
        labels={"alpha.eksctl.io/cluster-name": "cluster-1", "alpha.eksctl.io/nodegroup-name": "ng-1"},
        nodegroup="ng-1",
        image="ami-0123456789abcdef0",
        api=API,
        service_cidr=SERVICE_CIDR,
        vpc_cidr=NET.cidrs[0],
        pause_image=PAUSE,
        **more,
    )


class Files:
    """Files of units, kept as blobs at the agent."""

    def __init__(self, agent: conftest.RunningAgent) -> None:
        self._client = agent.client

    def __call__(self, content: bytes, *, secret: bool = False) -> desired.UnitFile:
        return desired.UnitFile(blob=self._client.keep_blob(content), secret=secret)


@dataclass
class Lab:
    agent: conftest.RunningAgent
    folder: Path
    kubectl_program: Path
    ca: authorities.Authority
    node: facts.Node

    def kubectl(self, *words: str, text: str = "", timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """kubectl as the cluster's administrator, in the network of the control plane's host."""
        netns = self.agent.places.host(CONTROL).netns
        command = ["nsenter", f"--net={netns}", str(self.kubectl_program), f"--kubeconfig={self.folder / 'admin'}"]
        home = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [*command, *words], input=text, capture_output=True, text=True, check=False, timeout=timeout, env=home
        )

    def asked(self, *words: str, text: str = "") -> str:
        done = self.kubectl(*words, text=text)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self.asked("get", *words, "-o", "json"))

    def until(self, what: str, true: Callable[[], bool], seconds: float) -> float:
        """Seconds until it is true; fails with what the node's units say."""
        try:
            return waiting.until(what, true, seconds)
        except waiting.Late as late:
            said = "\n".join(f"--- {unit}\n{self.log(unit)}" for unit in ("kubelet", "containerd"))
            raise AssertionError(f"{late}\n{said}") from None

    def log(self, unit: str, host: str = NODE, lines: int = 40) -> str:
        return b"".join(self.agent.client.logs(host, unit, lines)).decode(errors="replace")

    def inside(self, script: str) -> subprocess.CompletedProcess[str]:
        """A script in the node."""
        path = f"export PATH=/engine/{self.node.engines.containerd}:$PATH CONTAINERD_NAMESPACE=k8s.io; "
        command = shell.inside(self.agent.client.shell(NODE), ("/bin/sh", "-c", path + script), terminal=False)
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    def approve(self) -> None:
        """Approve every request for a certificate that waits."""
        waiting = [one["metadata"]["name"] for one in self.get("csr")["items"] if not one.get("status")]
        if waiting:
            self.asked("certificate", "approve", *waiting)

    def joined(self) -> bool:
        """Ready, with a serving certificate, for which it asks after it has registered. Approves what waits."""
        self.approve()
        issued = {
            one["spec"]["signerName"] for one in self.get("csr")["items"] if "certificate" in one.get("status", {})
        }
        return "kubernetes.io/kubelet-serving" in issued and self.ready()

    def ready(self) -> bool:
        done = self.kubectl("get", "node", self.node.name, "-o", "json")
        if done.returncode != 0:
            return False
        conditions = json.loads(done.stdout)["status"].get("conditions", [])
        return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)

    def pid(self, unit: str) -> int | None:
        return next(o.pid for o in self.agent.client.observations().observations if o.id == f"{NODE}/{unit}")

    def pod_running(self, name: str) -> dict[str, Any] | None:
        """The pod when it is Running and all of its containers are ready."""
        pod: dict[str, Any] = self.get("pod", name)
        statuses = pod["status"].get("containerStatuses", [])
        return pod if statuses and all("running" in one["state"] and one["ready"] for one in statuses) else None

    def import_image(self, image: images.Image, id: str) -> None:
        archive = self.folder / f"{id}.tar"
        images.write(image, archive)
        digest = self.agent.client.keep_blob(archive)
        job = jobs.ImageImport(host=NODE, engine=self.node.engines.containerd, archive=digest)
        self.agent.client.start_job(id, job)
        self.until(f"import {id}", lambda: self.agent.client.job(id).state != "running", 60)
        assert self.agent.client.job(id).state == "done", self.agent.client.job(id)


def control_units(
    ca: authorities.Authority, agent: conftest.RunningAgent, kubernetes: str, folder: Path
) -> dict[str, desired.Unit]:
    """etcd on loopback, the API server on port 443, the controller-manager that signs."""
    file = Files(agent)
    accounts = ec.generate_private_key(ec.SECP256R1())
    admin = by_certificate(ca, ca.issue("admin", groups=["system:masters"]))
    (folder / "admin").write_bytes(admin)
    etcd = desired.Unit(
        engine="etcd-3.6.16",
        component="etcd",
        flags={"data-dir": "/var/lib/etcd/data", "unsafe-no-fsync": "true"},
        folders=("data",),
        ready=desired.TcpProbe(port=2379),
    )
    return {
        "etcd": etcd,
        "kube-apiserver": api_server(ca, file, kubernetes, accounts),
        "kube-controller-manager": manager(ca, file, kubernetes, accounts, admin),
    }


def api_server(
    ca: authorities.Authority, file: Files, kubernetes: str, accounts: ec.EllipticCurvePrivateKey
) -> desired.Unit:
    at = "/etc/units/kube-apiserver"
    serving = ca.issue("kube-apiserver", addresses=(CONTROL_ADDRESS, "127.0.0.1", "10.100.0.1"))
    to_kubelet = ca.issue("roadstead:apiserver")
    pair = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return desired.Unit(
        engine=f"kubernetes-{kubernetes}",
        component="kube-apiserver",
        flags={
            "advertise-address": CONTROL_ADDRESS,
            "secure-port": str(facts.API_PORT),
            "etcd-servers": "http://127.0.0.1:2379",
            "client-ca-file": f"{at}/ca.pem",
            "tls-cert-file": f"{at}/serving.pem",
            "tls-private-key-file": f"{at}/serving.key",
            "kubelet-certificate-authority": f"{at}/ca.pem",
            "kubelet-client-certificate": f"{at}/kubelet-client.pem",
            "kubelet-client-key": f"{at}/kubelet-client.key",
            "kubelet-preferred-address-types": "InternalIP",
            "service-account-issuer": "https://roadstead.test",
            "service-account-key-file": f"{at}/accounts.pem",
            "service-account-signing-key-file": f"{at}/accounts.key",
            "service-cluster-ip-range": SERVICE_CIDR,
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "enable-bootstrap-token-auth": "true",
            "allow-privileged": "true",
        },
        files={
            "ca.pem": file(ca.pem),
            "serving.pem": file(serving.certificate),
            "serving.key": file(serving.key, secret=True),
            "kubelet-client.pem": file(to_kubelet.certificate),
            "kubelet-client.key": file(to_kubelet.key, secret=True),
            "accounts.pem": file(accounts.public_key().public_bytes(*pair)),
            "accounts.key": file(authorities.key_pem(accounts), secret=True),
        },
        ready=desired.HttpsProbe(port=facts.API_PORT, path="/readyz", ca="ca.pem"),
    )


def manager(
    ca: authorities.Authority, file: Files, kubernetes: str, accounts: ec.EllipticCurvePrivateKey, admin: bytes
) -> desired.Unit:
    at = "/etc/units/kube-controller-manager"
    return desired.Unit(
        engine=f"kubernetes-{kubernetes}",
        component="kube-controller-manager",
        flags={
            "kubeconfig": f"{at}/kubeconfig",
            "authentication-kubeconfig": f"{at}/kubeconfig",
            "authorization-kubeconfig": f"{at}/kubeconfig",
            "cluster-signing-cert-file": f"{at}/ca.pem",
            "cluster-signing-key-file": f"{at}/ca.key",
            "root-ca-file": f"{at}/ca.pem",
            "service-account-private-key-file": f"{at}/accounts.key",
            "use-service-account-credentials": "true",
            "leader-elect": "false",
            "kube-api-qps": "500",
            "kube-api-burst": "1000",
        },
        files={
            "kubeconfig": file(admin, secret=True),
            "ca.pem": file(ca.pem),
            "ca.key": file(ca.key, secret=True),
            "accounts.key": file(authorities.key_pem(accounts), secret=True),
        },
    )


def node_units(lab: Lab, of: registries.Registries) -> dict[str, desired.Unit]:
    keep = lab.agent.client.keep_blob
    files = nodes.Files(
        kubelet={
            "ca.pem": keep(lab.ca.pem),
            "bootstrap.kubeconfig": keep(kubeconfig(lab.ca, {"token": ".".join(TOKEN)})),
        },
        kube_proxy={"kubeconfig": keep(by_certificate(lab.ca, lab.ca.issue("system:kube-proxy")))},
    )
    return nodes.units(lab.node, files, TYPE, NET.subnets[1].cidr, of)


RULES = f"""
apiVersion: v1
kind: Secret
metadata: {{name: bootstrap-token-{TOKEN[0]}, namespace: kube-system}}
type: bootstrap.kubernetes.io/token
stringData: {{token-id: {TOKEN[0]}, token-secret: {TOKEN[1]}, usage-bootstrap-authentication: "true"}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: bootstrappers}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:node-bootstrapper}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:bootstrappers}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: apiserver-kubelet}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:kubelet-api-admin}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: "roadstead:apiserver"}}]
"""


@contextlib.contextmanager
def running(
    agent: conftest.RunningAgent,
    folder: Path,
    more: Mapping[str, Any] | None = None,
    of: registries.Registries | None = None,
    names: Mapping[str, tuple[str, ...]] | None = None,
) -> Iterator[Lab]:
    """The cluster, its node Ready; afterwards nothing of it is left. `more` are facts of the node, `names` lines
    of its hosts."""
    built = {name: engine.get(name) for name in ("1.37", "etcd", "containerd", "cni")}
    kubernetes = built["1.37"].version
    ca = authorities.Authority("cluster")
    lab = Lab(agent, folder, built["1.37"].components["kubectl"], ca, node_facts(kubernetes, **more or {}))
    keep = {one.id: one for one in built.values()}
    if (runc := engine.find("runc")) is not None:
        keep[runc.id] = runc
    control = desired.Host(
        role="api",
        privilege="unprivileged",
        zone="a",
        legs=(desired.Leg(network="vpc", address=CONTROL_ADDRESS),),
        hostname="api",
    )
    put = fleet.put(
        1,
        engines={id: agent.client.engine(one.components) for id, one in keep.items()},
        networks={"vpc": NET},
        hosts={CONTROL: control},
        units={f"{CONTROL}/{name}": unit for name, unit in control_units(ca, agent, kubernetes, folder).items()},
    )
    try:
        agent.client.accept(put)
        try:
            agent.client.wait_ready(40)
        except errors.Busy as error:
            raise AssertionError(f"{error}\n{lab.log('kube-apiserver', CONTROL)}") from error
        lab.until("rules", lambda: lab.kubectl("apply", "-f", "-", text=RULES).returncode == 0, 30)
        host = nodes.host(lab.node, "vpc", (PREFIX,), 20, TYPE, NET.subnets[1].cidr)
        host = msgspec.structs.replace(host, names=dict(names or {}))
        units = {f"{NODE}/{name}": unit for name, unit in node_units(lab, of or registries.Registries()).items()}
        agent.client.accept(fleet.put(1, hosts={NODE: host}, units=units))
        lab.until("the node's certificates", lab.joined, 90)
        agent.client.wait_ready(30)
        yield lab
    finally:
        fleet.delete_all(agent.client)
