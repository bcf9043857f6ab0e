"""The composition root of `serve`: the store, the account, the operations, the served; one task group.

    python -m roadstead.serve.main --state DIR [--address 127.0.0.1] [--port 4566] [--region eu-central-1]
        [--certificate FILE --key FILE] [--profile-of HOME:UID:GID]

Loopback speaks plain HTTP unless a certificate is given; every other address speaks TLS, with a certificate of our own
CA when none is given. SIGTERM and SIGINT end it: requests in work are answered, what was committed is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import ipaddress
import logging
import os
import re
import signal
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

import roadstead
from roadstead.aws import idempotency, registry
from roadstead.aws.authorization import administrators
from roadstead.aws.cloudformation import service as cloudformation
from roadstead.aws.ec2 import service as ec2
from roadstead.aws.eks import service as eks
from roadstead.aws.http import dispatch, logs, server
from roadstead.aws.iam import service as iam
from roadstead.aws.roadstead import about
from roadstead.aws.roadstead import service as own
from roadstead.aws.sts import service as sts
from roadstead.clusters import provider as providers
from roadstead.clusters.components import registries as image_sources
from roadstead.contract import programs
from roadstead.contract.messages import bounds
from roadstead.core import clock as clocks
from roadstead.core import concurrency, errors, program, structs
from roadstead.identity import accounts, admin, homes, profile
from roadstead.network import regions
from roadstead.store import interface
from roadstead.store.sqlite import local

log = logging.getLogger("roadstead.serve")

SERVICES: tuple[registry.Service, ...] = (
    eks.SERVICE,
    ec2.SERVICE,
    iam.SERVICE,
    sts.SERVICE,
    cloudformation.SERVICE,
    own.SERVICE,
)

REGIONS = frozenset(regions.CODES)
"""All of the partition `aws`; each of them is served here."""

_DESCRIPTORS = 8192
"""Open files: connections that are still shaking hands are not counted by the served."""
_SWEEPING = 3600.0
"""Seconds between two looks for idempotency tokens whose day is over."""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    state: Path
    address: str
    port: int
    region: str
    certificate: Path | None
    key: Path | None
    profile_of: homes.Owner | None
    instance: str = "main"
    agent: Path | None = None
    """The agent's socket; None: what is asked for is kept, and nobody works on it."""
    sections: Path | None = None
    """The folder of what porter answers from."""
    advertise: str = "127.0.0.1"
    """The address of the machine at which clusters are reached."""
    ports: range = bounds.ports(bounds.PORTS)
    """Those of it at which they may be."""
    registries: Path | None = None
    """Settings of where nodes get images from."""
    engines: Path | None = None
    """The cache of the engines; None: as the environment has it."""
    porter: int | None = None
    """The user id of porter; None: serve's own."""
    supplier: Path | None = None
    """The socket of who gets and builds engines; None: serve does."""


@dataclass(frozen=True)
class Trust:
    """How the served speaks: `tls` is None for plain HTTP; `ca`: what clients have to trust."""

    tls: ssl.SSLContext | None = None
    ca: Path | None = None


async def run(
    options: Options,
    services: tuple[registry.Service, ...] = SERVICES,
    agent: providers.Provider | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT. Without an agent what is asked for is kept, and nobody works on it."""
    program.raise_descriptors(_DESCRIPTORS)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    trust = _trust(options)
    registries = _registries(options)
    operations = registry.build(services)
    async with local.opened(local.Places(options.state)) as store:
        account = await accounts.ensure(store, _now().timestamp())
        await store.commit(about.announced(account.account.id, _program(options)))
        facts = dispatch.DispatcherFacts(
            operations,
            store,
            REGIONS,
            account.cursors,
            administrators.Administrators(),
            secure=trust.tls is not None,
            now=_now,
        )
        served = server.Server(dispatch.Dispatcher(facts), {"/coverage": _coverage(operations)}, server.ServerLimits())
        async with server.opened(served, options.address, options.port, trust.tls) as (address, port):
            endpoint = _endpoint(address, port, secure=trust.tls is not None)
            _write_profile(options, account, endpoint, trust)
            _leave_admin(options, account, endpoint, trust)
            _say(account, endpoint, operations)
            async with asyncio.TaskGroup() as group:
                working = [
                    group.create_task(_sweep(store)),
                    group.create_task(_work(options, operations, store, agent, registries)),
                ]
                program.say_ready()
                await stop.wait()
                log.info("stopping")
                await concurrency.end(*working)


async def _work(
    options: Options,
    operations: registry.Registry,
    store: interface.Store,
    agent: providers.Provider | None,
    registries: image_sources.Registries,
) -> None:
    """The reconcilers with their provider, until cancelled."""
    if agent is not None:
        await concurrency.together(*operations.reconciling(_reconciler_facts(store, agent)))
    elif options.agent is None:
        log.warning("there is no agent: clusters and nodegroups are kept, but nobody makes them")
    else:
        # Only here: an AWS API without an agent needs none of it.
        from roadstead.serve import tasks

        settings = tasks.TaskSettings(
            socket=options.agent,
            state=options.state,
            engines=options.engines,
            supplier=options.supplier,
            sections=options.sections,
            porter=os.getuid() if options.porter is None else options.porter,
            endpoints=tasks.public(options.advertise, options.ports),
            registries=registries,
            controllers=operations.controllers,
        )
        async with tasks.opened(store, settings) as opened:
            await concurrency.together(opened.run(), *operations.reconciling(_reconciler_facts(store, opened.provider)))


def _reconciler_facts(store: interface.Store, agent: providers.Provider) -> registry.ReconcilerFacts:
    return registry.ReconcilerFacts(store, agent, lambda: _now().timestamp(), clocks.SystemClock())


def _trust(options: Options) -> Trust:
    """Raises Failed for a certificate that cannot be used."""
    loopback = ipaddress.ip_address(options.address).is_loopback
    if options.certificate is None and loopback:
        return Trust()
    # Only here: reading the library takes longer than the rest of the start.
    from roadstead.aws.http import certificates

    if options.certificate is not None and options.key is not None:
        return Trust(certificates.context(certificates.Files(options.certificate, options.key)))
    files = certificates.ensure(options.state / "tls", certificates.names(options.address), _now())
    return Trust(certificates.context(files), files.ca)


def _registries(options: Options) -> image_sources.Registries:
    """Raises Failed for a file that root cannot have left so."""
    if options.registries is None:
        return image_sources.Registries()
    try:
        return image_sources.read(options.registries.read_bytes())
    except OSError as error:
        raise errors.Failed(
            f"{options.registries} cannot be read: {error.strerror}", file=options.registries
        ) from error


def _program(options: Options) -> about.ServeProgram:
    return about.ServeProgram(roadstead.__version__, options.instance, _now().timestamp())


def _endpoint(address: str, port: int, *, secure: bool) -> str:
    """The URL for callers on this machine."""
    where = ipaddress.ip_address(address)
    if where.is_unspecified:
        address = "127.0.0.1" if where.version == 4 else "::1"
    host = f"[{address}]" if ":" in address else address
    return f"{'https' if secure else 'http'}://{host}:{port}"


def _coverage(operations: registry.Registry) -> server.Page:
    async def page() -> tuple[str, bytes]:
        counted = await asyncio.to_thread(registry.coverage, operations)
        return "application/json", msgspec.json.encode(counted)

    return page


def _write_profile(options: Options, account: accounts.Opened, endpoint: str, trust: Trust) -> None:
    """A person whose home cannot be written to can still be served: it is said, and not an end."""
    if options.profile_of is None:
        return
    if account.secret is None:
        log.warning("no profile is written: the administrator's first access key was deleted")
        return
    ca = _readable_ca(options.profile_of, trust)
    wanted = profile.Profile(endpoint, options.region, account.account.access_key, account.secret, ca)
    try:
        changed = homes.write(options.profile_of, wanted)
    except (errors.Error, OSError) as error:
        log.warning("the AWS profile was not written: %s", error)
    else:
        log.info("the AWS profile %r %s", profile.NAME, "was written" if changed else "is as it should be")


def _leave_admin(options: Options, account: accounts.Opened, endpoint: str, trust: Trust) -> None:
    """For root, which writes the profile of whoever calls `roadstead start`."""
    ca = None if trust.ca is None else trust.ca.read_text()
    id, key = account.account.id, account.account.access_key
    left = admin.Admin(
        account=id, access_key=key, secret=account.secret, endpoint=endpoint, region=options.region, ca=ca
    )
    admin.write(options.state, left)


def _readable_ca(owner: homes.Owner, trust: Trust) -> str | None:
    """The CA's certificate where its person can read it: the state is nobody else's."""
    if trust.ca is None:
        return None
    return str(homes.place(owner, programs.CA, trust.ca.read_text()))


def _say(account: accounts.Opened, endpoint: str, operations: registry.Registry) -> None:
    log.warning(
        "policies are not evaluated yet: every caller whose signature is good is the account's administrator",
        extra={logs.FIELDS: {"account": account.account.id}},
    )
    fields = {"endpoint": endpoint, "operations": len(operations.bound), "version": roadstead.__version__}
    log.info("serving", extra={logs.FIELDS: fields})


async def _sweep(store: interface.Store) -> None:
    while True:
        try:
            await idempotency.sweep(store, _now())
        except errors.Error:
            log.exception("old idempotency tokens could not be removed; they are tried again in an hour")
        await asyncio.sleep(_SWEEPING)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _options(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="roadstead-serve", description="The AWS APIs of one Roadstead instance.")
    parser.add_argument("--state", type=Path, required=True, help="the folder of the store")
    parser.add_argument("--instance", default="main", help="the name of this Roadstead on its machine")
    parser.add_argument("--address", default="127.0.0.1", help="an IP address; other than loopback means TLS")
    parser.add_argument("--port", type=int, default=programs.PORT)
    parser.add_argument("--region", default=programs.REGION, help="the region of the profile")
    parser.add_argument("--certificate", type=Path, help="PEM, with those between it and its CA")
    parser.add_argument("--key", type=Path, help="PEM")
    parser.add_argument("--agent", type=Path, help="the agent's socket")
    parser.add_argument("--sections", type=Path, help="the folder of what porter answers from")
    parser.add_argument("--porter-uid", type=int, help="the user id of porter; serve's own where none is given")
    parser.add_argument("--engines", type=Path, help="the cache of the engines")
    parser.add_argument("--supplier", type=Path, help="the socket of who gets and builds engines")
    parser.add_argument("--advertise-address", default="127.0.0.1", help="where users reach clusters")
    parser.add_argument("--endpoint-ports", type=bounds.ports, default=bounds.PORTS, help="FIRST-LAST, of that address")
    parser.add_argument("--registries", type=Path, help="a file of settings: mirrors, authorities, proxies")
    parser.add_argument("--profile-of", help="HOME:UID:GID, a person whose AWS profile is written")
    parser.add_argument("--log-level", default="INFO", choices=["DEBUG", "INFO", "WARNING", "ERROR"])
    read = parser.parse_args(arguments)
    if (read.certificate is None) != (read.key is None):
        parser.error("--certificate and --key go together")
    for name, address in (("address", read.address), ("advertise-address", read.advertise_address)):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            parser.error(f"--{name} {address}: an IP address is wanted")
    if read.region not in REGIONS:
        parser.error(f"--region {read.region}: no such region")
    owner = None
    if read.profile_of is not None:
        found = re.fullmatch(r"(/.*):(\d+):(\d+)", read.profile_of)
        if found is None:
            parser.error(f"--profile-of {read.profile_of}: HOME:UID:GID is wanted")
        owner = homes.Owner(Path(found[1]), int(found[2]), int(found[3]))
    logs.start(read.log_level)
    return Options(
        read.state,
        read.address,
        read.port,
        read.region,
        read.certificate,
        read.key,
        owner,
        read.instance,
        read.agent,
        read.sections,
        read.advertise_address,
        read.endpoint_ports,
        read.registries,
        read.engines,
        read.porter_uid,
        read.supplier,
    )


def main(
    arguments: list[str] | None = None,
    services: tuple[registry.Service, ...] = SERVICES,
    agent: providers.Provider | None = None,
) -> int:
    """Until it is told to end; the exit code."""
    options = _options(arguments)
    program.keep_private()
    structs.prepare()
    try:
        asyncio.run(run(options, services, agent))
    except errors.Error as error:
        log.critical(error.message, extra={logs.FIELDS: error.facts})
        return 1
    except OSError as error:
        log.critical(
            "cannot listen on %s port %d: %s (another one running? --port takes another)",
            *(options.address, options.port, error.strerror),
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
