"""The facts that flags and files of components are made from: frozen, complete, without secrets.

Secrets are references: a component's function is given the digest of each secret file that its unit has, by the
file's name; the bytes travel to the agent as blobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

Digests: TypeAlias = Mapping[str, str]
"""File names of a unit, each with the digest (`sha256:...`) of its content."""

API_PORT = 443
"""Of every API server and of the private endpoint: the `kubernetes` Service leads there, too."""
ETCD_PORT = 2379
PEER_PORT = 2380
CORES = 2
"""Processors of a machine of which nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Engines:
    """The ids of the engines at the agent: `kubernetes-1.37.2`, `etcd-3.6.16`, `containerd-2.3.7`."""

    kubernetes: str
    etcd: str
    containerd: str
    runc: str = ""
    """Empty where it is not to be had: nodes then have the machine's."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One zone's part of a control plane: an etcd and an API server."""

    letter: str
    """`a`, `b` or `c`."""
    zone: str
    """`eu-central-1a`."""
    etcd: str
    """The address of its etcd in the control-plane network."""
    api: str
    """The address of its API server there."""
    api_vpc: str
    """The address of its API server in the VPC."""
    resolver: str = ""
    """Where its API server asks for names, in the VPC."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where the API servers are reached through the edge."""

    control: str
    """The edge's address in the control-plane network."""
    private: str
    """The edge's address in the VPC: what kubelets and pods use, at API_PORT."""
    public: str
    """An address of the machine, or what users reach it by."""
    port: int
    """The port there."""


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Where a control plane is: the same for its life, whatever release runs there."""

    id: str
    """`c-1a2b3c4d`, the prefix of its hosts at the agent."""
    name: str
    account: str
    region: str
    members: tuple[Member, ...]
    endpoint: Endpoint
    vpc_cidr: str
    service_cidr: str
    webhook: str
    """The address in the control-plane network where porter answers the API servers."""
    webhook_port: int = 443


@dataclass(frozen=True, kw_only=True)
class ControlPlane(Topology):
    """A topology with what runs there: all that its components' flags depend on."""

    release: str
    """Of Kubernetes: `1.37.2`."""
    engines: Engines
    logs: tuple[str, ...] = ()
    cores: int = CORES
    """Processors of the machine that all of it is on."""
    patience: int = 1
    """How much longer than usual its components wait for each other (capacity.pace)."""

    @property
    def minor(self) -> str:
        return ".".join(self.release.split(".")[:2])

    @property
    def share(self) -> dict[str, str]:
        """The environment of each of its programs that Go has made: half of the machine's processors at once.

        A dozen of them are on one machine. Each that wakes another processor whenever it has two things to do, and lets
        it look for more in vain, costs all of them a quarter to a third when nobody asks anything of them.
        """
        return {"GOMAXPROCS": str(max(1, self.cores // 2))}


def running(
    topology: Topology, *, release: str, engines: Engines, logs: tuple[str, ...], cores: int | None, patience: int
) -> ControlPlane:
    """The control plane of a topology when this runs there."""
    placed: dict[str, Any] = {each.name: getattr(topology, each.name) for each in fields(topology)}
    cores = CORES if cores is None else cores
    return ControlPlane(**placed, release=release, engines=engines, logs=logs, cores=cores, patience=patience)


@dataclass(frozen=True, kw_only=True)
class Node:
    """All of a node that its components' flags depend on."""

    id: str
    """`i-0123456789abcdef0`."""
    name: str
    """`ip-192-168-1-2.eu-central-1.compute.internal`."""
    address: str
    zone: str
    region: str
    release: str
    """Of Kubernetes on the node."""
    engines: Engines
    instance_type: str
    architecture: str
    """`x86_64` or `arm64`."""
    most_pods: int
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those of the nodegroup's owner and eksctl's; the rest is computed."""
    taints: tuple[tuple[str, str, str], ...] = ()
    """Key, value, effect as EKS has it (`NO_SCHEDULE`)."""
    nodegroup: str = ""
    image: str = ""
    """The image type, for labels."""
    capacity: str = "ON_DEMAND"
    api: str
    """`https://ADDRESS:PORT` of the private endpoint."""
    service_cidr: str
    vpc_cidr: str
    pause_image: str
    images: tuple[str, ...] = ()
    """Digests of the archives of images that every node has."""

    @property
    def minor(self) -> str:
        return ".".join(self.release.split(".")[:2])
