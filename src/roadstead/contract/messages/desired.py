"""What the agent is asked for. A desired state is whole: what it leaves out is not wanted.

Kinds: a Network (a VPC or a control plane's), a Host in it, a Unit on a host, an Engine (binaries for units), a
Zone's state, a Publish (a port of the machine that leads to a host), a Listener (a socket opened in a namespace and
passed to an unprivileged process). Each is put with a generation; the agent never goes back to an older one.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from roadstead.contract.messages.forms import (
    Address,
    Bytes,
    Cidr,
    Digest,
    FileName,
    FlagName,
    FlagValue,
    Hostname,
    Id,
    Port,
)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The root of all messages: frozen, strict, keywords only."""


class Subnet(Message, frozen=True, kw_only=True):
    """A part of a network in one zone. Its base+1 is the router, base+2 the resolver, base+3 the webhook."""

    id: Id
    cidr: Cidr
    zone: Id


class Network(Message, frozen=True, kw_only=True):
    """A VPC or a control-plane network: one router namespace.

    Two networks may have equal CIDRs unless the machine is let in to both.
    """

    cidrs: tuple[Cidr, ...]
    subnets: tuple[Subnet, ...]
    egress: bool = True
    """NAT to the world behind the machine. Never between hosts or pods."""
    machine_users: tuple[int, ...] = ()
    """User ids of the machine whose packets may enter the network straight; the machine gets a route to `cidrs`."""
    services: tuple[Cidr, ...] = ()
    """Addresses that nodes translate and nobody has: of services. What is for one is refused on its way out."""


class Leg(Message, frozen=True, kw_only=True):
    """One interface of a host: `eth0` is the first leg, `eth1` the second."""

    network: Id
    address: Address
    prefixes: tuple[Cidr, ...] = ()
    """Networks of pods that live behind this address."""


class Shape(Message, frozen=True, kw_only=True):
    """What the host's /proc and /sys say the computer is: an instance type."""

    vcpus: int
    memory: Bytes


class Limits(Message, frozen=True, kw_only=True):
    """What the kernel lets the host use at most. None: of CPU time no limit, of the rest what the agent has for hosts
    of its kind."""

    memory: Bytes | None = None
    cpus: float | None = None
    """Cores."""
    cpu_weight: int = 100
    """1 to 10000, as in cgroup v2; 100 is the usual."""
    pids: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Processes and threads at once."""


class Disk(Message, frozen=True, kw_only=True):
    """The host's `/var`: a folder, or a file system of its own (sparse ext4 by loop) of `size` bytes."""

    kind: Literal["folder", "ext4"] = "folder"
    size: Bytes | None = None
    """Required for ext4, refused for a folder."""


Role = Literal["etcd", "api", "edge", "node"]
"""What a host is for. A node runs pods: they are behind its addresses, its root folder is on its disk, and its CNI
program asks the agent. An edge stands for what is in no single zone."""

Privilege = Literal["unprivileged", "privileged"]
"""What a host may do. Unprivileged: its processes are one user of its own, without capabilities and devices.
Privileged: they are root with capabilities and devices, in a user namespace of their own where the machine can."""


class Host(Message, frozen=True, kw_only=True):
    """One emulated computer. The first leg carries the default route."""

    role: Role
    privilege: Privilege
    zone: Id
    legs: tuple[Leg, ...]
    hostname: Hostname
    disk: Disk = Disk()
    limits: Limits = Limits()
    shape: Shape | None = None
    names: dict[Address, tuple[Hostname, ...]] = {}
    """More lines of /etc/hosts."""
    resolvers: tuple[Address, ...] = ()
    """Where its own processes ask for names: /etc/resolv.conf."""


class UnitFile(Message, frozen=True, kw_only=True):
    """A file of a unit, `/etc/units/UNIT/NAME` in the host. Exactly one of `content` and `blob`."""

    content: str | None = None
    blob: Digest | None = None
    """A blob streamed beforehand; secrets come only this way."""
    secret: bool = False
    """Mode 0400 and owned by the unit's user; else 0444."""
    on_change: Literal["nothing", "signal", "restart"] = "restart"
    """What the agent does with a running unit when this file changes; `signal` sends the unit's reload signal."""


class TcpProbe(Message, tag="tcp", frozen=True, kw_only=True):
    """A connection to the port is taken."""

    port: Port
    address: Address = "127.0.0.1"


class HttpsProbe(Message, tag="https", frozen=True, kw_only=True):
    """GET `path` must answer 200, the certificate must be of the CA in `ca`, a file of the unit."""

    port: Port
    path: str
    ca: FileName
    address: Address = "127.0.0.1"
    server_name: Hostname | None = None
    """The name to verify when it is not the address."""
    certificate: FileName | None = None
    key: FileName | None = None


class CommandProbe(Message, tag="command", frozen=True, kw_only=True):
    """A component of an engine, run inside the host as the unit's user, must exit with 0."""

    engine: Id
    component: FileName
    arguments: tuple[FlagValue, ...] = ()
    timeout: float = 5.0
    """Seconds."""


class NotifyProbe(Message, tag="notify", frozen=True, kw_only=True):
    """The process itself writes a newline to this descriptor when it is ready (s6 notification)."""

    descriptor: int = 3


Probe = TcpProbe | HttpsProbe | CommandProbe | NotifyProbe


class First(Message, frozen=True, kw_only=True):
    """What fills a folder of a unit before its first start: a component of the unit's engine, run as the unit's user.

    It writes to the folder that `--data-dir` names, which becomes `folder` whole or not at all. It is not run again
    once the unit was ready, also when the folder is lost: a member of etcd that comes back without its log must not
    be taken for one that has none yet.
    """

    component: FileName
    arguments: tuple[FlagValue, ...] = ()
    flags: dict[FlagName, FlagValue] = {}
    folder: FileName


class Unit(Message, frozen=True, kw_only=True):
    """One supervised process of a host.

    `engine` is an installed engine, or `system` for the few programs of the machine that hosts may run.
    """

    engine: Id
    component: FileName
    subcommand: FlagName | None = None
    flags: dict[FlagName, FlagValue | tuple[FlagValue, ...]] = {}
    environment: dict[FlagName | FileName, FlagValue] = {}
    environment_file: FileName | None = None
    """A file of the unit with more of it, one NAME=VALUE a line: what is secret comes only this way."""
    files: dict[FileName, UnitFile] = {}
    folders: tuple[FileName, ...] = ()
    """Folders of the unit under `/var/lib/UNIT`, made before the first start, mode 0700, kept on the disk."""
    first: First | None = None
    ready: Probe | None = None
    """None: ready as soon as it runs."""
    after: FileName | None = None
    """A unit of the same host that must be ready before this one is started the first time."""
    images: tuple[Digest, ...] = ()
    """Archives that the host's images are from, before that start, once for each disk. `after` is a containerd that
    keeps them in /var/lib/containerd, and the `ctr` of its engine imports what a new disk did not begin with. Others
    that a running unit is to have are imported beside it."""
    group: Id | None = None
    """Units of one group (the members of an etcd cluster) are never restarted by the agent two at a time."""
    reload_signal: Literal["HUP", "USR1", "USR2"] = "HUP"
    stop_signal: Literal["TERM", "INT", "QUIT"] = "TERM"
    stop_timeout: float = 10.0
    """Seconds from the stop signal to SIGKILL."""
    run: bool = True
    """False: installed, not running."""


class Engine(Message, frozen=True, kw_only=True):
    """Binaries that units may run: the component's name and the blob that holds it. Equal blobs share pages."""

    components: dict[FileName, Digest]


class Zone(Message, frozen=True, kw_only=True):
    """`up`; `black`: the links of its hosts carry nothing; `stopped`: its hosts are not running."""

    state: Literal["up", "black", "stopped"]


class Publish(Message, frozen=True, kw_only=True):
    """A TCP port on an address of the machine that leads to a port of a host."""

    address: Address
    port: Port
    network: Id
    target: Address
    target_port: Port


class Listener(Message, frozen=True, kw_only=True):
    """A listening TCP or a UDP socket, opened in a network's or host's namespace for one process by its user."""

    namespace: Literal["machine", "network", "host"]
    of: Id | None = None
    """The network or host; None for the machine."""
    address: Address
    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    process: Id
    """The name under which the process fetches it."""
    user: int
    """The user id that the process must have."""


Desired = Network | Host | Unit | Engine | Zone | Publish | Listener

KINDS: dict[str, type[Message]] = {
    "networks": Network,
    "hosts": Host,
    "units": Unit,
    "engines": Engine,
    "zones": Zone,
    "publishes": Publish,
    "listeners": Listener,
}
"""The kinds by the name that paths and records use. A unit's id is `HOST/UNIT`."""
