"""A namespace as it is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roadstead.network import spec as networks
from roadstead.store import keys, kinds


@dataclass(frozen=True)
class Namespace:
    name: str
    vpc: str
    tags: Mapping[str, str] = field(default_factory=dict)


def _vpc(key: keys.Key, namespace: Namespace) -> tuple[keys.Key]:
    return (networks.VPCS.key(key.account, key.region, namespace.vpc),)


NAMESPACES = kinds.Kind(
    "namespace",
    Namespace,
    service="servicediscovery",
    arn=kinds.ArnTemplate("namespace", "arn:aws:servicediscovery:{region}:{account}:namespace/{0}"),
    refers={networks.VPC: _vpc},
    quota=2,
)
