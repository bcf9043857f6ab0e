"""`roadstead logs`: what a unit of a host wrote, or one of Roadstead's own services; from rotated logs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import click

from roadstead.agent_client import Client
from roadstead.core import errors, instance, terminal
from roadstead.machine import caller
from roadstead.machine.services import names
from roadstead.machine.supervision import tree


@click.command()
@click.argument("what", metavar=f"HOST/UNIT|{'|'.join(tree.NAMES)}")
@click.option("-f", "--follow", is_flag=True, help="Go on as it is written.")
@click.option("-n", "--lines", default=100, show_default=True, type=click.IntRange(0), help="How many lines back.")
@caller.instance_option
def logs(what: str, follow: bool, lines: int, instance_id: str) -> None:
    """Print the log of a unit of a host, or of one of Roadstead's services.

    A host is CLUSTER.etcd-a, CLUSTER.api-a, CLUSTER.edge, or a node as kubectl calls it.
    """
    places = instance.Instance.named(instance_id)
    if what in tree.NAMES:
        _service(tree.log_folder(places, what), lines, follow=follow)
        return
    host, slash, name = what.partition("/")
    if not slash or not host or not name:
        raise errors.Invalid(
            f"{what!r}: say which unit of which host, as in `roadstead logs CLUSTER.etcd-a/etcd` or "
            f"`roadstead logs NODE/kubelet`, or which service: {', '.join(tree.NAMES)}"
        )
    client = Client(places.socket)
    id = names.host(host, names.known(places), client.wanted())
    try:
        terminal.copied(client.logs(id, name, lines, follow))
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _service(folder: Path, lines: int, *, follow: bool) -> None:
    """Raises NotFound when nothing was ever written."""
    if not (folder / "current").exists():
        raise errors.NotFound(f"{folder} has no log: the service was never started here, see `roadstead status`")
    if follow:
        _follow(folder / "current", lines)
    else:
        terminal.copied(last(folder, lines))


def _follow(file: Path, lines: int) -> None:
    """Until it is interrupted. tail follows the name, which s6-log gives to a new file at each rotation."""
    with subprocess.Popen(["tail", "-n", str(lines), "-F", str(file)], stdout=subprocess.PIPE) as tail:
        assert tail.stdout is not None
        reading = tail.stdout.fileno()
        try:
            terminal.copied(iter(lambda: os.read(reading, 65536), b""))
        except (KeyboardInterrupt, BrokenPipeError):
            return
        finally:
            tail.kill()


def last(folder: Path, lines: int) -> list[bytes]:
    """The last lines of a log of s6-log: as many of its older files as are needed, oldest first."""
    found: list[bytes] = []
    # Names of rotated files are times (TAI64N), which sort as text.
    for file in (folder / "current", *sorted(folder.glob("@*"), reverse=True)):
        if len(found) >= lines:
            break
        found = file.read_bytes().splitlines(keepends=True) + found
    return found[len(found) - lines :] if lines < len(found) else found
