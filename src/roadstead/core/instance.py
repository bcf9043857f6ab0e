"""An instance: one Roadstead on a machine, and the places and names that belong to it.

Everything that is made on a machine carries the instance's id, so that two instances never meet and each can be
found and removed as a whole: folders, sockets, cgroups, namespaces, interface names, the nft table. All names are
computed from ids and never chosen, so that what was made can be found again after a crash.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from roadstead.core import errors

INSTANCE_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")

STATE_ROOT = Path("/var/lib/roadstead")
RUN_ROOT = Path("/run/roadstead")
LOG_ROOT = Path("/var/log/roadstead")

SETTINGS_RECORD = STATE_ROOT / "doctor-before.json"
"""What settings of the kernel were before Roadstead changed them: the doctor's, read by agents."""

LINKS = "rs"
"""What names of all instances' links in the machine's namespace begin with."""

HOSTS_SERVICE = "roadstead-hosts.service"
"""The systemd unit whose cgroup hosts run in, where that is cgroup v2 and PID 1 is systemd."""


_ROOTS = (STATE_ROOT, RUN_ROOT, LOG_ROOT)


@dataclass(frozen=True)
class HostPlaces:
    """The folders of one host on the machine, and its namespace of the network."""

    state: Path
    """Survives a reboot: the root tree and the disk (a folder, or an image)."""
    run: Path
    """Gone with a reboot: bundle, service folders, files of units."""
    log: Path
    """Logs of the host's units, `log/UNIT/current` and rotated ones."""
    netns: Path
    """A bind mount of the host's network namespace."""

    @property
    def bundle(self) -> Path:
        """The OCI bundle: `config.json`."""
        return self.run / "bundle"

    @property
    def root(self) -> Path:
        """The host's root tree. A node has `node_root`; one that an earlier release made and that runs still, this."""
        return self.state / "root"

    @property
    def disk(self) -> Path:
        """What the host sees as `/var`."""
        return self.state / "disk"

    @property
    def node_root(self) -> Path:
        """A node's root folder, on its disk: the node writes to it, so it is never walked but by descriptors."""
        return self.disk / ".root"

    @property
    def store(self) -> Path:
        """A file with the key of the store that the disk leads to."""
        return self.state / "store"

    @property
    def users(self) -> Path:
        """A bind mount of the host's user namespace, beside that of its network; of nodes that have one."""
        return self.netns.with_name(self.netns.name.replace("host-", "users-", 1))

    @property
    def shown(self) -> Path:
        """Where a node with users of its own finds its root folder when it is started."""
        return self.run.parents[1] / "shown" / self.run.name

    @property
    def service(self) -> Path:
        """s6's scan folder, `/run/service` in the host."""
        return self.run / "service"

    @property
    def files(self) -> Path:
        """The files of the host's units, `/etc/units` (read-only) in the host; `files/UNIT/NAME`."""
        return self.run / "files"


@dataclass(frozen=True)
class Instance:
    """One instance and its places. `machine_netns` is None for the machine's own network namespace."""

    id: str = "main"
    state: Path = STATE_ROOT / "main"
    run: Path = RUN_ROOT / "main"
    log: Path = LOG_ROOT / "main"
    machine_netns: Path | None = None

    @classmethod
    def named(cls, instance_id: str, machine_netns: Path | None = None) -> Instance:
        """The instance of that id in the usual places. Raises Invalid for an id of another form."""
        if not INSTANCE_ID.fullmatch(instance_id):
            raise errors.Invalid(
                f"instance id {instance_id!r}: use 1 to 32 of a-z, 0-9 and '-', not '-' at an end",
                id=instance_id,
            )
        return cls(
            id=instance_id,
            state=STATE_ROOT / instance_id,
            run=RUN_ROOT / instance_id,
            log=LOG_ROOT / instance_id,
            machine_netns=machine_netns,
        )

    @property
    def socket(self) -> Path:
        """The agent's API."""
        return self.run / "agent.sock"

    @property
    def passing_socket(self) -> Path:
        """Where unprivileged processes fetch the listening sockets that the agent opened for them."""
        return self.run / "listeners.sock"

    @property
    def engines(self) -> Path:
        """The installed engines, root's own copies; `/engine` (read-only) in each host."""
        return self.state / "engines"

    @property
    def stores(self) -> Path:
        """Images as containerd keeps them, `stores/KEY`; `/stores` (read-only) in each node."""
        return self.state / "stores"

    @property
    def blobs(self) -> Path:
        """Bytes by digest, `blobs/HEX`: what desired states name."""
        return self.state / "blobs"

    @property
    def runc_root(self) -> Path:
        """runc's own records of the hosts that run."""
        return self.run / "runc"

    @property
    def netns_folder(self) -> Path:
        """Where namespaces are bound to files, `host-ID` and `net-ID`, so that they stay without a process."""
        return self.run / "netns"

    @property
    def cgroup(self) -> str:
        """The cgroup above all hosts, relative to the root of each hierarchy."""
        return f"roadstead/{self.id}"

    @property
    def nft_table(self) -> str:
        """The one table of this instance, family inet, in each namespace where it has rules."""
        return f"roadstead-{self.id}"

    def host(self, host_id: str) -> HostPlaces:
        """The places of one host, whether it is there or not."""
        return HostPlaces(
            state=self.state / "hosts" / host_id,
            run=self.run / "hosts" / host_id,
            log=self.log / "hosts" / host_id,
            netns=self.netns_folder / f"host-{host_id}",
        )

    def router_netns(self, network_id: str) -> Path:
        """The namespace of a network's router."""
        return self.netns_folder / f"net-{network_id}"

    def interface(self, *names: str) -> str:
        """An interface name of 14 characters for a full name that is kept as its alias."""
        return LINKS + hashlib.sha256("/".join((self.id, *names)).encode()).hexdigest()[:12]

    def alias(self, *names: str) -> str:
        """The alias of an interface: `roadstead/INSTANCE/...`, by which it is found when records are lost."""
        return "/".join(("roadstead", self.id, *names))


def make(places: Instance) -> None:
    """An instance's folders with their modes, and those that all instances are in. They are root's.

    Others pass through to what is theirs: serve to its state and to the agent's socket. Logs are root's alone.
    """
    make_state(places)
    _make(places.run, 0o711)
    _make(places.log, 0o700)


def make_state(places: Instance) -> None:
    """The first of them, which a failed start may leave."""
    _make(places.state, 0o711)


def _make(folder: Path, mode: int) -> None:
    for each in (folder.parent, folder):
        each.mkdir(parents=True, exist_ok=True, mode=0o711)
    if folder.parent in _ROOTS:
        folder.parent.chmod(0o711)
    folder.chmod(mode)
