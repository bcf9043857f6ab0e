"""The cluster that several files of live tests share: three API servers, three etcd, four nodes in three zones.

Made once for a run as a customer would make it, by boto3 against a Roadstead of its own. Tests leave it well: whoever
breaks something waits until all is as it was.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from testkit import kube, waiting
from tests.live import service as services
from tests.live import world

from roadstead import engine
from roadstead.contract.messages import desired, observed
from roadstead.core import addresses
from roadstead.engine import build, catalog, images, progress, recipe
from roadstead.engine import settings as engine_settings
from roadstead.machine.load import archives, nodes

NAME, GROUP = "cluster-1", "ng-1"
NODES = 4
IMAGE = "roadstead.dev/visitor:1.0"
"""A shell, a few programs, and `visitor` (its Go module is beside this file)."""
SERVICES = "10.100.0.0/16"
"""The range that it has unless told."""
NAMES = {"registry.example": world.WORLD}
"""What else there is in the world, for those who serve it there."""
WELL = 60.0
"""Seconds until everything must be well again."""


@dataclass
class Cluster:
    """The cluster and all ways to it."""

    service: services.Service
    visitor: Path
    """The program on this machine."""
    archive: Path
    """The image with it."""
    id: str = ""
    """`c-1a2b3c4d`, at the agent."""
    endpoint: str = ""
    """Where the API is, and `tls` by whom it is vouched for, once one has logged in."""
    tls: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    witness: world.Witness = field(default_factory=world.Witness)
    """Of what leaves the machine, where there is one."""
    phases: dict[str, float] = field(default_factory=dict)

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = self.service.aws("eks", "describe_cluster", name=NAME)["cluster"]
        return found

    @property
    def kubeconfig(self) -> Path:
        return self.service.folder / "kubeconfig"

    @property
    def kubectl_command(self) -> tuple[str, ...]:
        return str(self.service.kubectl_program), f"--kubeconfig={self.kubeconfig}"

    def log_in(self) -> None:
        """A kubeconfig with a token, good for some minutes: kubectl then needs no other program at each call."""
        cluster = self.described
        self.keep_token()
        authority = cluster["certificateAuthority"]["data"]
        (self.service.folder / "ca.pem").write_bytes(base64.b64decode(authority))
        self.endpoint = cluster["endpoint"]
        self.tls = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
        written = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "c", "cluster": {"server": cluster["endpoint"], "certificate-authority-data": authority}}
            ],
            "users": [{"name": "u", "user": {"tokenFile": str(self.service.folder / "token")}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }
        self.kubeconfig.write_text(json.dumps(written))

    def keep_token(self) -> None:
        """In its place at once: who reads the file at this moment finds one."""
        beside = self.service.folder / ".token"
        beside.write_text(self.service.token(NAME))
        beside.rename(self.service.folder / "token")

    def try_kubectl(self, *words: str, text: str = "", timeout: float = 30) -> subprocess.CompletedProcess[str]:
        self.keep_token()
        return self.service.machine(*self.kubectl_command, *words, text=text, timeout=timeout)

    def kubectl(self, *words: str, text: str = "", timeout: float = 30) -> str:
        """kubectl through the published endpoint as the creator; fails with what it said."""
        done = self.try_kubectl(*words, text=text, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def api(self, timeout: float = 10.0) -> Iterator[kube.Api]:
        """The API as the creator, by a connection of its own through the published endpoint: what a look costs."""
        host, _, port = self.endpoint.removeprefix("https://").partition(":")
        asked = kube.Api(host, int(port), self.tls, timeout, self.service.token(NAME), self.service.netns)
        with contextlib.closing(asked):
            yield asked

    def get(self, kind: str, name: str = "", namespace: str = "default", *, timeout: float = 10.0, **query: str) -> Any:
        """An object, or the list of all of a kind; in all namespaces where it is empty. query: as `labelSelector`."""
        with self.api(timeout) as api:
            return api.ask("GET", kube.path(kind, name, namespace), query=query).json

    def items(self, kind: str, namespace: str = "default", **query: str) -> list[dict[str, Any]]:
        with self.api() as api:
            found: list[dict[str, Any]] = api.ask("GET", kube.path(kind, namespace=namespace), query=query).json[
                "items"
            ]
        return found

    def patch(self, kind: str, name: str, change: dict[str, Any], namespace: str = "default") -> None:
        """A JSON merge patch."""
        with self.api() as api:
            assert api.ask("PATCH", kube.path(kind, name, namespace), change).json

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Node objects by name."""
        return {node["metadata"]["name"]: node for node in self.items("nodes")}

    def ready_nodes(self) -> int:
        """0 while nobody answers."""
        with contextlib.suppress(OSError, AssertionError):
            return sum(map(is_ready, self.get("nodes", timeout=2)["items"]))
        return 0

    def host(self, name: str) -> str:
        """A host at the agent, by its name without the cluster: `api-a`, `edge`, `i-...`."""
        return f"{self.id}.{name}"

    def host_of(self, node: dict[str, Any]) -> str:
        return self.host(node["spec"]["providerID"].rpartition("/")[2])

    def seen(self) -> dict[tuple[str, str], observed.Observation]:
        observations = self.service.agent.client.observations().observations
        return {(one.kind, one.id): one for one in observations}

    def pid(self, host: str, unit: str = "") -> int:
        """Of a unit, or of a host's first process; as the machine counts."""
        kind, id = ("units", f"{self.host(host)}/{unit}") if unit else ("hosts", self.host(host))
        found = self.seen()[kind, id].pid
        assert found is not None, (kind, id)
        return found

    def kill(self, host: str, unit: str = "", number: signal.Signals = signal.SIGKILL) -> int:
        pid = self.pid(host, unit)
        os.kill(pid, number)
        return pid

    def etcd_leader(self) -> str:
        """`a`, `b` or `c`. It may pass on between two questions."""
        leads: list[str] = []

        def found() -> bool:
            leads[:] = [letter for letter in "abc" if self._leads(letter)]
            return len(leads) == 1

        waiting.until("an etcd says that it leads", found, 20)
        return leads[0]

    def _leads(self, letter: str) -> bool:
        """As its metrics have it, by its own credentials: etcd serves no other API over plain HTTP here."""
        places = self.service.agent.places.host(self.host(f"etcd-{letter}"))
        files = places.files / "etcd"
        with contextlib.suppress(OSError):
            tls = ssl.create_default_context(cafile=str(files / "ca.pem"))
            tls.load_cert_chain(files / "server.pem", files / "server.key")
            with contextlib.closing(kube.Api("127.0.0.1", 2379, tls, 2.0, netns=places.netns)) as api:
                return b"\netcd_server_is_leader 1\n" in api.ask("GET", "/metrics").body
        return False

    def holder(self, lease: str) -> str:
        """The letter of the controller-manager or scheduler that leads."""
        found = re.match(rf"{self.id}-api-([abc])", self.get("lease", lease, "kube-system")["spec"]["holderIdentity"])
        assert found is not None
        return found[1]

    def zone(self, letter: str, state: str) -> None:
        """Put the zone's state straight at the agent, as an operator's drill does."""
        id = f"{services.REGION}{letter}"
        client = self.service.agent.client
        before = client.wanted().get("zones", {}).get(id)
        generation = 1 if before is None else int(str(before["generation"])) + 1
        client.accept({"zones": {id: (generation, desired.Zone(state=state))}})  # type: ignore[arg-type]

    def unwell(self) -> str:
        """What is not as it should be; empty when all is well."""
        late = [f"{kind}/{id} {one.phase}" for (kind, id), one in self.seen().items() if one.phase != "ready"]
        if late:
            return ", ".join(late)
        parts = self.service.aws("roadstead", "list_cluster_parts", clusterName=NAME)["parts"]
        late = [
            f"{part['name']} {part['state']} {part.get('reason', '')}" for part in parts if part["state"] != "READY"
        ]
        if late:
            return ", ".join(late)
        try:
            with self.api(2) as api:
                nodes = api.ask("GET", kube.path("nodes")).json["items"]
                deployments = api.ask("GET", kube.path("deployments", namespace="")).json["items"]
        except (OSError, AssertionError) as away:
            return str(away)
        unwell = [one for one in nodes if not is_ready(one)] + [one for one in deployments if not is_available(one)]
        return ", ".join(one["metadata"]["name"] for one in unwell)

    def until_well(self, seconds: float = WELL) -> float:
        """Seconds until all parts are ready, all nodes Ready, all deployments available."""
        began = time.monotonic()
        said = "?"

        def well() -> bool:
            nonlocal said
            said = self.unwell()
            return not said

        with contextlib.suppress(waiting.Late):
            waiting.until("all is well", well, seconds)
            return time.monotonic() - began
        pytest.fail(f"not well after {seconds:g} s: {said}")

    def load_image(self, archive: Path | None = None) -> None:
        """An image into all nodes: the tests' own unless told."""

        def hosts(_: str) -> tuple[str, ...]:
            return nodes.hosts_of(self.id, self.service.agent.client.wanted())

        given = archive or self.archive
        read = archives.read(given, given.parent)
        for one in nodes.into(self.service.agent.client, (read,), NAME, hosts):
            assert one.state == "done", one


def is_ready(node: dict[str, Any]) -> bool:
    conditions = node["status"].get("conditions", [])
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def is_available(deployment: dict[str, Any]) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment["status"]
    return bool(status.get("availableReplicas", 0) == wanted and status.get("updatedReplicas", 0) == wanted)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Made, all nodes Ready and cluster DNS available; afterwards everything has gone."""
    visitor, archive = built(folder), folder / "visitor.tar"
    images.write(image(visitor), archive)
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(services.running_service(folder))
        stack.enter_context(world.names(service.netns, {**world.NAMES, **NAMES}))
        outside = stack.enter_context(world.beyond(service.netns))
        witness = stack.enter_context(world.witness(service.netns, outside))
        made = Cluster(service, visitor, archive, witness=witness)
        make(made, NODES)
        made.load_image()
        print("\nthe shared cluster: " + ", ".join(f"{what} {took:.1f} s" for what, took in made.phases.items()))
        yield made
        # Whatever tests did: it is an address that somebody out there may have, and answer at.
        left = witness.within((*addresses.TAKEN, SERVICES))
        assert not left, f"these left the machine: {left}"


def built(folder: Path, program: str = "visitor") -> Path:
    """A program of tests, by the Go that builds the engines, and in the way that they are built. It is kept beside
    them: `metrics` is three minutes of a processor's the first time, and to link it takes seconds."""
    module = Path(__file__).parent / program
    chosen = engine_settings.from_environment(os.environ)
    go = build.toolchain(
        recipe.go_wanted((module / "go.mod").read_text()), chosen, progress.Teller("", progress.silent)
    )
    release = catalog.resolve(chosen.catalog, "1.37", catalog.machine_arch())
    way = release.engine.build
    assert way is not None
    (of,) = recipe.targets(release, way)

    def command(target: Path) -> list[str]:
        words = recipe.arguments(release, way, of, target)
        return [str(go.command), *(word for word in words if not word.startswith("-modfile="))]

    sources = [path.read_bytes() for path in sorted(module.rglob("*")) if path.is_file()]
    of_all = hashlib.sha256(b"\0".join([*sources, *(word.encode() for word in command(Path(program)))])).hexdigest()
    kept = chosen.cache / "tests" / f"{program}-{of_all[:16]}"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}")
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
        done = subprocess.run(
            command(new), cwd=module, capture_output=True, text=True, check=False, timeout=600, env=environment
        )
        assert done.returncode == 0, done.stderr
        new.rename(kept)
    shutil.copy2(kept, folder / program)
    return folder / program


def image(visitor: Path) -> images.Image:
    """`visitor`, and programs of this machine with their libraries: what every Debian has."""
    programs = {name: Path(shutil.which(name) or name).resolve() for name in ("sh", "sleep", "cat", "date")}
    tree: dict[str, images.Node] = {f"bin/{name}": images.ImageFile(path, 0o755) for name, path in programs.items()}
    listed = subprocess.run(["ldd", *map(str, programs.values())], capture_output=True, text=True, check=True).stdout
    for library in set(re.findall(r"/\S+(?=\s\(0x)", listed)):
        tree[library.lstrip("/")] = images.ImageFile(Path(library).resolve(), 0o755)
    tree["bin/visitor"] = images.ImageFile(visitor, 0o755)
    return images.Image(name=IMAGE, arch=engine.get("pause").arch, tree=tree, environment={"PATH": "/bin"})


def make(made: Cluster, nodes: int, version: str | None = None, *, own_vpc: bool = True) -> None:
    """As a customer would, by boto3: all nodes Ready, and what a cluster has from the start available.

    own_vpc: False for a cluster in the region's default VPC.
    """
    aws = made.service.aws
    began = time.monotonic()

    def note(what: str) -> None:
        made.phases[what] = time.monotonic() - began

    def role(name: str, service: str) -> str:
        allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        arn: str = aws("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        return arn

    subnets = _made(aws) if own_vpc else _default(aws)
    roles = role("cluster", "eks.amazonaws.com"), role("node", "ec2.amazonaws.com")
    asked: dict[str, Any] = {} if version is None else {"version": version}
    aws("eks", "create_cluster", name=NAME, roleArn=roles[0], resourcesVpcConfig={"subnetIds": subnets}, **asked)
    _until_active(lambda: aws("eks", "describe_cluster", name=NAME)["cluster"], 120)
    note("control plane")
    size = {"minSize": nodes, "maxSize": nodes + 1, "desiredSize": nodes}
    group = {"clusterName": NAME, "nodegroupName": GROUP}
    aws("eks", "create_nodegroup", nodeRole=roles[1], subnets=subnets, scalingConfig=size, **group)
    _until_active(lambda: aws("eks", "describe_nodegroup", **group)["nodegroup"], 120)
    note(f"{nodes} nodes")
    wanted = made.service.agent.client.wanted()["hosts"]
    made.id = next(host for host in wanted if host.endswith(".edge")).removesuffix(".edge")
    made.log_in()
    made.until_well(90)
    note("system workloads")


def _made(aws: Callable[..., dict[str, Any]]) -> list[str]:
    vpc = aws("ec2", "create_vpc", CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    subnets = []
    for number, letter in enumerate("abc"):
        where = {"CidrBlock": f"192.168.{32 * number}.0/19", "AvailabilityZone": f"{services.REGION}{letter}"}
        subnets.append(aws("ec2", "create_subnet", VpcId=vpc, **where)["Subnet"]["SubnetId"])
    return subnets


def _default(aws: Callable[..., dict[str, Any]]) -> list[str]:
    found = aws("ec2", "describe_subnets", Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    return [subnet["SubnetId"] for subnet in found]


def _until_active(describe: Callable[[], dict[str, Any]], seconds: float) -> None:
    def made() -> bool:
        return str(describe()["status"]) != "CREATING"

    waiting.until("it is made", made, seconds)
    now = describe()
    assert now["status"] == "ACTIVE", now
