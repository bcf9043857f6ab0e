"""`roadstead shell HOST`: a shell inside a host, as that host's own user."""

from __future__ import annotations

import os
import sys

import click

from roadstead.agent_client import Client
from roadstead.core import instance
from roadstead.machine import caller
from roadstead.machine.services import names


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@caller.instance_option
def shell(host: str, command: tuple[str, ...], instance_id: str) -> None:
    """Open a shell in HOST, or run COMMAND there. HOST is CLUSTER.etcd-a or its kin, or a node as kubectl calls it."""
    places = instance.Instance.named(instance_id)
    client = Client(places.socket, timeout=10)
    id = names.host(host, names.known(places), client.wanted())
    argv = inside(client.shell(id), command, terminal=sys.stdin.isatty() and sys.stdout.isatty())
    os.execvp(argv[0], argv)


def inside(shell_argv: list[str], command: tuple[str, ...], *, terminal: bool) -> list[str]:
    """The command line for the host: `command` instead of the shell; a terminal only where there is one to lend."""
    argv = [*shell_argv[:-1], *command] if command else shell_argv
    return argv if terminal else [word for word in argv if word != "--tty"]
