"""What the objects that Roadstead puts into every cluster are made from: frozen, complete, without secrets."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Images:
    """Names of images as nodes have them: `registry/name:tag`."""

    coredns: str
    provisioner: str
    """Makes PersistentVolumes."""
    more: tuple[tuple[str, str], ...] = ()
    """Others by a word of the object's own, for what comes later."""


@dataclass(frozen=True, kw_only=True)
class SystemFacts:
    """All of a cluster that its system objects depend on."""

    id: str
    """`c-1a2b3c4d`, the prefix of its hosts at the agent."""
    name: str
    account: str
    region: str
    zones: tuple[str, ...]
    """`eu-central-1a`, ...: those that nodes may be in."""
    release: str
    """Of Kubernetes: `1.37.2`."""
    service_cidr: str
    dns: str
    """The address of the Service kube-dns."""
    vpc_cidr: str
    resolvers: tuple[str, ...]
    """Addresses of the VPC resolver, where CoreDNS asks for all other names."""
    images: Images
    settings: tuple[tuple[str, str], ...] = field(default=())
    """More by name, for objects that come later."""

    @property
    def minor(self) -> str:
        """`1.37`."""
        return ".".join(self.release.split(".")[:2])
