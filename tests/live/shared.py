"""The cluster that several files of live tests share: three API servers, three etcd, four nodes in three zones.

Made once for a run as a customer would make it, by boto3 against a Roadstead of its own. Tests leave it well: whoever
breaks something waits until all is as it was.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.live import service as services
from tests.live import world

from roadstead import engine
from roadstead.core import addresses, errors
from roadstead.engine import build, catalog, images, progress, recipe
from roadstead.engine import settings as engine_settings
from roadstead.machine.load import archives, nodes
from roadstead.messages import desired, observed

NAME, GROUP = "cluster-1", "ng-1"
NODES = 4
IMAGE = "roadstead.dev/visitor:1.0"
"""A shell, a few programs, and `visitor` (its Go module is beside this file)."""
SERVICES = "10.100.0.0/16"
"""The range that it has unless told."""
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

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Node objects by name."""
        return {node["metadata"]["name"]: node for node in self.get("nodes")["items"]}

    def ready_nodes(self) -> int:
        done = self.try_kubectl("get", "nodes", "--request-timeout=2s", "-o", "json", timeout=20)
        return sum(map(is_ready, json.loads(done.stdout)["items"])) if done.returncode == 0 else 0

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

        services.until("an etcd says that it leads", found, 20)
        return leads[0]

    def _leads(self, letter: str) -> bool:
        with contextlib.suppress(AssertionError, KeyError, errors.Error, subprocess.TimeoutExpired):
            found = json.loads(self._etcdctl(letter, "endpoint", "status"))[0]["Status"]
            return bool(found["leader"] == found["header"]["member_id"])
        return False

    def _etcdctl(self, letter: str, *words: str) -> str:
        wanted = self.service.agent.client.wanted()["units"][f"{self.host(f'etcd-{letter}')}/etcd"]["spec"]
        assert isinstance(wanted, dict)
        files = "/etc/units/etcd"
        shown = (f"--cacert={files}/ca.pem", f"--cert={files}/server.pem", f"--key={files}/server.key")
        command = (f"/engine/{wanted['engine']}/etcdctl", "--endpoints=https://127.0.0.1:2379", *shown, "-w=json")
        return self.service.in_host(self.host(f"etcd-{letter}"), *command, "--command-timeout=2s", *words, timeout=5)

    def holder(self, lease: str) -> str:
        """The letter of the controller-manager or scheduler that leads."""
        words = ("get", "lease", lease, "-n", "kube-system", "-o", "jsonpath={.spec.holderIdentity}")
        found = re.match(rf"{self.id}-api-([abc])", self.kubectl(*words))
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
        done = self.try_kubectl("get", "nodes,deployments", "-A", "--request-timeout=2s", "-o", "json", timeout=20)
        if done.returncode != 0:
            return done.stderr
        return ", ".join(
            one["metadata"]["name"]
            for one in json.loads(done.stdout)["items"]
            if not (is_ready(one) if one["kind"] == "Node" else is_available(one))
        )

    def until_well(self, seconds: float = WELL) -> float:
        """Seconds until all parts are ready, all nodes Ready, all deployments available."""
        began = time.monotonic()
        said = "?"

        def well() -> bool:
            nonlocal said
            said = self.unwell()
            return not said

        with contextlib.suppress(pytest.fail.Exception):
            services.until("all is well", well, seconds)
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
        stack.enter_context(world.names(service.netns, world.NAMES))
        outside = stack.enter_context(world.beyond(service.netns))
        witness = stack.enter_context(world.witness(service.netns, outside))
        made = Cluster(service, visitor, archive, witness=witness)
        _make(made)
        print("\nthe shared cluster: " + ", ".join(f"{what} {took:.1f} s" for what, took in made.phases.items()))
        yield made
        # Whatever tests did: it is an address that somebody out there may have, and answer at.
        left = witness.within((*addresses.TAKEN, SERVICES))
        assert not left, f"these left the machine: {left}"


def built(folder: Path, program: str = "visitor") -> Path:
    """A program of tests, by the Go that builds the engines, and in the way that they are built: what was compiled for
    them is used again. `metrics` is three minutes of a processor's otherwise."""
    module = Path(__file__).parent / program
    chosen = engine_settings.from_environment(os.environ)
    wanted = recipe.go_wanted((module / "go.mod").read_text())
    go = build.toolchain(wanted, chosen, progress.Teller(program, progress.silent))
    release = catalog.resolve(chosen.catalog, "1.37", catalog.machine_arch())
    assert release.engine.build is not None
    (target,) = recipe.targets(release, release.engine.build)
    words = recipe.arguments(release, release.engine.build, target, folder / program)
    command = [str(go.command), *(word for word in words if not word.startswith("-modfile="))]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": ""}
    done = subprocess.run(
        command, cwd=module, capture_output=True, text=True, check=False, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr
    return folder / program


def image(visitor: Path) -> images.Image:
    """`visitor`, and programs of this machine with their libraries: what every Debian has."""
    programs = {name: Path(shutil.which(name) or name).resolve() for name in ("sh", "sleep", "cat", "date")}
    tree: dict[str, images.Node] = {f"bin/{name}": images.File(path, 0o755) for name, path in programs.items()}
    listed = subprocess.run(["ldd", *map(str, programs.values())], capture_output=True, text=True, check=True).stdout
    for library in set(re.findall(r"/\S+(?=\s\(0x)", listed)):
        tree[library.lstrip("/")] = images.File(Path(library).resolve(), 0o755)
    tree["bin/visitor"] = images.File(visitor, 0o755)
    return images.Image(name=IMAGE, arch=engine.get("pause").arch, tree=tree, environment={"PATH": "/bin"})


def _make(made: Cluster) -> None:
    aws = made.service.aws
    began = time.monotonic()

    def note(what: str) -> None:
        made.phases[what] = time.monotonic() - began

    def role(name: str, service: str) -> str:
        allowed = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        arn: str = aws("iam", "create_role", RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        return arn

    vpc = aws("ec2", "create_vpc", CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws(
            *("ec2", "create_subnet"),
            VpcId=vpc,
            CidrBlock=f"192.168.{32 * number}.0/19",
            AvailabilityZone=f"{services.REGION}{letter}",
        )["Subnet"]["SubnetId"]
        for number, letter in enumerate("abc")
    ]
    roles = role("cluster", "eks.amazonaws.com"), role("node", "ec2.amazonaws.com")
    aws("eks", "create_cluster", name=NAME, roleArn=roles[0], resourcesVpcConfig={"subnetIds": subnets})
    _until_active(lambda: aws("eks", "describe_cluster", name=NAME)["cluster"], 120)
    note("control plane")
    size = {"minSize": NODES, "maxSize": NODES + 1, "desiredSize": NODES}
    group = {"clusterName": NAME, "nodegroupName": GROUP}
    aws("eks", "create_nodegroup", nodeRole=roles[1], subnets=subnets, scalingConfig=size, **group)
    _until_active(lambda: aws("eks", "describe_nodegroup", **group)["nodegroup"], 120)
    note("four nodes")
    wanted = made.service.agent.client.wanted()["hosts"]
    made.id = next(host for host in wanted if host.endswith(".edge")).removesuffix(".edge")
    made.log_in()
    made.until_well(90)
    note("system workloads")
    made.load_image()
    note("the tests' image")


def _until_active(describe: Callable[[], dict[str, Any]], seconds: float) -> None:
    now: dict[str, Any] = {}

    def over() -> bool:
        nonlocal now
        now = describe()
        return str(now["status"]) != "CREATING"

    services.until("it is made", over, seconds)
    assert now["status"] == "ACTIVE", now
