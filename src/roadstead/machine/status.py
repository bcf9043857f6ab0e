"""`roadstead status`: the agent and everything it keeps, as it is now."""

from __future__ import annotations

import time

import click
import msgspec

from roadstead.agent_client import Client
from roadstead.core import instance
from roadstead.messages import observed


@click.command()
@click.option("--instance", "instance_id", default="main", show_default=True, help="Which Roadstead on this machine.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help="List every object, not only what is not well.")
def status(instance_id: str, output: str, everything: bool) -> None:
    """Show the agent, and what is not as it is wanted."""
    client = Client(instance.Instance.named(instance_id).socket, timeout=10)
    agent = client.status()
    seen = client.observations().observations
    if output == "json":
        body = {"agent": agent, "observations": seen}
        click.echo(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())
        return
    counts = ", ".join(counted(kind, count) for kind, count in agent.counts.items() if count) or "nothing yet"
    up = _age(time.time() - agent.since)
    click.echo(
        f"instance {agent.instance}: agent {agent.version} is running for {up} (pid {agent.pid}); keeps {counts}"
    )
    shown = [one for one in seen if everything or one.phase not in ("ready", "stopped") or one.reason]
    if shown:
        click.echo(table(sorted(shown, key=lambda one: (one.kind, one.id))))
    elif agent.counts:
        click.echo("everything is as it is wanted")


def table(seen: list[observed.Observation]) -> str:
    """One line per object, columns as wide as they need to be."""
    rows = [("KIND", "ID", "PHASE", "RESTARTS", "REASON")]
    rows += [(one.kind, one.id, one.phase, str(one.restarts), one.reason) for one in seen]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    )


def counted(kind: str, count: int) -> str:
    """`1 network`, `2 networks`; `1 publish`, `2 publishes`."""
    if count != 1:
        return f"{count} {kind}"
    return f"1 {kind.removesuffix('es' if kind.endswith('shes') else 's')}"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"
