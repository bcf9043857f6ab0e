"""`roadstead logs HOST/UNIT`: what a unit wrote, from its rotated log."""

from __future__ import annotations

import sys

import click

from roadstead.agent_client import Client
from roadstead.core import errors, instance


@click.command()
@click.argument("unit", metavar="HOST/UNIT")
@click.option("-f", "--follow", is_flag=True, help="Go on as it is written.")
@click.option("-n", "--lines", default=100, show_default=True, type=click.IntRange(0), help="How many lines back.")
@click.option("--instance", "instance_id", default="main", show_default=True, help="Which Roadstead on this machine.")
def logs(unit: str, follow: bool, lines: int, instance_id: str) -> None:
    """Print the log of a unit."""
    host, slash, name = unit.partition("/")
    if not slash or not host or not name:
        raise errors.Invalid(f"{unit!r}: say which unit of which host, as in `roadstead logs cluster-1.etcd-a/etcd`")
    client = Client(instance.Instance.named(instance_id).socket)
    try:
        for chunk in client.logs(host, name, lines, follow):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    except (KeyboardInterrupt, BrokenPipeError):
        return
