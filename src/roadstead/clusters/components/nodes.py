"""A node as the agent is asked for it: its host, and its three units.

host(node, network, prefixes, disk, size) -> desired.Host
units(node, Files(...), size, subnet, registries) -> {"containerd": Unit, "kubelet": Unit, "kube-proxy": Unit}
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from roadstead.clusters.components import containerd, facts, kube_proxy, kubelet, registries
from roadstead.contract import layout
from roadstead.contract.messages import desired
from roadstead.network import sizes

KUBELET_FILES = ("ca.pem", "bootstrap.kubeconfig")
KUBE_PROXY_FILES = ("kubeconfig",)
"""The files whose digests `Files` must hold, with those of `registries.secrets` for containerd."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """The digests of the files of a node's units that come as blobs, by unit."""

    containerd: facts.Digests = field(default_factory=dict)
    kubelet: facts.Digests = field(default_factory=dict)
    kube_proxy: facts.Digests = field(default_factory=dict)


def host(
    node: facts.Node, network: str, prefixes: tuple[str, ...], disk: int, size: sizes.Size, subnet: str
) -> desired.Host:
    """The node's computer. `disk` is in GiB, sparse; `prefixes` are the pods' networks behind the node's address.

    containerd asks the resolver of the `subnet` (a CIDR) for registries' names.

    Of processors nothing is limited: what the node's type says is what its kubelet offers, and what machines have is
    shared. Of memory the agent lets it have what its type says.
    """
    return desired.Host(
        role="node",
        privilege="privileged",
        zone=node.zone,
        legs=(desired.Leg(network=network, address=node.address, prefixes=prefixes),),
        hostname=node.name,
        disk=desired.Disk(kind="ext4", size=disk * 2**30),
        shape=desired.Shape(vcpus=size.vcpus, memory=size.memory * 2**20),
        resolvers=(resolver(subnet),),
    )


def units(
    node: facts.Node, files: Files, size: sizes.Size, subnet: str, of: registries.Registries
) -> dict[str, desired.Unit]:
    """A node's units by name. `subnet` is the CIDR that its address is from."""
    return {
        layout.CONTAINERD: containerd.unit(node, of, files.containerd),
        "kubelet": kubelet.unit(node, files.kubelet, size, resolver(subnet)),
        "kube-proxy": kube_proxy.unit(node, files.kube_proxy),
    }


def resolver(subnet: str) -> str:
    """Where a subnet's hosts ask for names: its base+2."""
    return str(ipaddress.ip_network(subnet)[2])
