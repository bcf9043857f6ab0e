"""A host that is to be made, with all that its tree and its bundle are computed from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from roadstead.contract.messages import earlier

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from roadstead.agent.idmaps import ranges
    from roadstead.contract.messages import desired
    from roadstead.core.instance import HostPlaces


@dataclass(frozen=True)
class Shape:
    """The files of an instance type and the folder that they are in."""

    folder: Path
    files: Mapping[str, str]
    links: Mapping[str, str]


@dataclass(frozen=True)
class View:
    """A folder of the machine as a node with users of its own sees it. What is read-only it can never write to."""

    name: str
    read_only: bool = False


@dataclass(frozen=True)
class WantedHost:
    """One host."""

    instance: str
    id: str
    host: desired.Host
    uid: int
    places: HostPlaces
    engines: Path
    stores: Path
    cgroup: str
    shape: Shape | None
    """None: the machine's own processors and memory are seen."""
    ids: ranges.Range | None = None
    """Of a node with users of its own."""

    @property
    def lent(self) -> Path:
        """What is lent to the host for a while, `/lent` (read-only) in it."""
        return lent(self.places)

    @property
    def pods(self) -> Path:
        """Where the agent answers a node's CNI requests, `/run/roadstead-agent` (read-only) in it."""
        return pods(self.places)

    @property
    def root(self) -> Path:
        """Its root folder: that of a node is on its disk."""
        return self.places.node_root if self.node else self.places.root

    @property
    def usr(self) -> Path:
        """Empty folders that a node is to find in /usr and that the machine's lacks."""
        return (self.places.bundle if self.ids is None else self.places.shown) / "usr"

    @property
    def node(self) -> bool:
        """What it is for: to run pods."""
        return self.host.role == "node"

    @property
    def privileged(self) -> bool:
        """What it may do: see desired.Privilege."""
        return self.host.privilege == "privileged"

    def seen(self, place: Path) -> Path:
        """Where runc finds one of `views`: of a host without users of its own, that place itself."""
        return place if self.ids is None else self.places.shown / self.views[place].name

    @property
    def views(self) -> dict[Path, View]:
        """What a node with users of its own is shown with these as owners, before it is started."""
        return {
            self.root: View("root"),
            self.stores: View("stores", read_only=True),
            self.places.files: View("files", read_only=True),
            self.lent: View("lent", read_only=True),
            self.pods: View("pods", read_only=True),
        }


def lent(places: HostPlaces) -> Path:
    """Copies of blobs, for jobs in the host."""
    return places.state / "lent"


def pods(places: HostPlaces) -> Path:
    """The folder of the socket at which the host's CNI program asks."""
    return places.run / "pods"


def digest(host: desired.Host, uid: int) -> str:
    """What a running host cannot take over in place: role, privilege, name, disk, shape, user.

    It is of what was asked for and not of the bundle, so that a newer agent, whose bundles may look a little
    different, adopts running hosts instead of making them anew. Limits and names are changed in place; zone and legs
    do not concern the host's processes. Role and privilege are in it by the one word that hosts of earlier releases
    were made under, which gave each role its privilege.
    """
    asked = {
        "kind": earlier.kind(host.role),
        "hostname": host.hostname,
        "disk": msgspec.to_builtins(host.disk),
        "shape": msgspec.to_builtins(host.shape),
        "uid": uid,
    }
    if (host.privilege == "privileged") != (host.role == "node"):
        asked["privilege"] = host.privilege
    return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()
