"""Hosts from within: what the agent puts where, and what components' flags and files therefore name."""

from __future__ import annotations

FILES = "/etc/units"
"""Files of units."""
ENGINES = "/engine"
"""Installed engines."""
SERVICES = "/run/service"
"""s6's scan folder: a folder for each unit."""

PODS = "/run/roadstead-agent"
"""Of nodes: the folder with the agent's socket for the requests of the CNI program, engines/cni."""
PODS_SOCKET = "pods.sock"

SYSTEM = "system"
"""The engine of units that are programs of the machine itself."""
RUNC = "runc-"
"""What the ids of engines begin with whose one component makes hosts, and the containers in nodes."""
CONTAINERD = "containerd"
"""The unit of nodes that keeps images, and its folder below `/var/lib`, which the agent fills on a new disk."""
IMAGES = "k8s.io"
"""The namespace of containerd that kubelet's CRI uses: images for pods are imported into it."""


def files(unit: str) -> str:
    """The folder of a unit's files."""
    return f"{FILES}/{unit}"


def state(unit: str) -> str:
    """What a unit keeps, on the host's disk; its home."""
    return f"/var/lib/{unit}"


def engine(id: str) -> str:
    """The folder with an engine's components."""
    return f"{ENGINES}/{id}"
