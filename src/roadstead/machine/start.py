"""`roadstead start`: the machine is looked at, the services' environment installed, the tree started."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

import click

from roadstead.agent_client import Client
from roadstead.core import errors, instance
from roadstead.machine import installation
from roadstead.machine.doctor import command as doctor
from roadstead.machine.supervision import make, see, systemd, tree

USER = "roadstead"
"""The system user of all services that need no root (later porter and serve)."""


@click.command()
@click.option("--instance", "instance_id", default="main", show_default=True, help="Which Roadstead on this machine.")
@click.option("--machine-netns", type=click.Path(path_type=Path), hidden=True)
@click.option("--timeout", default=30.0, show_default=True, help="Seconds that the agent may take to answer.")
@click.option("--yes", "-y", is_flag=True, help="Mend the machine without asking.")
def start(instance_id: str, machine_netns: Path | None, timeout: float, yes: bool) -> None:
    """Start Roadstead: the supervised agent, from an environment under /opt/roadstead.

    Running hosts are adopted as they are. A second start changes nothing; with newer code it restarts the agent alone.
    """
    need_root("start")
    os.umask(0o022)
    places = instance.Instance.named(instance_id, machine_netns)
    for finding in doctor.check_before_start(interactive=sys.stdin.isatty(), yes=yes, may_mend=machine_netns is None):
        if finding.level == "warning":
            click.echo(f"warning: {finding.title}. {finding.remedy}", err=True)
    ensure_user(USER)
    checkout = installation.checkout(os.environ)
    with installation.alone():
        python = installation.install(checkout, installation.choose(installation.candidates()))
        started = _up(places, python, timeout)
        installation.prune(_definitions())
    agent = Client(places.socket, timeout=timeout).status()
    click.echo(f"instance {agent.instance}: agent {agent.version} {'is up' if started else 'was up'} (pid {agent.pid})")
    click.echo(
        f"  socket  {places.socket}\n  state   {places.state}\n  logs    {places.log}\n  code    {python.parents[1]}"
    )


def _up(places: instance.Instance, python: Path, timeout: float) -> bool:
    unit = unit_of(places)
    if unit is not None:
        text = systemd.unit(python, places.id)
        if not systemd.UNIT.is_file() or systemd.UNIT.read_text() != text:
            systemd.UNIT.write_text(text)
            make.call("systemctl", "daemon-reload", timeout=60)
    return make.up(places, (tree.agent(places, python),), unit=unit, timeout=timeout)


def unit_of(places: instance.Instance) -> str | None:
    """The systemd unit of an instance: only `main` has one, and only where PID 1 is systemd."""
    return systemd.UNIT.name if places.id == "main" and see.under_systemd() else None


def need_root(command: str) -> None:
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
