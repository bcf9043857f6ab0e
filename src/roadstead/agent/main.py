"""The agent's composition root: builds the rooms, starts one task group, ends with everything closed.

    python -m roadstead.agent.main --instance ID [--machine-netns PATH] [--owner-pid PID] [--allow-uid UID]
        [--listener-uid UID] [--machine-networks CIDRS] [--endpoint-ports RANGE] [--machine-ports PORTS]
        [--publish-address ADDRESS] [--engines DIR] [--engines-user NAME] [--node-users own|machine]

Ending the agent leaves the hosts running: the next agent adopts them. With `--owner-pid` the instance belongs to that
process: when it dies, however, the instance is purged and the agent ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator

import msgspec
from aiohttp import web

import roadstead
from roadstead.agent import jobs, kinds, listeners, machine, options, pace, peers, purge, watching
from roadstead.agent.api import admission
from roadstead.agent.api import server as servers
from roadstead.agent.ceilings import plan as ceilings
from roadstead.agent.ceilings import see as ceilings_seen
from roadstead.agent.fabric import fabric
from roadstead.agent.hosts import cgroups, hosts
from roadstead.agent.hosts import see as host_facts
from roadstead.agent.kinds import context, kind
from roadstead.agent.pods import pods
from roadstead.agent.records import begun, blobs, host_ids, kept_jobs, observation_log, register
from roadstead.agent.records import desired as store
from roadstead.agent.stores import stores
from roadstead.agent.units import units
from roadstead.contract import programs
from roadstead.contract.messages import desired, observed, requests
from roadstead.contract.messages import machine as machines
from roadstead.core import errors, instance, loglines, program, structs, terminal
from roadstead.core.files import atomic
from roadstead.core.loops import loop

log = logging.getLogger("roadstead.agent")

_AT_ONCE = 8
"""Objects worked on side by side. Most of their time they wait for the kernel or for runc."""
_DESCRIPTORS = 16384
"""Open files: some for each node, and for all connections that are let in at once."""


async def _apart(work: Coroutine[object, object, None]) -> None:
    """A task in the background that fails in a way nobody foresaw is said with its trace, and is nobody else's end."""
    try:
        await work
    except Exception:
        log.exception("a task in the background failed")


class Agent:
    """The rooms of one agent, joined; what the API (api.Rooms) is given."""

    def __init__(
        self,
        places: instance.Instance,
        net: fabric.Fabric,
        tasks: asyncio.TaskGroup,
        given: options.Given,
    ) -> None:
        self.instance = places
        self.since = time.time()
        known_kinds = kind.by_name(kinds.KINDS)
        self.records = store.DesiredStore(places.state / "desired.db", kind.messages(known_kinds))
        self.blobs = blobs.Blobs(places.blobs)
        self.observations = observation_log.ObservationLog(first=int(self.since * 1000))
        self.pace = pace.Pace()
        known = register.Register(self.records, given.engines, given.owners)
        facts = host_facts.machine_facts(places)
        self.ceilings = ceilings.ceilings(ceilings_seen.room(places.state, cgroups.above(facts)), given.kept)
        host_room = hosts.Hosts(places, facts, self.ceilings, given.node_users)
        self.near = watching.Ceilings(self.ceilings.kept.disk)
        self.context = context.StepContext(
            instance=places,
            kinds=known_kinds,
            records=self.records,
            ids=host_ids.HostIds(self.records),
            begun=begun.BegunUnits(self.records),
            jobs=kept_jobs.KeptJobs(self.records),
            blobs=self.blobs,
            observations=self.observations,
            fabric=net,
            hosts=host_room,
            units=units.Units(places, net.open_socket, host_room.run_for_probe),
            listeners=listeners.Listeners(places, net.open_socket, given.users.listener, given.users.caller),
            pods=pods.Pods(places, net.lend_hands, self._host, lambda work: tasks.create_task(_apart(work))),
            stores=stores.Stores(places, self.blobs.path),
            register=known,
            spawn=lambda work: tasks.create_task(_apart(work)),
            bring=self._bring,
        )
        self.loop: loop.Loop[store.Key] = loop.Loop(self._step, failed=self._failed, at_once=_AT_ONCE)
        self.context.loop = self.loop
        self.admission = admission.Admission(
            known_kinds, self.records, self.blobs, units.SYSTEM, self._accepted, given.bounds, known
        )
        self.jobs = jobs.Jobs(
            self.records,
            self.context.jobs,
            self.blobs,
            host_room.run_for_probe,
            self._lend,
            self.context.spawn,
            self._uid,
        )

    async def _step(self, key: store.Key) -> float | None:
        return await kinds.step(self.context, key)

    def _failed(self, key: store.Key, error: Exception, again: float) -> None:
        kinds.failed(self.context, key, error, again)

    def _accepted(self, record: store.DesiredRecord) -> None:
        if self.observations.get(record.key) is None:
            self.context.observe(record, "deleting" if record.deleting else "pending")
        self.loop.wake(record.key)

    def _host(self, id: str) -> desired.Host | None:
        return self.context.wanted().get(desired.Host, id)

    def _uid(self, host: str) -> int:
        return kinds.units.uid_of(self.context, host)

    def _lend(self, host: str, digest: str) -> str:
        return self.context.hosts.lend(host, self.blobs.path(digest))

    async def _bring(self, host: str, engine: str, archive: str) -> None:
        await self.jobs.bring(host, engine, archive)

    def adopt(self) -> None:
        """Look at everything that was asked for before this agent came, in the order of kinds."""
        order = {name: known.order for name, known in self.context.kinds.items()}
        last = max(order.values()) + 1
        for id in self.context.register.adopt():
            log.warning(
                "nobody vouches for engine %s, of an earlier release: it runs on, and nothing new is run of it", id
            )
            kinds.engines.withhold(self.instance, id)
        for key in sorted(self.records.records, key=lambda key: (order.get(key[0], last), key)):
            self._accepted(self.records.records[key])
        self.jobs.resume()

    def status(self) -> observed.Status:
        """As the API answers it; see messages.observed."""
        counts = {name: len(self.records.of_kind(name)) for name in self.context.kinds}
        asleep = {"ready", "stopped"}
        return observed.Status(
            instance=self.instance.id,
            version=roadstead.__version__,
            api=requests.API_VERSION,
            pid=os.getpid(),
            since=self.since,
            revision=self.observations.revision,
            counts=counts,
            not_ready=sum(seen.phase not in asleep for seen in self.observations.all()),
        )

    async def machine(self) -> machines.Machine:
        """Looks at the machine anew, in a thread."""
        seen = await asyncio.to_thread(machine.see, self.instance, self.pace.spawn, self.pace.late)
        left, told = self.ceilings.kept, self.near.machine
        return msgspec.structs.replace(seen, kept_memory=left.memory, kept_disk=left.disk, near=told)

    def logs(self, host: str, unit: str, lines: int, follow: bool) -> AsyncIterator[bytes]:
        """Raises NotFound for a unit that there is not."""
        return self.context.units.logs(host, unit, lines, follow)

    def shell(self, host: str) -> list[str]:
        """Raises NotFound for a host that does not run."""
        record = self.records.get(("hosts", host))
        if record is None or self.context.phase("hosts", host) != "ready":
            known = ", ".join(sorted(self.records.of_kind("hosts"))) or "none"
            raise errors.NotFound(f"no host {host} is running; known hosts: {known}")
        return self.context.hosts.shell_argv(host, self._uid(host))


async def run(places: instance.Instance, given: options.Given, owner: int | None) -> bool:
    """Serve until told to stop; True when the owner has died and the instance is to be purged."""
    stop = asyncio.Event()
    owner_died = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with _owner_watched(owner, owner_died, stop):
        async with fabric.Fabric(places) as net, asyncio.TaskGroup() as tasks:
            agent = Agent(places, net, tasks, given)
            agent.adopt()
            await agent.pace.look()
            background = [
                tasks.create_task(agent.loop.run()),
                tasks.create_task(agent.context.listeners.serve()),
                tasks.create_task(watching.drift(agent.context)),
                tasks.create_task(watching.units(agent.context)),
                tasks.create_task(agent.near.watch(agent.context)),
                tasks.create_task(watching.sweep_blobs(agent.context)),
                tasks.create_task(agent.pace.run()),
            ]
            async with _api(agent, places, given.users.caller):
                program.say_ready()
                await stop.wait()
            await agent.context.pods.close_all()
            for task in background:
                task.cancel()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            agent.context.listeners.close_all()
            agent.records.close()
    return owner_died.is_set()


@contextlib.asynccontextmanager
async def _api(agent: Agent, places: instance.Instance, caller: int | None) -> AsyncIterator[None]:
    """The API is answered. Whose process has connected is known before anything of it is read."""
    users = frozenset({0} if caller is None else {0, caller})
    runner = web.AppRunner(servers.application(agent, users), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        with peers.listening(places.socket, caller) as server:
            answering = asyncio.create_task(_answer(runner, server, peers.Gate(users)))
            log.info("instance %s: listening on %s", places.id, places.socket)
            try:
                yield
            finally:
                answering.cancel()
    finally:
        await runner.cleanup()


async def _answer(runner: web.AppRunner, server: socket.socket, gate: peers.Gate) -> None:
    assert runner.server is not None
    async for peer in peers.accepted(server, gate):
        try:
            await asyncio.get_running_loop().connect_accepted_socket(runner.server, peer)
        except OSError as error:
            log.warning("a connection was not taken: %s", error)
            peer.close()


@contextlib.contextmanager
def _owner_watched(owner: int | None, died: asyncio.Event, stop: asyncio.Event) -> Iterator[None]:
    if owner is None:
        yield
        return
    descriptor = os.pidfd_open(owner)

    def over() -> None:
        died.set()
        stop.set()
        asyncio.get_running_loop().remove_reader(descriptor)

    asyncio.get_running_loop().add_reader(descriptor, over)
    try:
        yield
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)


@contextlib.contextmanager
def _alone(places: instance.Instance) -> Iterator[None]:
    """One agent per instance: a lock for as long as the process lives, and its pid for others to read."""
    with (places.run / "agent.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.Busy(f"an agent of instance {places.id} is running already") from error
        pid = places.run / programs.PID
        atomic.write(pid, f"{os.getpid()}\n".encode(), 0o600, durable=False)
        yield
        pid.unlink(missing_ok=True)


def prepare(places: instance.Instance) -> None:
    """The instance's folders, and the record that it exists, before anything else is made."""
    instance.make(places)
    _close(places)
    record = {
        "instance": places.id,
        "machine_netns": None if places.machine_netns is None else str(places.machine_netns),
    }
    atomic.write(places.state / programs.RECORD, json.dumps(record).encode(), 0o600)


def _close(places: instance.Instance) -> None:
    """What earlier releases left open is root's alone, too, but for what is for a group or for all to read."""
    for path in (*places.state.iterdir(), *places.run.iterdir()):
        facts = path.lstat()
        if stat.S_ISREG(facts.st_mode) and facts.st_gid == 0 and path.name != programs.SETTINGS:
            path.chmod(stat.S_IMODE(facts.st_mode) & 0o700)


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 0 when it was told to end, 1 for an error, told on standard error."""
    read = options.read(arguments)
    # What callers send wrongly is answered, not logged with a traceback; our own errors the API logs itself.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # Who starts the agent may ignore signals (nohup does), and what is ignored is inherited down to every unit.
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    handler = logging.StreamHandler()
    handler.setFormatter(loglines.Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=read.log_level, handlers=[handler])
    try:
        places = instance.Instance.named(read.instance, read.machine_netns)
        if os.geteuid() != 0:
            raise errors.Denied("the agent makes namespaces, mounts and rules: it must run as root")
        program.keep_private()
        program.raise_descriptors(_DESCRIPTORS)
        prepare(places)
        structs.prepare()
        with _alone(places):
            abandoned = asyncio.run(run(places, options.given(read), read.owner_pid))
        if abandoned:
            log.info("the owner %s is gone: instance %s is purged", read.owner_pid, places.id)
            purge.purge(places)
    except errors.Error as error:
        terminal.err(f"roadstead-agent: {error.message}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
