"""What hosts are called: at the agent, and in the names that a VPC's resolver knows.

Source of a node's name: Amazon VPC User Guide, "Amazon EC2 instance hostname types" (IP name).
"""

from __future__ import annotations

DOMAIN = "compute.internal"


def domain(region: str) -> str:
    """Of all nodes of a region."""
    return f"{region}.{DOMAIN}"


def node(address: str, region: str) -> str:
    """What a node calls itself, and what the resolver of its VPC knows: `ip-10-0-0-4.eu-central-1.compute.internal`."""
    return f"ip-{address.replace('.', '-')}.{domain(region)}"


def host(cluster: str, name: str) -> str:
    """The id at the agent of a member (`etcd-a`) or an instance (`i-...`) of the cluster with that id (`c-...`)."""
    return f"{cluster}.{name}"


def cluster(host: str) -> str:
    """The id of the cluster that a host is of."""
    return host.partition(".")[0]


def within(host: str) -> str:
    """A host's name in its cluster."""
    return host.partition(".")[2]
