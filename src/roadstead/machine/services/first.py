"""The first command on a machine: `create cluster` starts Roadstead when it is to run here and does not.

The command line itself is a guest that asks whatever endpoint it is told; this looks before it does. Only the local
default is ours to start: no AWS_ENDPOINT_URL, and no profile that leads elsewhere. Other verbs have nothing to find
where nothing runs: they are told how to start it.

Starting takes minutes where nothing is there yet, and changes the machine. So what can be foreseen to be refused is
refused before.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from roadstead.cli import asked, profile, verbs
from roadstead.cli.actions import reach
from roadstead.cli.grammar import tree as grammar
from roadstead.core import errors, terminal
from roadstead.machine import installation
from roadstead.machine.services import engines
from roadstead.machine.supervision import settings

INSTANCE = "ROADSTEAD_INSTANCE"
_CONNECTING = 3.0


@dataclass(frozen=True)
class Local:
    """The service of this machine that a command would ask."""

    endpoint: str
    usual: bool = True
    """It is where the instance is to answer, and not what an earlier start, or somebody else, wrote into a profile."""
    profile: bool = True
    """The caller has a profile, and it leads there."""


def before(arguments: Sequence[str]) -> None:
    """What has to be there before a verb of eksctl's asks the service.

    Raises Busy when it does not run, and Invalid for a cluster that it would be started for and refuse.
    """
    call = _call(arguments)
    if call is None:
        return
    creates = arguments[0] == "create" and call.resource.name == "cluster"
    environment = dict(os.environ)
    instance_id = environment.get(INSTANCE) or "main"
    _, kept = settings.instance_of(instance_id)
    try:
        found = local(environment, *reach.profiles(environment), kept=kept, asked=call.text("profile"))
    except errors.Error:
        # A profile that there is not, a damaged file: the command itself says so.
        return
    if call.truth("dry-run"):
        _foresee_dry(call, whole=creates and found is not None)
        return
    if found is None:
        return
    up = answers(found.endpoint)
    if up and not found.usual:
        return
    if not creates:
        if not up:
            raise errors.Busy(
                f"Roadstead does not run on this machine (nothing answers at {found.endpoint}): `roadstead start` "
                "starts it, `roadstead create cluster` does so by itself",
                endpoint=found.endpoint,
            )
        return
    # Only here: other commands do not wait for what it imports.
    from roadstead.machine.services import foreseen

    foreseen.check(call)
    if not up or not found.profile:
        terminal.err("Roadstead does not run here yet: `roadstead start`")
        _roadstead("start", "--instance", instance_id)
    _engines(call)


def call_of(arguments: Sequence[str]) -> asked.FlagValues | None:
    """The call as it will be made; None when it asks no service, or is wrong, which the command itself says."""
    call = _call(arguments)
    return None if call is None or call.truth("dry-run") else call


def _call(arguments: Sequence[str]) -> asked.FlagValues | None:
    """As call_of, and also one that only prints what it would ask for."""
    if len(arguments) < 2 or {"--help", "-h"} & set(arguments):
        return None
    resource = grammar.verb(arguments[0]).find(arguments[1])
    if resource is None or not resource.action or resource.name == "schema":
        return None
    try:
        with verbs.ResourceCommand(resource).make_context(arguments[1], list(arguments[2:])) as ctx:
            values = dict(ctx.params)
        if values.get("flag_config_file") == "-":
            # Standard input can be read once, and the command is to have it.
            del values["flag_config_file"]
        call = verbs.read(resource, values)
        asked.check(call)
    except (errors.Error, click.ClickException):
        return None
    return call


def _foresee_dry(call: asked.FlagValues, *, whole: bool) -> None:
    """What is printed must be possible: a region that there is, and `whole`: all that this Roadstead would refuse."""
    from roadstead.machine.services import foreseen

    if whole:
        foreseen.check(call)
    else:
        foreseen.check_region(reach.region(call))


def local(
    environment: Mapping[str, str], config: str, credentials: str, *, kept: settings.TreeSettings, asked: str | None
) -> Local | None:
    """This machine's own service when it is the one to ask, else None. Raises what cli.profile.settings raises."""
    if any(value and name.startswith("AWS_ENDPOINT_URL") for name, value in environment.items()):
        return None
    name, found = profile.settings(environment, config, credentials, asked)
    endpoint = found.get("endpoint_url")
    if endpoint is None:
        return Local(kept.endpoint, profile=False) if name == profile.PROFILE else None
    if endpoint.rstrip("/") == kept.endpoint:
        return Local(kept.endpoint)
    here = urllib.parse.urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1")
    return Local(endpoint, usual=False) if here and name == profile.PROFILE else None


def answers(endpoint: str) -> bool:
    """Whether anything accepts connections there; what it is, the command finds out."""
    parts = urllib.parse.urlsplit(endpoint)
    assert parts.hostname is not None
    with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port or 443), _CONNECTING):
        return True
    return False


def _engines(call: asked.FlagValues) -> None:
    """Have what a cluster of the asked version needs: in the caller's cache, from there to the services."""
    metadata = None if call.file is None else call.file.metadata
    try:
        wanted = engines.missing(call.text("version") or (metadata.version if metadata is not None else None))
    except errors.Error:
        # A version that there is not: the command itself says so.
        return
    if not wanted:
        return
    terminal.err(f"getting the engines of the cluster: {', '.join(wanted)}")
    _roadstead("engine", "get", *wanted)
    # Root's own command has shared them already.
    if os.geteuid() != 0:
        _roadstead("engine", "share")


def _roadstead(*words: str) -> None:
    """Another command of ours, through the launcher, which becomes root where that is needed."""
    command = [str(installation.checkout(os.environ) / "roadstead"), *words]
    # What it prints is no answer to this command's question.
    done = subprocess.run(command, stdout=sys.stderr.fileno(), check=False)
    if done.returncode != 0:
        raise errors.Failed(f"`roadstead {' '.join(words)}` failed: see above", command=" ".join(command))
