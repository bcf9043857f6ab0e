"""One cluster from its CreateCluster to its nodes and cluster DNS, with the time at which each part of it came."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from dataclasses import dataclass, field
from typing import Any

from testkit import kube, waiting

from bench import stage

NODES = "ng-1"
_ZONES = "abc"
_TIMEOUT = 180.0
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"
_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"


@dataclass
class Made:
    """A cluster that runs. Times are seconds from CreateCluster."""

    name: str
    id: str
    vpc: str
    subnets: list[str]
    port: int
    began: float
    """Unix time."""
    times: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """What was still missing, by the time that never came."""

    def mark(self, what: str, at: float | None = None) -> None:
        self.times.setdefault(what, (at or time.time()) - self.began)


def _role(iam: Any, name: str, service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy)
    arn: str = iam.get_role(RoleName=name)["Role"]["Arn"]
    return arn


def created(on: stage.Stage, name: str) -> Made:
    """A cluster, asked for. Its VPC and role are made before its clock starts, as any command does."""
    ec2, eks = on.aws("ec2"), on.aws("eks")
    vpc = ec2.create_vpc(CidrBlock="192.168.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"192.168.{32 * n}.0/19", AvailabilityZone=f"{stage.REGION}{zone}")[
            "Subnet"
        ]["SubnetId"]
        for n, zone in enumerate(_ZONES)
    ]
    role = _role(on.aws("iam"), "cluster", "eks.amazonaws.com")
    assert on.seen is not None
    began = time.time()
    eks.create_cluster(name=name, roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
    made = Made(name, "", vpc, subnets, 0, began)
    made.mark("CreateCluster answered")
    return made


def awaited(on: stage.Stage, made: Made) -> None:
    """Until the cluster is ACTIVE, and its endpoint was usable on the way."""
    eks = on.aws("eks")
    asks: list[kube.Api] = []

    def active() -> bool:
        found = eks.describe_cluster(name=made.name)["cluster"]
        if not made.port and found.get("endpoint"):
            made.port = int(found["endpoint"].rpartition(":")[2])
        if made.port and "endpoint usable" not in made.times and kube.healthy("127.0.0.1", made.port):
            made.mark("endpoint usable")
            made.id = _id(on, made.port)
        if made.id and not asks:
            with contextlib.suppress(LookupError):
                asks.append(api(on, made))
        if asks and "service account" not in made.times and asks[0].get(_ACCOUNT):
            made.mark("service account")
        if found["status"] == "FAILED":
            raise RuntimeError(f"{made.name}: {found['health']}")
        return bool(found["status"] == "ACTIVE")

    waiting.until(f"{made.name} ACTIVE", active, _TIMEOUT)
    made.mark("ACTIVE")
    units = [f"{made.id}.{kind}-{zone}/{unit}" for zone in _ZONES for kind, unit in _MEMBERS]
    made.mark("3+3 ready", max(on.seen.first["units", unit]["ready"] for unit in units))


_MEMBERS = (("etcd", "etcd"), ("api", "kube-apiserver"))


def _id(on: stage.Stage, port: int) -> str:
    """Of the cluster whose endpoint is published there, `c-1a2b3c4d`."""
    for id, record in on.client.wanted()["publishes"].items():
        spec = record["spec"]
        if isinstance(spec, dict) and spec["port"] == port:
            return id.partition(".")[0]
    raise LookupError(f"no endpoint is published at port {port}")


def api(on: stage.Stage, made: Made) -> kube.Api:
    """Through the endpoint."""
    return on.api(made.id, "127.0.0.1", made.port)


def accounted(on: stage.Stage, made: Made) -> None:
    """Until `default` has its service account."""
    ask = api(on, made)
    waiting.until("the service account", lambda: ask.get(_ACCOUNT), _TIMEOUT, every=0.02)
    made.mark("service account")


def grown(on: stage.Stage, made: Made, count: int) -> None:
    """A nodegroup of so many nodes, asked for."""
    role = _role(on.aws("iam"), "node", "ec2.amazonaws.com")
    on.aws("eks").create_nodegroup(
        clusterName=made.name,
        nodegroupName=NODES,
        nodeRole=role,
        subnets=made.subnets,
        instanceTypes=["t3.medium"],
        scalingConfig={"minSize": 0, "maxSize": count, "desiredSize": count},
    )
    made.mark("CreateNodegroup answered")


def joined(on: stage.Stage, made: Made, count: int) -> None:
    """Until all nodes are Ready, and two pods of cluster DNS are."""
    ask = api(on, made)
    ask.awaited("/api/v1/nodes", lambda seen: len(nodes(seen)) == count, _TIMEOUT, f"{count} nodes Ready")
    made.mark(f"{count} nodes Ready")
    ask.awaited(_SLICES, dns_ready, _TIMEOUT, "cluster DNS")
    made.mark("DNS answering")


def nodes(seen: list[kube.Json]) -> list[str]:
    """Names of the nodes that are Ready."""
    return [
        node["metadata"]["name"]
        for node in seen
        if any((c["type"], c["status"]) == ("Ready", "True") for c in node["status"].get("conditions", []))
    ]


def dns_ready(slices: list[kube.Json]) -> bool:
    """kube-dns has an address that answers: CoreDNS is ready only when it has read the cluster."""
    return any(
        endpoint["conditions"].get("ready")
        for one in slices
        if one["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "kube-dns"
        for endpoint in one.get("endpoints") or []
    )


def removed(on: stage.Stage, made: Made) -> float:
    """Everything of it; seconds."""
    eks, ec2 = on.aws("eks"), on.aws("ec2")
    began = time.time()

    def gone(call: Any, **named: str) -> bool:
        try:
            call(**named)
        except eks.exceptions.ResourceNotFoundException:
            return True
        return False

    for group in eks.list_nodegroups(clusterName=made.name)["nodegroups"]:
        eks.delete_nodegroup(clusterName=made.name, nodegroupName=group)
        ended = functools.partial(gone, eks.describe_nodegroup, clusterName=made.name, nodegroupName=group)
        waiting.until("the nodegroup's end", ended, 60, every=0.02)
    eks.delete_cluster(name=made.name)
    waiting.until("the cluster's end", lambda: gone(eks.describe_cluster, name=made.name), 60, every=0.02)
    for subnet in made.subnets:
        ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=made.vpc)
    return time.time() - began
