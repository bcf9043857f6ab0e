"""`roadstead start`: the machine is looked at, the services' environment installed, the tree started."""

from __future__ import annotations

import contextlib
import os
import pwd
import sys
from pathlib import Path

import click
import msgspec

from roadstead.agent_client import Client
from roadstead.contract import programs
from roadstead.core import errors, instance, terminal
from roadstead.identity import admin as admins
from roadstead.machine import caller, installation
from roadstead.machine.doctor import command as doctor
from roadstead.machine.services import engines, kubeconfigs, ports, profiles
from roadstead.machine.services import registries as registry_files
from roadstead.machine.supervision import make, see, systemd, tree
from roadstead.machine.supervision import settings as instance_settings
from roadstead.network import regions

USER = programs.USER
USERS = (programs.USER, programs.PORTER_USER, programs.ENGINES_USER)
"""The system users of the services that need no root."""
_COUNT = click.IntRange(0, 1 << 40)


@click.command()
@caller.instance_option
@click.option("--port", type=click.IntRange(1024, 65535), help="Where the AWS APIs listen.  [default: 4566]")
@click.option("--address", help="The IP address they listen on; other than loopback speaks TLS.  [default: 127.0.0.1]")
@click.option("--advertise-address", help="The IP address at which clusters' endpoints are reached.")
@click.option("--registries", help="A file with mirrors, authorities and proxies of registries; `none` for none.")
@click.option("--endpoint-ports", help="Ports at which clusters are reached, FIRST-LAST.  [default: 16443-20538]")
@click.option("--machine-networks", help="Networks that the machine may have routes to.  [default: 198.19.0.0/16]")
@click.option("--machine-ports", help="Ports on which the agent may open sockets for services.  [default: none]")
@click.option("--region", help="The region of the AWS profile.  [default: eu-central-1]")
@click.option("--keep-memory", type=_COUNT, metavar="MIB", help="Memory that hosts leave to the machine.")
@click.option("--keep-processes", type=_COUNT, metavar="N", help="Processes and threads that hosts leave to it.")
@click.option("--keep-disk", type=_COUNT, metavar="MIB", help="Disk below which nothing new is begun.")
@click.option(
    "--node-users",
    type=click.Choice(["own", "machine"]),
    help="Whose users nodes have that are made from now on: `machine` for pods that are to change the machine.",
)
@click.option("--machine-netns", hidden=True)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds that the services may take to answer.")
@click.option("--yes", "-y", is_flag=True, help="Mend the machine without asking.")
def start(instance_id: str, timeout: float, yes: bool, registries: str | None, **asked: str | int | None) -> None:
    """Start Roadstead: agent, serve, two porters and supplier, supervised, from an environment under /opt/roadstead.

    Running hosts are adopted as they are. What is asked for by flags is kept: a start without flags changes nothing,
    with other ones, or newer code, it restarts what is concerned.
    """
    need_root("start")
    os.umask(0o022)
    _, kept = instance_settings.instance_of(instance_id)
    wanted = instance_settings.merged(kept, **asked)
    if wanted.region not in regions.CODES:
        raise errors.Invalid(f"--region {wanted.region}: there is no such region; eu-central-1 is one")
    netns = None if wanted.machine_netns is None else Path(wanted.machine_netns)
    if asked["advertise_address"] is not None:
        ports.check_own(wanted.advertised, netns)
    images = None if registries in (None, registry_files.NONE) else registry_files.given(Path(registries))
    places = instance.Instance.named(instance_id, netns)
    ports.check(wanted.address, wanted.port, netns, own=_pid(places, "serve"))
    for finding in doctor.check_before_start(interactive=sys.stdin.isatty(), yes=yes, may_mend=netns is None):
        if finding.level == "warning":
            terminal.err(f"warning: {finding.title}. {finding.remedy}")
    for user in USERS:
        ensure_user(user)
    if registries is not None:
        name = None if images is None else registry_files.keep(places, images, USER)
        wanted = msgspec.structs.replace(wanted, registries=name)
    checkout = installation.checkout(os.environ)
    try:
        with installation.alone():
            python = installation.install(checkout, installation.choose(installation.candidates()))
            # Before serve looks for them: what it does not find is built.
            if engines.own():
                terminal.err(f"{tree.CACHE} was of the user {USER}, as in earlier releases: engines are got anew")
            given = engines.share(engines.sources(os.environ, Path.home()))
            started = _up(places, python, wanted, timeout)
            installation.prune(_definitions())
    finally:
        registry_files.prune(places, instance_settings.read(places).registries)
    _tell(places, python, wanted, started=started, given=given)
    if kept.advertised != wanted.advertised:
        _follow(kept.advertised, wanted.advertised)


def _up(places: instance.Instance, python: Path, wanted: instance_settings.TreeSettings, timeout: float) -> bool:
    """Raises Failed, with the settings as they were: what did not start is not what runs on, or what a boot does."""
    before = instance_settings.read(places) if instance_settings.exist(places) else None
    instance_settings.write(places, wanted)
    try:
        unit = unit_of(places)
        if unit is not None:
            make.install(systemd.files(python, places.id), systemd.HOSTS.name)
        return make.up(places, _services(places, python, wanted), unit=unit, timeout=timeout)
    except errors.Error:
        instance_settings.write(places, before)
        if before is not None and before != wanted and see.tree(tree.folder(places)).scanner is not None:
            with contextlib.suppress(errors.Error):
                # The first failure is the one to be told.
                make.up(places, _services(places, python, before), unit=unit_of(places), timeout=timeout)
        raise


def _services(
    places: instance.Instance, python: Path, wanted: instance_settings.TreeSettings
) -> tuple[tree.TreeService, ...]:
    return tree.services(places, python, wanted, see.ids())


def _tell(
    places: instance.Instance,
    python: Path,
    wanted: instance_settings.TreeSettings,
    *,
    started: bool,
    given: tuple[str, ...],
) -> None:
    agent = Client(places.socket, timeout=30.0).status()
    admin = admins.read(tree.serve_state(places)).at(wanted.endpoint, wanted.region)
    written = profiles.write(caller.caller(os.environ), admin)
    if written.warning:
        terminal.err(f"warning: {written.text}")
    terminal.out(
        f"instance {agent.instance}: agent {agent.version} {'is up' if started else 'was up'} (pid {agent.pid})"
    )
    lines = {
        "serve": f"{admin.endpoint}, account {admin.account}",
        "profile": "" if written.warning else written.text,
        "engines": f"copied for the services: {', '.join(given)}" if given else "",
        "socket": places.socket,
        "state": places.state,
        "logs": places.log,
        "code": python.parents[1],
    }
    terminal.out("\n".join(f"  {name:<7} {text}" for name, text in lines.items() if text))


def _follow(before: str, now: str) -> None:
    """serve itself moves the endpoints of clusters; what people wrote of them is to be written anew."""
    done = kubeconfigs.follow(os.environ, before, now)
    if done.warning:
        terminal.err(f"warning: the kubeconfig still has the address {before}: {done.warning}")
    terminal.out(f"  clusters are reached at {now}, no more at {before}")
    for path in done.paths:
        terminal.out(f"  {path} was changed accordingly")
    terminal.out("  other kubeconfigs: `roadstead utils write-kubeconfig --cluster NAME` writes a cluster's entry anew")


def _pid(places: instance.Instance, service: str) -> int | None:
    found = see.process(tree.folder(places), service) if tree.folder(places).is_dir() else None
    return None if found is None else found.pid


def unit_of(places: instance.Instance) -> str | None:
    """The systemd unit of an instance: only `main` has one, and only where PID 1 is systemd."""
    return systemd.UNIT.name if places.id == "main" and see.under_systemd() else None


def need_root(command: str) -> None:
    """Raises Denied for anyone else, naming the command."""
    if os.geteuid() != 0:
        raise errors.Denied(f"`roadstead {command}` changes this machine: run it as root or through ./roadstead")


def ensure_user(name: str) -> None:
    """A system user that owns nothing and cannot log in; left alone where it is there."""
    if any(entry.pw_name == name for entry in pwd.getpwall()):
        return
    folder = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin")
    make.call("useradd", "--system", "--user-group", *folder, name, timeout=30)


def _definitions() -> list[str]:
    """The texts that name environments: run scripts of all instances, and the unit file."""
    scripts = [path.read_text() for path in instance.RUN_ROOT.glob("*/tree/*/run")]
    return [*scripts, systemd.UNIT.read_text()] if systemd.UNIT.is_file() else scripts
