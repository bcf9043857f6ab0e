"""What a ClusterConfig cannot say: numbers and names that do not fit together, and values that Roadstead refuses."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from roadstead.cli import config
from roadstead.core import addresses, errors

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
_LONGEST_NAME = 100
_FEWEST_ZONES = 2
_MOST_ZONES = 4
"""The VPC is cut in eight: a public and a private subnet for each zone."""
_NODEGROUP = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,62}")
MOST_NODES = 450
"""Of a nodegroup: EKS's default quota."""
_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
_MOST_UNAVAILABLE = 100
_PLACES = ("region", "zone")
_LABEL = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
"""Of labels. Source: Kubernetes, "Labels and selectors": syntax and character set."""
RESERVED_DOMAIN = "eks.amazonaws.com"
"""Of labels that EKS gives nodes itself, and below the labels that each node has of its own."""
RESERVED_LABELS = frozenset(
    {
        *(f"{domain}kubernetes.io/{name}" for domain in ("", "beta.") for name in ("arch", "os")),
        *(f"{domain}.kubernetes.io/instance-type" for domain in ("beta", "node")),
        *(f"{domain}.kubernetes.io/{name}" for domain in ("failure-domain.beta", "topology") for name in _PLACES),
        "kubernetes.io/hostname",
    }
)
_VERSION = re.compile(r"1\.\d{2,}")

_NO_SSH = "nodes of Roadstead run no SSH server; use 'roadstead shell'"
_NO_TEMPLATE = "Roadstead has no launch templates yet"
_NO_SELECTOR = "Roadstead selects no instance types; name one by instanceType"
_ONE_IMAGE = "Roadstead has one image for nodes, of the family AmazonLinux2023"

REFUSED_VALUES: dict[str, tuple[tuple[object, ...], str]] = {
    "accessConfig.accessEntries": (((),), "make them by 'aws eks create-access-entry' when the cluster is there"),
    "iam.withOIDC": ((False,), "Roadstead gives pods no AWS identities yet"),
    "kubernetesNetworkConfig.ipFamily": (("IPv4",), "Roadstead's networks speak IPv4 only"),
    "autoModeConfig.enabled": ((False,), "Roadstead has no Auto Mode"),
    "privateCluster.enabled": ((False,), "Roadstead has no VPC endpoints yet"),
    "vpc.autoAllocateIPv6": ((False,), "Roadstead's networks speak IPv4 only"),
    "vpc.id": ((), "give the subnets by vpc.subnets; they know their VPC"),
    "vpc.clusterEndpoints.publicAccess": ((True,), "Roadstead has no endpoints for the VPC alone yet"),
    "vpc.publicAccessCIDRs": (((), ("0.0.0.0/0",)), "Roadstead keeps nobody away from an endpoint by address yet"),
    "vpc.securityGroup": ((), "Roadstead has one security group for each cluster"),
    "vpc.sharedNodeSecurityGroup": ((), "Roadstead has one security group for each cluster"),
    "vpc.controlPlaneSubnetIDs": ((), "give the subnets by vpc.subnets"),
    "cloudWatch.clusterLogging.enableTypes": (((),), "Roadstead keeps no cluster logs yet"),
    "managedNodeGroups[].ami": ((), _ONE_IMAGE),
    "managedNodeGroups[].amiFamily": (("AmazonLinux2023",), _ONE_IMAGE),
    "managedNodeGroups[].maxPodsPerNode": ((), _NO_TEMPLATE),
    "managedNodeGroups[].instancePrefix": ((), _NO_TEMPLATE),
    "managedNodeGroups[].instanceName": ((), _NO_TEMPLATE),
    "managedNodeGroups[].disablePodIMDS": ((False,), "nodes of Roadstead have no instance metadata yet"),
    "managedNodeGroups[].ssh.allow": ((False,), _NO_SSH),
    "managedNodeGroups[].ssh.enableSsm": ((False,), "Roadstead has no Systems Manager; use 'roadstead shell'"),
    "managedNodeGroups[].ssh.publicKeyPath": (("",), _NO_SSH),
    "managedNodeGroups[].ssh.publicKeyName": (("",), _NO_SSH),
    "managedNodeGroups[].securityGroups.attachIDs": (((),), _NO_TEMPLATE),
    "managedNodeGroups[].securityGroups.withLocal": ((False,), "eksctl has it for self-managed nodegroups only"),
    "managedNodeGroups[].securityGroups.withShared": ((False,), "eksctl has it for self-managed nodegroups only"),
    "managedNodeGroups[].instanceSelector.vCPUs": ((), _NO_SELECTOR),
    "managedNodeGroups[].instanceSelector.memory": ((), _NO_SELECTOR),
    "managedNodeGroups[].instanceSelector.gpus": ((), _NO_SELECTOR),
    "managedNodeGroups[].instanceSelector.neuron_devices": ((), _NO_SELECTOR),
    "managedNodeGroups[].instanceSelector.cpuArchitecture": ((), _NO_SELECTOR),
}
"""By path: the only values that Roadstead takes, and why no other. What is left out is always taken."""


def check(filled: config.ClusterConfig, tree: dict[str, Any]) -> None:
    """Raises Invalid for the first thing that cannot be. `filled` has its defaults; `tree` is its plain data."""
    for path, (allowed, reason) in REFUSED_VALUES.items():
        for where, value in values(tree, path):
            if value is not None and _hashable(value) not in allowed:
                raise errors.Invalid(f"{where}: {_spoken(value)} is not supported: {reason}")
    _metadata(filled.metadata or config.Metadata())
    if filled.vpc is not None:
        _network(filled)
    names: set[str] = set()
    for index, group in enumerate(filled.managed_node_groups or ()):
        where = f"managedNodeGroups[{index}]"
        _nodegroup(group, where)
        if group.name in names:
            raise errors.Invalid(f"{where}.name: there are two nodegroups named {group.name!r}")
        names.add(group.name or "")


def values(tree: Any, path: str, where: str = "") -> Iterator[tuple[str, Any]]:
    """All values at a path such as `managedNodeGroups[].ssh.allow`, each with its place."""
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    found = tree.get(name) if isinstance(tree, dict) else None
    if found is None:
        return
    here = f"{where}.{name}" if where else name
    inner = [(f"{here}[{index}]", each) for index, each in enumerate(found)] if name != first else [(here, found)]
    for place, value in inner:
        if rest:
            yield from values(value, rest, place)
        else:
            yield place, value


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _spoken(value: Any) -> str:
    if isinstance(value, list | tuple | dict):
        return "this"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _metadata(metadata: config.Metadata) -> None:
    named = metadata.name or ""
    if not _NAME.fullmatch(named) or len(named) > _LONGEST_NAME:
        raise errors.Invalid(
            f"validation for {named} failed, name must satisfy regular expression pattern: {_NAME.pattern} "
            f"and have at most {_LONGEST_NAME} characters"
        )
    if metadata.version is not None and not _VERSION.fullmatch(metadata.version):
        raise errors.Invalid(f"metadata.version: {metadata.version!r} is no version of Kubernetes such as 1.37")


def _network(filled: config.ClusterConfig) -> None:
    vpc = filled.vpc or config.Vpc()
    ranges = {"vpc.cidr": vpc.cidr}
    if filled.kubernetes_network_config is not None:
        ranges["kubernetesNetworkConfig.serviceIPv4CIDR"] = filled.kubernetes_network_config.service_ipv4_cidr
    for path, text in ranges.items():
        if text is not None:
            _range(path, text)
    if vpc.cidr is not None and not 16 <= ipaddress.IPv4Network(vpc.cidr).prefixlen <= 24:
        raise errors.Invalid(f"vpc.cidr: {vpc.cidr} has no room for eight subnets: take a prefix from /16 to /24")
    _apart({path: text for path, text in ranges.items() if text is not None})
    services = ranges.get("kubernetesNetworkConfig.serviceIPv4CIDR")
    if services is not None:
        _services(ipaddress.IPv4Network(services))
    if vpc.subnets is not None and filled.availability_zones:
        raise errors.Invalid("vpc.subnets and availabilityZones cannot be set at the same time")
    _zones(filled.availability_zones)


def _zones(zones: tuple[str, ...] | None) -> None:
    different = len(set(zones or ()))
    if zones is not None and different < _FEWEST_ZONES:
        raise errors.Invalid(f"only {different} zone(s) specified {list(zones)}, {_FEWEST_ZONES} are required")
    if zones is not None and not different == len(zones) <= _MOST_ZONES:
        raise errors.Invalid(f"availabilityZones: {list(zones)}: name each once, and at most {_MOST_ZONES} zones")


def _range(path: str, text: str) -> None:
    try:
        ipaddress.IPv4Network(text)
    except ValueError as error:
        raise errors.Invalid(f"{path}: {text!r} is no range of IPv4 addresses: {error}") from error


def _apart(ranges: dict[str, str]) -> None:
    """The VPC and the services keep off each other and off what is fixed."""
    networks = {path: ipaddress.IPv4Network(text) for path, text in ranges.items()}
    for path, network in networks.items():
        for taken, by in addresses.TAKEN.items():
            if network.overlaps(ipaddress.IPv4Network(taken)):
                raise errors.Invalid(f"{path}: {network} overlaps {taken}, which is kept for {by}")
    if len(networks) == 2:
        (first, one), (second, other) = networks.items()
        if one.overlaps(other):
            raise errors.Invalid(f"{second}: {other} overlaps {first}: {one}")


def _services(network: ipaddress.IPv4Network) -> None:
    """Source: EKS API Reference, KubernetesNetworkConfigRequest."""
    private = any(network.subnet_of(ipaddress.IPv4Network(each)) for each in _PRIVATE)
    if not private or not 12 <= network.prefixlen <= 24:
        raise errors.Invalid(
            f"kubernetesNetworkConfig.serviceIPv4CIDR: {network} must be in one of {', '.join(_PRIVATE)}, "
            "with a prefix from /12 to /24"
        )


def check_label(key: str, value: str, where: str) -> None:
    """The syntax of labels and taints of Kubernetes. Raises Invalid."""
    prefix, slash, name = key.rpartition("/")
    good = _LABEL.fullmatch(name) and (not slash or (len(prefix) <= 253 and _PREFIX.fullmatch(prefix)))
    if not good or (value and not _LABEL.fullmatch(value)):
        raise errors.Invalid(
            f"{where}: {key}={value} is not valid: names and values have at most 63 letters, digits, '-', '_' and '.', "
            "and begin and end with a letter or digit"
        )


def _check_free_label(key: str, where: str) -> None:
    """Raises Invalid for a label that a nodegroup cannot give."""
    domain = key.rpartition("/")[0]
    if domain == RESERVED_DOMAIN or domain.endswith(f".{RESERVED_DOMAIN}") or key in RESERVED_LABELS:
        raise errors.Invalid(f"{where}: the label {key} is reserved: nodes have it of their own")


def _nodegroup(group: config.ManagedNodeGroup, where: str) -> None:
    if not _NODEGROUP.fullmatch(group.name or ""):
        raise errors.Invalid(
            f"{where}.name: {group.name!r} is not valid: it has at most 63 letters, digits, '-' and '_', and begins "
            "with a letter or digit"
        )
    least, asked, most = group.min_size, group.desired_capacity, group.max_size
    check_sizes(least, asked, most)
    if group.instance_type and group.instance_types:
        raise errors.Invalid(f"{where}: only one of instanceType and instanceTypes can be specified")
    if most is not None and most > MOST_NODES:
        raise errors.Invalid(f"{where}: a nodegroup has at most {MOST_NODES} nodes, not {most}")
    if group.volume_size is not None and group.volume_size < 1:
        raise errors.Invalid(f"{where}.volumeSize: {group.volume_size} is no size of a disk in GiB")
    for key, value in (group.labels or {}).items():
        check_label(key, value, f"{where}.labels")
        _check_free_label(key, f"{where}.labels")
    update = group.update_config
    if update is not None and (update.max_unavailable is None) == (update.max_unavailable_percentage is None):
        raise errors.Invalid(f"{where}.updateConfig: one of maxUnavailable and maxUnavailablePercentage must be set")
    if update is not None and most is not None and (update.max_unavailable or 0) > min(most, _MOST_UNAVAILABLE):
        raise errors.Invalid(
            f"{where}.updateConfig: maxUnavailable {update.max_unavailable} is more than the maximum of nodes, {most}, "
            f"or than {_MOST_UNAVAILABLE}"
        )
    for index, taint in enumerate(group.taints or ()):
        if not taint.key or taint.effect is None:
            raise errors.Invalid(f"{where}.taints[{index}]: key and effect must be set")
        check_label(taint.key, taint.value or "", f"{where}.taints[{index}]")


def check_sizes(least: int | None, asked: int | None, most: int | None) -> None:
    """The rules for numbers of nodes; None for one that is left as it is. Source: eksctl's scale.go."""
    for number, what in ((asked, "number of nodes"), (least, "minimum of nodes"), (most, "maximum of nodes")):
        if number is not None and number < 0:
            raise errors.Invalid(f"{what} must be 0 or greater")
    if most == 0:
        raise errors.Invalid("maximum of nodes must be 1 or greater")
    if most is not None and least is not None and most < least:
        raise errors.Invalid("maximum number of nodes must be greater than minimum number of nodes")
    if most is not None and asked is not None and most < asked:
        raise errors.Invalid("maximum number of nodes must be greater than or equal to number of nodes")
    if least is not None and asked is not None and least > asked:
        raise errors.Invalid("minimum number of nodes must be fewer than or equal to number of nodes")
