"""The labels and taints that a nodegroup gives each of its nodes in Kubernetes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roadstead.clusters import nodegroups
from roadstead.clusters.components import kubelet


@dataclass(frozen=True)
class NodeMetadata:
    """`taints`: key, value and effect in Kubernetes' words."""

    labels: Mapping[str, str]
    taints: tuple[tuple[str, str, str], ...] = ()


def of(group: nodegroups.Nodegroup) -> NodeMetadata:
    """Without the labels that kubelet keeps right by itself."""
    labels = kubelet.group_labels(group.labels, nodegroup=group.name, capacity=group.capacity, image=group.image)
    return NodeMetadata(
        {name: value for name, value in sorted(labels.items()) if name not in kubelet.OWN_LABELS},
        tuple((taint.key, taint.value, kubelet.effect(taint.effect, taint.key)) for taint in group.taints),
    )
