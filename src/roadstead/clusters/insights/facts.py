"""What was seen of a cluster: facts that checks decide from. Times in seconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from roadstead.core import foreign


@dataclass(frozen=True, order=True)
class ApiName:
    """An API by its group, version and resource: `policy`, `v1beta1`, `poddisruptionbudgets`. The core group is ``."""

    group: str
    version: str
    resource: str

    def __post_init__(self) -> None:
        foreign.bind(self, "group", "version", "resource")

    @property
    def path(self) -> str:
        """`/apis/policy/v1beta1/poddisruptionbudgets`."""
        root = f"/apis/{self.group}" if self.group else "/api"
        return f"{root}/{self.version}/{self.resource}"


@dataclass(frozen=True)
class ApiUse:
    """That a deprecated API was requested of an API server since that started."""

    api: ApiName
    removed: str
    """The minor that removes it: `1.40`; empty: none was named."""
    requests: int
    """Since the API server started, with those that have ended."""
    watching: int = 0
    """Watches that go on."""

    def __post_init__(self) -> None:
        foreign.bind(self, "removed")


@dataclass(frozen=True)
class ApiServer:
    """What one API server counts."""

    name: str
    started: float = 0.0
    uses: tuple[ApiUse, ...] = ()
    trouble: str = ""
    """Why it is not known."""

    def __post_init__(self) -> None:
        foreign.bind(self, "trouble")


@dataclass(frozen=True)
class ApiWriter:
    """Who wrote an object by an API, by the name under which it manages fields; `at`: the last time."""

    manager: str
    at: float

    def __post_init__(self) -> None:
        foreign.bind(self, "manager")


@dataclass(frozen=True)
class ApiAround:
    """What else is known of a deprecated API."""

    api: ApiName
    replacement: str = ""
    """The path of the same in another version, which is served; empty: none is."""
    writers: tuple[ApiWriter, ...] = ()


@dataclass(frozen=True)
class NodeVersion:
    """`1.37.2`, as the Node has it."""

    name: str
    kubelet: str
    proxy: str
    """Of its kube-proxy; empty: not known."""

    def __post_init__(self) -> None:
        foreign.bind(self, "name", "kubelet", "proxy")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A PodDisruptionBudget. The numbers are of pods."""

    namespace: str
    name: str
    pods: int
    healthy: int
    wanted: int
    """That have to be healthy."""
    allowed: int
    """That may go now."""
    current: bool = True
    """The numbers are of the budget as it is now."""


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An admission webhook that fails closed: when it is not there, what it would have looked at is refused."""

    plural: str
    """`validatingwebhookconfigurations` or `mutatingwebhookconfigurations`."""
    configuration: str
    name: str
    service: str = ""
    """`NAMESPACE/NAME`; empty: it is called by a URL."""
    endpoints: int | None = None
    """That are ready. None: not known."""
    missing: bool = False
    """There is no such Service."""
    system_pods: bool = False
    """Pods of kube-system cannot be made without it."""

    def __post_init__(self) -> None:
        foreign.bind(self, "name", "service")


@dataclass(frozen=True, kw_only=True)
class InCluster:
    """A report: one look into a cluster."""

    at: float
    refresh: str = ""
    """The refresh that it was made for; empty: nobody asked."""
    servers: tuple[ApiServer, ...]
    apis: tuple[ApiAround, ...] = ()
    nodes: tuple[NodeVersion, ...] = ()
    budgets: tuple[Budget, ...] = ()
    webhooks: tuple[Webhook, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LookFailed:
    """A report: that a look for a refresh failed."""

    at: float
    refresh: str
    reason: str

    def __post_init__(self) -> None:
        foreign.bind(self, "reason")


@dataclass(frozen=True, kw_only=True)
class GroupRoom:
    """What a nodegroup needs in one of its subnets to make new nodes before old ones go."""

    nodegroup: str
    arn: str
    """The subnet's."""
    subnet: str
    cidr: str
    needed: int
    """New nodes."""
    room: int
    """How many of them there is room for, at most as many as are needed."""


@dataclass(frozen=True)
class Member:
    """A part of the control plane."""

    name: str
    phase: str
    reason: str = ""
    lasts: bool = False
    """It has not been ready for long."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Around:
    """What the store knows of a cluster."""

    arn: str
    status: str
    version: str
    """The minor that it runs."""
    members: tuple[Member, ...] = ()
    warnings: tuple[str, ...] = ()
    rooms: tuple[GroupRoom, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ApiHistory:
    """What is remembered of a deprecated API from one look to the next."""

    api: ApiName
    removed: str
    since: float
    """When it was first seen to have been requested."""
    last: float
    """The last look that saw new requests of it."""
    counts: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """By API server: when it started, and its requests."""


def minor(version: str) -> tuple[int, int] | None:
    """`1.37.2`, `v1.37` as numbers. None for what is no version."""
    parts = version.removeprefix("v").split(".")
    if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts[:2]):
        return None
    return int(parts[0]), int(parts[1])


def following(version: str) -> str:
    """The minor after that of a version: `1.38` of `1.37.2`."""
    first, second = minor(version) or (1, 0)
    return f"{first}.{second + 1}"
