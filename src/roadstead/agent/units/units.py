"""The face of the room: units written, started, stopped, looked at, asked, read and removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from roadstead.agent.units import change, files, folders, logs, pids, probe, service, state, supervision
from roadstead.contract.messages import desired
from roadstead.core import errors, instance
from roadstead.core.files import inotify

Change = change.Change
UnitStatus = state.UnitStatus
SYSTEM = service.SYSTEM
Key = tuple[str, str]
"""Host id and unit id."""

START_TIMEOUT = 10.0
"""Seconds until s6 must have taken up a unit that is to run."""
STOP_MARGIN = 5.0
"""Seconds beyond the unit's own stop timeout, for SIGKILL and `finish`."""


@dataclass(frozen=True)
class Check:
    """The answer of one question to a unit. `again`: seconds after which it is worth asking once more."""

    ready: bool
    reason: str = ""
    again: float = probe.LONGEST_PAUSE


@dataclass
class _Asked:
    """What is remembered of the questions to one process."""

    since: float
    tries: int = 0
    was_ready: bool = False


class _Woken(asyncio.Event):
    """Set by each new status of a unit, and when its host has ended."""

    host_ended = False


class Units:
    """The units of one instance's hosts, on one loop. `close` when done.

    Nothing that matters is only in here: after a crash, `write` with the same definitions comes to the same state.
    """

    def __init__(self, instance: instance.Instance, open_socket: probe.OpenSocket, run: probe.Run) -> None:
        self._instance = instance
        self._prober = probe.Prober(open_socket, run)
        self._inotify = inotify.Inotify()
        self._ends: dict[Key, Callable[[], None]] = {}
        self._asked: dict[Key, _Asked] = {}
        self._pids: dict[Key, tuple[float, int]] = {}
        self._changed: dict[Key, None] = {}
        self._news = asyncio.Event()
        self._waiting: dict[Key, set[_Woken]] = {}

    def close(self) -> None:
        """No more events. The units live on."""
        self._inotify.close()
        self._ends.clear()

    def write(self, host_id: str, unit_id: str, unit: desired.Unit, uid: int, blob: folders.Blob) -> Change:
        """Make the unit's folders and files as defined; returns what its process must get for the difference.

        The same answer is given until it was done, also by another agent. Raises Busy while the unit is being
        removed, NotFound and Invalid for what cannot be run, Conflict where something else has the place.
        """
        places = self._places(host_id, unit_id)
        wanted = change.essence(unit_id, unit)
        if not places.service.exists():
            folders.create(places, unit, uid, blob)
            self._watch(host_id, unit_id)
            return Change("new")
        before = folders.definitions(places)
        started = self._started(places)
        seen = before.seen_by(started)
        if before.written != wanted and seen != before.applied:
            folders.set_applied(places, seen)
        folders.update(places, unit, uid, blob)
        self._watch(host_id, unit_id)
        return Change("nothing") if started is None else change.compare(seen, wanted)

    def installed(self, host_id: str, unit_id: str) -> bool:
        """Whether it was ever written, so that its host starts it by itself."""
        return self._places(host_id, unit_id).service.exists()

    async def start(self, host_id: str, unit_id: str) -> None:
        """Wanted up; returns when s6 has started it. Nothing to do for one that is up or waits for its next start.

        Raises NotFound, and Failed when s6 did not start it within START_TIMEOUT or the host ended.
        """
        places = self._existing(host_id, unit_id)
        folders.set_down(places, False)
        now = supervision.supervised(places.service)
        if now is not None and now.wanted_up:
            return
        folders.set_asked(places)

        def failure() -> errors.Error:
            heard = "runs" if supervision.alive(places.svscan) else "does not run"
            return errors.Failed(
                f"unit {host_id}/{unit_id} was not started within {START_TIMEOUT:g} s: the host's s6-svscan {heard}",
                unit=f"{host_id}/{unit_id}",
            )

        def up() -> bool:
            now = supervision.supervised(places.service)
            if now is not None and not now.wanted_up:
                supervision.tell(places.supervise, supervision.UP)
            return now is not None and now.wanted_up and now.pid > 0

        supervision.tell(places.svscan, supervision.SCAN)
        await self._until((host_id, unit_id), up, START_TIMEOUT, failure)

    async def stop(self, host_id: str, unit_id: str, unit: desired.Unit) -> None:
        """Down: the stop signal, after the unit's stop timeout SIGKILL. Raises Failed when even that is too little."""
        places = self._existing(host_id, unit_id)
        folders.set_down(places, True)
        seconds = unit.stop_timeout + STOP_MARGIN
        told = False

        def failure() -> errors.Error:
            return errors.Failed(
                f"unit {host_id}/{unit_id} still runs {seconds:g} s after its stop signal",
                unit=f"{host_id}/{unit_id}",
            )

        def down() -> bool:
            nonlocal told
            now = supervision.supervised(places.service)
            if now is None or (now.pid == 0 and not now.wanted_up):
                return True
            if now.wanted_up or not told:
                told = supervision.tell(places.supervise, supervision.DOWN)
            return False

        await self._until((host_id, unit_id), down, seconds, failure)

    async def restart(self, host_id: str, unit_id: str, unit: desired.Unit) -> None:
        """Stop, then start at once, without a pause. An agent that dies between the two leaves the unit down."""
        await self.stop(host_id, unit_id, unit)
        await self.start(host_id, unit_id)

    async def signal(self, host_id: str, unit_id: str, unit: desired.Unit) -> None:
        """Send the unit's reload signal, and know from now on that its process has seen the files as they are."""
        places = self._existing(host_id, unit_id)
        if supervision.tell(places.supervise, supervision.SIGNALS[unit.reload_signal]):
            folders.set_applied(places, change.essence(unit_id, unit))

    async def remove(self, host_id: str, unit_id: str) -> None:
        """Stop it and take away all but its folders on the host's disk. Works on half-made and half-removed ones.

        Raises Failed when its supervisor does not end in time; then it can be called again.
        """
        places = self._places(host_id, unit_id)
        self.forget(host_id, unit_id)
        if places.gone.exists():
            await self._end(places)
        if places.service.exists():
            folders.set_down(places, True)
            places.service.rename(places.gone)
            await self._end(places)
        else:
            folders.remove(places)

    def forget(self, host_id: str, unit_id: str) -> None:
        """Without anything kept in memory of a unit, whose folders may be gone already."""
        key = (host_id, unit_id)
        end = self._ends.pop(key, None)
        if end is not None:
            end()
        self._asked.pop(key, None)
        self._pids.pop(key, None)
        self._changed.pop(key, None)
        self._prober.forget(self._places(host_id, unit_id).files)

    def status(self, host_id: str, unit_id: str, host_pid: int | None) -> UnitStatus:
        """The unit as it is; `host_pid` is the host's PID 1 on the machine, by which the unit's pid is found there."""
        places = self._places(host_id, unit_id)
        if not places.service.exists():
            return UnitStatus("down", "is not installed")
        now, (record, waiting) = state.of_one_moment(
            lambda: supervision.supervised(places.service), lambda: supervision.recorded(places.service)
        )
        written = folders.definitions(places).written
        facts = state.UnitFacts(
            supervised=now,
            record=record,
            waiting=waiting,
            notifies=written is not None and written.notification is not None,
            pid=None if now is None or waiting else self._pid((host_id, unit_id), now, host_pid),
        )
        return state.judge(facts)

    async def events(self) -> AsyncIterator[Key]:
        """The units whose process changed, each told once for any number of changes not yet fetched. Endless.

        Units are known from their first `write` until `forget` or `remove`.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            changed, self._changed = self._changed, {}
            for key in changed:
                yield key

    async def check(self, host_id: str, unit_id: str, unit: desired.Unit, uid: int) -> Check:
        """Ask the unit once whether it is ready, as its definition says; a ready one is asked twice before it is not.

        Nothing is done about the answer. While a unit starts, `again` grows from 50 to 200 ms.
        """
        places = self._places(host_id, unit_id)
        now = supervision.supervised(places.service) if places.service.exists() else None
        if now is None or not now.running:
            return Check(False, "its process does not run")
        match unit.ready:
            case None:
                return Check(True)
            case desired.NotifyProbe():
                return Check(True) if now.ready else Check(False, "has not said yet that it is ready")
            case desired.TcpProbe() | desired.HttpsProbe() | desired.CommandProbe() as question:
                host = self._instance.host(host_id)
                place = probe.Place(host_id, host.netns, places.files, uid)
                return await self._ask((host_id, unit_id), now.since, place, question)
        assert_never(unit.ready)

    def logs(self, host_id: str, unit_id: str, lines: int | None, follow: bool) -> AsyncIterator[bytes]:
        """The last lines of a unit's log (None: all), then, with `follow`, all that comes. Raises NotFound."""
        return logs.read(self._places(host_id, unit_id).log, lines, follow, self._inotify)

    async def _ask(
        self,
        key: Key,
        since: float,
        place: probe.Place,
        question: desired.TcpProbe | desired.HttpsProbe | desired.CommandProbe,
    ) -> Check:
        asked = self._asked.get(key)
        if asked is None or asked.since != since:
            asked = self._asked[key] = _Asked(since)
        reason = await self._prober.ask(place, question)
        if reason and asked.was_ready:
            # Once is a hiccup. What changes the process meanwhile is worth asking at once.
            with self._woken(key) as woken, suppress(TimeoutError):
                async with asyncio.timeout(probe.SECOND_LOOK):
                    await woken.wait()
            reason = await self._prober.ask(place, question)
        asked.was_ready = not reason
        asked.tries = 0 if not reason else asked.tries + 1
        return Check(not reason, reason, probe.pause(asked.tries))

    def _places(self, host_id: str, unit_id: str) -> folders.UnitPlaces:
        return folders.UnitPlaces(self._instance.host(host_id), unit_id)

    def _existing(self, host_id: str, unit_id: str) -> folders.UnitPlaces:
        places = self._places(host_id, unit_id)
        if not places.service.exists():
            raise errors.NotFound(f"unit {host_id}/{unit_id} is not installed", unit=f"{host_id}/{unit_id}")
        self._watch(host_id, unit_id)
        return places

    def _started(self, places: folders.UnitPlaces) -> float | None:
        """When the running process, or the pause before it, began (Unix time); None when nothing runs."""
        now = supervision.supervised(places.service)
        return now.since if now is not None and now.running else None

    def _pid(self, key: Key, now: state.Supervised, host_pid: int | None) -> int | None:
        if host_pid is None or not now.running:
            return None
        kept = self._pids.get(key)
        if kept is not None and kept[0] == now.since and pids.is_still(kept[1], now.pid):
            return kept[1]
        found = pids.on_machine(host_pid, now.pid)
        if found is not None:
            self._pids[key] = (now.since, found)
        return found

    def _watch(self, host_id: str, unit_id: str) -> None:
        """Be woken by each new status of the unit's supervisor."""
        key = (host_id, unit_id)
        if key in self._ends:
            return

        def seen(name: str | None) -> None:
            if name is None:
                self._ends.pop(key, None)
            if name in (None, "", "status"):
                self._tell(key)

        with files.folder(self._places(host_id, unit_id).supervise) as within:
            self._ends[key] = self._inotify.watch(within, inotify.MOVED_TO, seen)

    def _tell(self, key: Key) -> None:
        self._changed[key] = None
        self._news.set()
        for event in self._waiting.get(key, ()):
            event.set()

    def host_ended(self, host_id: str) -> None:
        """Nothing comes from the host any more: whoever waits for one of its units gets Failed."""
        for key, events in self._waiting.items():
            for event in events if key[0] == host_id else ():
                event.host_ended = True
                event.set()

    @contextmanager
    def _woken(self, key: Key) -> Iterator[_Woken]:
        event = _Woken()
        self._waiting.setdefault(key, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    async def _until(
        self, key: Key, done: Callable[[], bool], seconds: float, failure: Callable[[], errors.Error]
    ) -> None:
        """Look after each new status until it is done."""
        with self._woken(key) as woken:
            try:
                async with asyncio.timeout(seconds):
                    while not done():
                        if woken.host_ended:
                            raise errors.Failed(f"unit {'/'.join(key)}: its host has ended", unit="/".join(key))
                        await woken.wait()
                        woken.clear()
            except TimeoutError:
                raise failure() from None

    async def _end(self, places: folders.UnitPlaces) -> None:
        """End the supervisors of a folder that is out of s6-svscan's sight, its log's last."""
        if not supervision.tell(places.svscan, supervision.SCAN_AND_REAP):
            supervision.tell(places.gone / supervision.SUPERVISE, supervision.DOWN + supervision.EXIT)
        seconds = folders.kill_after(places.gone) + STOP_MARGIN
        await self._ended(places.gone / supervision.SUPERVISE, seconds)
        # A process that outlived the unit may hold the log open: it would never end by itself.
        log = places.gone / "log" / supervision.SUPERVISE
        supervision.tell(log, supervision.DOWN + supervision.EXIT)
        await self._ended(log, STOP_MARGIN)
        folders.remove(places)

    async def _ended(self, folder: Path, seconds: float) -> None:
        if not await supervision.ended(folder, seconds):
            raise errors.Failed(f"the supervisor of {folder} did not end within {seconds:g} s", folder=folder)
