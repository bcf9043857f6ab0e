"""Everything of one unit on disk: its service folder, files, log and disk folders; written and removed.

A service folder appears whole, by one rename, so that `s6-svscan` never meets half of one. In an old folder each
file is replaced by itself and the definition last: a write that was cut off is done again and comes to the same end.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roadstead.agent.units import change, files, service, supervision
from roadstead.contract.messages import desired
from roadstead.core import errors, instance

_DEFINITION = ".definition"
"""The essence that the folder was written for."""
_APPLIED = ".applied"
"""The essence of an earlier definition that the running process was started from."""
_MOST = 4 * 1024 * 1024
"""More bytes than any essence has."""

Blob = Callable[[str], Path]
"""The file that holds the bytes of a digest."""


@dataclass(frozen=True)
class UnitPlaces:
    """Where a unit is on the machine."""

    host: instance.HostPlaces
    unit_id: str

    @property
    def service(self) -> Path:
        """Its folder among those that the host's `s6-svscan` keeps running."""
        return self.host.service / self.unit_id

    @property
    def gone(self) -> Path:
        """Where the service folder is while it is removed: out of `s6-svscan`'s sight."""
        return self.host.service / f".gone-{self.unit_id}"

    @property
    def svscan(self) -> Path:
        """Where the host's `s6-svscan` is told things."""
        return self.host.service / supervision.SVSCAN

    @property
    def supervise(self) -> Path:
        """Where the unit's `s6-supervise` says how it is, and is told things."""
        return self.service / supervision.SUPERVISE

    @property
    def files(self) -> Path:
        """`/etc/units/UNIT` in the host."""
        return self.host.files / self.unit_id

    @property
    def log(self) -> Path:
        """s6-log's folder: the log of now and older pieces."""
        return self.host.log / self.unit_id


@dataclass(frozen=True)
class Definitions:
    """What was written, when (Unix time), and what the process was started from if that is something else."""

    written: change.Essence | None
    at: float
    applied: change.Essence | None

    def seen_by(self, started: float | None) -> change.Essence | None:
        """What a process that was started at that time runs with; None: not known."""
        return self.written if started is None or started > self.at else self.applied


def definitions(places: UnitPlaces) -> Definitions:
    """Of an existing service folder."""
    with files.folder(places.service) as within:
        written = files.read(within, _DEFINITION, _MOST)
        applied = files.read(within, _APPLIED, _MOST)
    return Definitions(
        written=change.decode(written[0] if written else None),
        at=written[1].st_mtime if written else 0.0,
        applied=change.decode(applied[0] if applied else None),
    )


def set_applied(places: UnitPlaces, essence: change.Essence | None) -> None:
    """Keep what the running process runs with, before anything of its folder changes. None: not known."""
    with files.folder(places.service) as within:
        files.replace(within, _APPLIED, b"" if essence is None else change.encode(essence), 0o600)


def create(places: UnitPlaces, unit: desired.Unit, uid: int, blob: Blob) -> None:
    """All of a unit that is not there yet. Raises Busy while one of its name is being removed."""
    if places.gone.exists():
        raise errors.Busy(f"unit {places.unit_id} is still being removed; remove it to its end first")
    _surroundings(places, unit, uid, blob)
    half = places.host.service / f".new-{places.unit_id}"
    if half.exists():
        shutil.rmtree(half)
    half.mkdir(mode=0o755)
    with files.folder(half) as within:
        os.fchmod(within, 0o755)
        _service(within, places.unit_id, unit, uid)
    half.rename(places.service)


def update(places: UnitPlaces, unit: desired.Unit, uid: int, blob: Blob) -> None:
    """Make an existing unit as it is defined; what is right already is not touched."""
    _surroundings(places, unit, uid, blob)
    with files.folder(places.service) as within:
        _service(within, places.unit_id, unit, uid)


def set_down(places: UnitPlaces, down: bool) -> None:
    """Whether a supervisor that starts leaves the unit down; by it `finish` knows a stop that was asked for."""
    with files.folder(places.service) as within:
        if down:
            files.replace(within, "down", b"", 0o644)
        else:
            files.remove(within, "down")


def set_asked(places: UnitPlaces) -> None:
    """A start was asked for now: it has no pause."""
    with files.folder(places.service) as within:
        files.replace(within, supervision.ASKED, f"{time.time_ns()}\n".encode(), 0o644)


def kill_after(places: Path) -> float:
    """Seconds that a stop in a service folder may take until its SIGKILL."""
    with files.folder(places) as within:
        raw = files.read(within, "timeout-kill", 32)
    return int(raw[0]) / 1000 if raw and raw[0].strip().isdigit() else 10.0


def remove(places: UnitPlaces) -> None:
    """Everything but the unit's folders on the host's disk. Its supervisors must have ended."""
    for path in (places.gone, places.host.service / f".new-{places.unit_id}", places.files, places.log):
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.exists():
            shutil.rmtree(path)


def _surroundings(places: UnitPlaces, unit: desired.Unit, uid: int, blob: Blob) -> None:
    for path in (places.host.service, places.host.files, places.host.log):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    with files.folder(places.host.service) as within:
        files.make_folder(within, supervision.SVSCAN, 0o700, uid)
    with files.folder(places.host.log) as within:
        files.make_folder(within, places.unit_id, 0o750, uid)
    _unit_files(places, unit, uid, blob)
    _disk_folders(places, unit, uid)


def _unit_files(places: UnitPlaces, unit: desired.Unit, uid: int, blob: Blob) -> None:
    with files.folder(places.host.files) as above:
        files.make_folder(above, places.unit_id, 0o755, 0)
        with files.folder(places.unit_id, above) as within:
            for name, file in unit.files.items():
                content = (file.content or "").encode() if file.blob is None else blob(file.blob).read_bytes()
                mode, owner = (0o400, uid) if file.secret else (0o444, 0)
                files.replace(within, name, content, mode, owner)
            for name in files.names(within) - set(unit.files):
                files.remove(within, name)


def _disk_folders(places: UnitPlaces, unit: desired.Unit, uid: int) -> None:
    """`/var/lib/UNIT` and its folders. Only `lib` and above are not the unit's; nothing below is followed."""
    places.host.disk.mkdir(mode=0o755, parents=True, exist_ok=True)
    with files.folder(places.host.disk) as disk:
        if not (places.host.disk / "lib").exists():
            files.make_folder(disk, "lib", 0o755, 0)
        with files.folder("lib", disk) as lib:
            files.make_folder(lib, places.unit_id, 0o700, uid)
            with files.folder(places.unit_id, lib) as own:
                for name in unit.folders:
                    files.make_folder(own, name, 0o700, uid)


def _service(within: int, unit_id: str, unit: desired.Unit, uid: int) -> None:
    for folder in service.FOLDERS:
        files.make_folder(within, folder.name, folder.mode, uid if folder.owner == "user" else 0)
    rendered = service.render(unit_id, unit, root=uid == 0)
    for name in service.OWN_FILES - rendered.keys():
        files.remove(within, name)
    for path, file in rendered.items():
        folder_name, _, name = path.rpartition("/")
        if folder_name:
            with files.folder(folder_name, within) as inner:
                files.replace(inner, name, file.content, file.mode)
        else:
            files.replace(within, name, file.content, file.mode)
    files.replace(within, _DEFINITION, change.encode(change.essence(unit_id, unit)), 0o600)
