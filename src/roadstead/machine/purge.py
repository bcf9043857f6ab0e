"""`roadstead purge INSTANCE`: take an instance back from what is on disk, with no agent's help."""

from __future__ import annotations

import subprocess
import sys

import click

from roadstead.core import instance
from roadstead.machine import start
from roadstead.machine.supervision import make


@click.command()
@click.argument("instance_id", metavar="INSTANCE")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(instance_id: str, yes: bool) -> None:
    """Remove everything of INSTANCE: hosts, disks, networks, rules, folders."""
    places = instance.Instance.named(instance_id)
    if not yes:
        click.confirm(
            f"All hosts of instance {instance_id} and the data on their disks ({places.state}) will be gone. Go on?",
            abort=True,
        )
    start.need_root("purge")
    # First what would start the agent again.
    make.down(places, unit=start.unit_of(places), timeout=20.0)
    raise SystemExit(take_back(instance_id))


def take_back(instance_id: str, *options: str) -> int:
    """Run the agent's purge; its exit code. Its program, not an import: programs share the disk, never code."""
    command = [sys.executable, "-m", "roadstead.agent.purge", *options, instance_id]
    return subprocess.run(command, check=False).returncode
