"""`roadstead stop`: ends the supervised services of an instance. Hosts keep running."""

from __future__ import annotations

import click

from roadstead.core import instance, terminal
from roadstead.machine import caller, purge, start
from roadstead.machine.supervision import make


@click.command()
@caller.instance_option
@click.option("--timeout", default=20.0, show_default=True, help="Seconds until what has not ended is killed.")
@click.option("--hosts", is_flag=True, help="Stop the hosts too. Their disks stay: the next start makes them again.")
def stop(instance_id: str, timeout: float, hosts: bool) -> None:
    """Stop Roadstead's own services. Hosts keep running, unwatched, until the next start or `roadstead purge`."""
    start.need_root("stop")
    places = instance.Instance.named(instance_id)
    ran = make.down(places, unit=start.unit_of(places), timeout=timeout)
    if hosts:
        raise SystemExit(purge.take_back(instance_id, "--keep-disks"))
    terminal.out(f"instance {instance_id}: {'stopped; its hosts, if any, keep running' if ran else 'was not running'}")
