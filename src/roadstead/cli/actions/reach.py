"""The connection that a command asks with, and what a command knows before it asks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from roadstead.cli import asked, profile, service, show
from roadstead.cli.kubeconfig import owner
from roadstead.core import errors, terminal

if TYPE_CHECKING:
    from roadstead.cli.live import follow

_TOLD = 3
"""How much has to be told for a picture to be shown."""


def connection(call: asked.FlagValues, *, forever: bool = False) -> service.ApiConnection:
    """Raises NotFound when no endpoint or no keys are known. `forever`: no deadline but that of one answer."""
    environment = dict(os.environ)
    config, credentials = profiles(environment)
    access = profile.access(
        environment,
        config,
        credentials,
        profile=call.text("profile"),
        region_asked=call.file_region or call.text("region"),
    )
    return service.ApiConnection(access, float("inf") if forever else deadline(call))


def region(call: asked.FlagValues) -> str:
    """The region alone: for what asks nobody."""
    environment = dict(os.environ)
    config, credentials = profiles(environment)
    _, settings = profile.settings(environment, config, credentials, call.text("profile"))
    return profile.region(environment, settings, call.file_region or call.text("region"))


def profiles(environment: Mapping[str, str]) -> tuple[str, str]:
    """The texts of the AWS config and credentials of the person whose command this is."""
    config, credentials = profile.files(environment, owner.owner(environment).home)
    return profile.read(config), profile.read(credentials)


def deadline(call: asked.FlagValues) -> float:
    """By time.monotonic."""
    return time.monotonic() + call.seconds("timeout")


def log(call: asked.FlagValues) -> show.Log:
    """By `--verbose` (3: eksctl's), and beside the document that `--output` asks for."""
    verbose = call.number("verbose")
    output = call.text("output")
    return show.Log(3 if verbose is None else verbose, to_error=output not in (None, "table"))


def stage(call: asked.FlagValues, *phases: str) -> follow.Stage:
    """Where a long command shows what it does: a picture where somebody sees one, else lines."""
    from roadstead.cli.live import follow, progress, screen

    plain = log(call)
    stream = terminal.stream(error=plain.to_error)
    shown = screen.LiveScreen(stream, live=plain.verbose >= _TOLD and screen.wanted(stream, os.environ))
    return follow.Stage(
        show.Log(plain.verbose, plain.to_error, shown.line), shown, deadline(call), progress.empty(*phases)
    )


def cluster(call: asked.FlagValues) -> str:
    """The cluster that a command is about. Raises Invalid when none is named."""
    flag = "name" if call.resource.name == "cluster" else "cluster"
    named = call.file_name or call.text(flag) or (call.name if call.resource.named_by == flag else None)
    if not named:
        raise errors.Invalid(f"--{flag} must be set")
    return named
