"""`roadstead purge INSTANCE`: take an instance back from what is on disk, with no agent's help."""

from __future__ import annotations

import subprocess
import sys

import click

from roadstead.core import instance


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
    # The agent's program, not an import of it: programs share the disk, never code.
    done = subprocess.run([sys.executable, "-m", "roadstead.agent.purge", instance_id], check=False)
    raise SystemExit(done.returncode)
