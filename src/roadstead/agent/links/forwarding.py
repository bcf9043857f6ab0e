"""For whom the machine passes packets on: it does for others what it did before Roadstead came.

To reach the world, networks need net.ipv4.ip_forward, which makes the whole machine a router: anybody beside it could
send packets through it, into a VPN of its owner's say. Forwarding by interface is no way around: answers and what is
for published ports come by the same interfaces as anybody's packets. So rules drop what is for no network of ours,
but only where forwarding was off before, and no file of sysctl.d(5) that is not ours asks for it. IPv6 is not
touched: Roadstead never sets its forwarding.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from roadstead.core import instance as instances
from roadstead.core.files import atomic

SETTING = "net/ipv4/ip_forward"
_NAMES = ("net.ipv4.ip_forward", "net.ipv4.conf.all.forwarding")
_FOLDERS = tuple(map(Path, ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")))
"""The first that has a file of a name counts. Source: sysctl.d(5)."""
_LAST = Path("/etc/sysctl.conf")
_OURS = "60-roadstead.conf"
_TABLES = "table inet roadstead-"
"""How `nft list tables` begins a line of an instance."""


@dataclass(frozen=True)
class Ends:
    """Where it is looked and written when it ends."""

    record: Path = instances.SETTINGS_RECORD
    setting: Path = Path("/proc/sys") / SETTING
    links: Path = Path("/sys/class/net")


class _Change(msgspec.Struct):
    before: int
    set: int


class _Record(msgspec.Struct):
    """As the doctor writes it, and more may be in it."""

    sysctls: dict[str, _Change] = {}


def record(instance: instances.Instance) -> Path:
    """Where it is kept what was before: by the doctor; for a namespace that stands for a machine, by the agent."""
    return instances.SETTINGS_RECORD if instance.machine_netns is None else instance.state / "forwarding-before.json"


def remember(path: Path, before: int) -> None:
    """What forwarding was, before it is set the first time."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, msgspec.json.encode(_Record({_NAMES[0]: _Change(before, 1)})), 0o600)


def was_off(path: Path) -> bool:
    """Whether it is Roadstead who has the machine forward. Of a record that cannot be read the doctor complains."""
    try:
        changed = msgspec.json.decode(path.read_bytes(), type=_Record).sysctls.get(_NAMES[0])
    except (FileNotFoundError, msgspec.MsgspecError):
        return False
    return changed is not None and changed.before == 0 and changed.set == 1


def closed(instance: instances.Instance) -> bool:
    """Whether the machine is to pass nothing on but for networks."""
    if not was_off(record(instance)):
        return False
    return instance.machine_netns is not None or not asked_for(_files(_FOLDERS, _LAST))


def end(instance: instances.Instance, tables: Iterable[str], places: Ends | None = None) -> bool:
    """Off again, before the rules of the machine's own namespace go that say for whom; whether that was done.

    Not while another instance has a table there (`tables`: lines of `nft list tables`), nor where the machine has
    bridges: their owners (Docker, libvirt) may have come to need it. The next agent sets it again.
    """
    at = places or Ends()
    others = [line for line in tables if line.startswith(_TABLES) and line != f"table inet {instance.nft_table}"]
    if instance.machine_netns is not None or others or not was_off(at.record) or any(at.links.glob("*/bridge")):
        return False
    try:
        if at.setting.read_text().strip() != "1":
            return False
        at.setting.write_text("0")
    except OSError:
        # A container may not.
        return False
    return True


def asked_for(texts: Iterable[str]) -> bool:
    """Whether these files, in their order, have the kernel forward. Pure."""
    lines = [line.strip() for text in texts for line in text.splitlines()]
    pairs = [line.removeprefix("-").partition("=") for line in lines if line and line[0] not in "#;"]
    values = [value.strip() for name, _, value in pairs if name.strip().replace("/", ".") in _NAMES]
    return values[-1:] == ["1"]


def _files(folders: Iterable[Path], last: Path) -> Iterator[str]:
    names: dict[str, Path] = {}
    for path in itertools.chain.from_iterable(folder.glob("*.conf") for folder in folders):
        names.setdefault(path.name, path)
    for path in (*(names[name] for name in sorted(names) if name != _OURS), last):
        try:
            yield path.read_text(errors="replace")
        except OSError:
            # A link that leads nowhere, which is how a file of a distribution's is switched off.
            continue
