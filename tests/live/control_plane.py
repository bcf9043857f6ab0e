"""One whole control plane for live tests: its facts, made trust, desired states, and kubectl outside of it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.live import conftest, fleet, porter_lab

from roadstead import engine
from roadstead.clusters import spec, trust
from roadstead.clusters.components import (
    apiserver,
    controller_manager,
    edge,
    etcd,
    facts,
    hosts,
    scheduler,
)
from roadstead.clusters.trust import authorities, kubeconfigs
from roadstead.contract import kubernetes as names
from roadstead.contract.messages import desired
from roadstead.contract.messages.sections import webhooks

REGION = "eu-central-1"
VPC = "vpc-0123456789abcdef0"
VPC_CIDR = "192.168.0.0/16"
CONTROL_CIDR = "198.19.8.0/26"
SERVE = 64201
"""A user id of nobody, for whom the control-plane network is open: porter's."""


def plane(engines: facts.Engines, release: str) -> facts.ControlPlane:
    """The facts of the control plane; addresses as the provider would give them."""
    parts = list(ipaddress.IPv4Network(CONTROL_CIDR).subnets(new_prefix=28))
    return facts.ControlPlane(
        id="c-1a2b3c4d",
        name="cluster-1",
        account="123456789012",
        region=REGION,
        release=release,
        engines=engines,
        members=tuple(
            facts.Member(
                letter=letter,
                zone=f"{REGION}{letter}",
                etcd=str(parts[n][4]),
                api=str(parts[n][5]),
                api_vpc=f"192.168.{32 * n}.4",
            )
            for n, letter in enumerate("abc")
        ),
        endpoint=facts.Endpoint(control=str(parts[3][4]), private="192.168.0.5", public="127.0.0.1", port=16443),
        vpc_cidr=VPC_CIDR,
        service_cidr="10.100.0.0/16",
        webhook=str(parts[3][3]),
    )


def vpc() -> desired.Network:
    """A VPC of three zones."""
    return desired.Network(
        cidrs=(VPC_CIDR,),
        subnets=tuple(
            desired.Subnet(id=f"subnet-{letter}", cidr=f"192.168.{32 * n}.0/19", zone=f"{REGION}{letter}")
            for n, letter in enumerate("abc")
        ),
        egress=False,
    )


UNITS: Mapping[str, Callable[[facts.ControlPlane, str, facts.Digests], desired.Unit]] = {
    "etcd": etcd.unit,
    "kube-apiserver": apiserver.unit,
    "kube-controller-manager": controller_manager.unit,
    "kube-scheduler": scheduler.unit,
}


def units(of: facts.ControlPlane, digests: Mapping[str, facts.Digests]) -> dict[str, desired.Unit]:
    """Every unit by its id at the agent."""
    found = {}
    for id, files in digests.items():
        host, unit = id.split("/")
        if unit in UNITS:
            found[f"{of.id}.{id}"] = UNITS[unit](of, host[-1], files)
        else:
            found[f"{of.id}.{id}"] = edge.unit(of, int(unit[-1]), files)
    return found


@dataclass
class Plane:
    """A control plane at an agent, and how tests come to it."""

    agent: conftest.RunningAgent
    plane: facts.ControlPlane
    trust: trust.Trust
    components: Mapping[str, Path]
    etcdctl: Path
    folder: Path
    restarts: dict[str, int] = field(default_factory=dict)
    """Of each unit, by its id at the agent, until it was ready for the first time."""
    answering: subprocess.Popen[bytes] | None = None
    """Its porter."""

    def answer(self, folder: Path, known: webhooks.Cluster) -> None:
        """Start the porter of the cluster; `folder` is one that its user comes to."""
        hooks = webhooks.Webhooks(format=webhooks.SECTION.format, revision=1, clusters={self.plane.id: known})
        porter_lab.publish(folder, SERVE, (webhooks.SECTION, hooks))
        self.answering = porter_lab.started(self.agent, SERVE, folder, folder / "porter.log")

    def machine(self, *words: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """A command in the namespace that stands for the machine's."""
        netns = self.agent.places.machine_netns
        assert netns is not None
        return fleet.inside(netns, *words, timeout=timeout)

    def kubectl(self, *words: str, stdin: str = "", timeout: float = 30.0) -> str:
        """kubectl as serve's user through the published endpoint; its output. Fails with what it said."""
        done = self.tried("admin", *words, stdin=stdin, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def give(self, user: str, credential: authorities.Credential) -> None:
        """A kubeconfig for `tried`."""
        server = f"https://127.0.0.1:{self.plane.endpoint.port}"
        (self.folder / f"{user}.kubeconfig").write_bytes(kubeconfigs.of_certificate(server, credential))

    def tried(self, user: str, *words: str, stdin: str = "", timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """kubectl as a user who was given a kubeconfig."""
        netns = self.agent.places.machine_netns
        return subprocess.run(
            [
                *("nsenter", f"--net={netns}", str(self.components["kubectl"])),
                *(f"--kubeconfig={self.folder / f'{user}.kubeconfig'}", f"--cache-dir={self.folder / user}", *words),
            ],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )

    def status(self, path: str) -> int:
        """The status of a GET without credentials through the published endpoint."""
        url = f"https://127.0.0.1:{self.plane.endpoint.port}{path}"
        done = self.machine(
            *("curl", "-sS", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}"),
            *("--cacert", str(self.folder / "ca.pem"), url),
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def etcd(
        self, via: str, certificate: authorities.Credential | None, *words: str, timeout: str = "10s"
    ) -> subprocess.CompletedProcess[str]:
        """etcdctl from a host, with these credentials or none, to etcd-a."""
        shown: list[str] = []
        if certificate is not None:
            (self.folder / "client.pem").write_bytes(certificate.certificate)
            (self.folder / "client.key").write_bytes(certificate.key)
            shown = [f"--cert={self.folder / 'client.pem'}", f"--key={self.folder / 'client.key'}"]
        return fleet.inside(
            self.agent.places.host(f"{self.plane.id}.{via}").netns,
            str(self.etcdctl),
            f"--endpoints=https://{self.plane.members[0].etcd}:{facts.ETCD_PORT}",
            *(f"--cacert={self.folder / 'etcd-ca.pem'}", *shown, f"--command-timeout={timeout}", *words),
        )


def lend(agent: conftest.RunningAgent, folder: Path) -> tuple[Plane, fleet.Put, webhooks.Cluster]:
    """Everything but the asking: engines and files at the agent, the batch that makes the control plane, and what its
    porter has to know.
    """
    kubernetes, built = engine.get("1.37"), engine.get("etcd")
    engines = facts.Engines(kubernetes="kubernetes-1.37", etcd="etcd-3.6", containerd="containerd-2.3")
    of = plane(engines, "1.37.2")
    now = dt.datetime.now(dt.UTC)
    roots = trust.created(of.id, now)
    files = trust.files(of, roots, now)
    digests = {
        unit: {name: agent.client.keep_blob(content) for name, content in each.items()} for unit, each in files.items()
    }
    (folder / "ca.pem").write_bytes(roots.cluster.certificate)
    (folder / "etcd-ca.pem").write_bytes(roots.etcd.certificate)
    admin, webhook = trust.admin(roots, now), trust.webhook(of, roots, now)
    listener = desired.Listener(
        namespace="network",
        of=hosts.network_id(of),
        address=of.webhook,
        port=of.webhook_port,
        process="porter",
        user=SERVE,
    )
    batch = fleet.put(
        1,
        engines={
            engines.kubernetes: agent.client.engine(kubernetes.components),
            engines.etcd: agent.client.engine(built.components),
        },
        networks={VPC: vpc(), hosts.network_id(of): hosts.network(of, CONTROL_CIDR, SERVE)},
        hosts={f"{of.id}.{name}": hosts.host(of, VPC, name, spec.zone(of.region, name)) for name in hosts.hosts(of)},
        units=units(of, digests),
        publishes={f"{of.id}.endpoint": hosts.publish(of)},
        listeners={f"{of.id}.doors": listener},
    )
    known = webhooks.Cluster(
        name=of.name,
        account=of.account,
        region=of.region,
        certificate=webhook.certificate.decode(),
        key=webhook.key.decode(),
        bearer=webhook.bearer,
        credentials={names.SERVE: (trust.credential_id(admin.certificate),), **trust.credentials(files)},
    )
    made = Plane(agent, of, roots, kubernetes.components, built.components["etcdctl"], folder)
    made.give("admin", admin)
    return made, batch, known
