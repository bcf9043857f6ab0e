"""The connection that a command asks with, and what a command knows before it asks."""

from __future__ import annotations

import os
import time
from pathlib import Path

from roadstead.cli import asked, profile, service, show
from roadstead.core import errors


def connection(call: asked.Asked) -> service.Connection:
    """Raises NotFound when no endpoint or no keys are known."""
    environment = dict(os.environ)
    config, credentials = (profile.read(path) for path in profile.files(environment, Path.home()))
    access = profile.access(
        environment,
        config,
        credentials,
        profile=call.text("profile"),
        region_asked=call.file_region or call.text("region"),
    )
    return service.Connection(access, deadline(call))


def region(call: asked.Asked) -> str:
    """The region alone: for what asks nobody."""
    environment = dict(os.environ)
    config, credentials = (profile.read(path) for path in profile.files(environment, Path.home()))
    _, settings = profile.settings(environment, config, credentials, call.text("profile"))
    return profile.region(environment, settings, call.file_region or call.text("region"))


def deadline(call: asked.Asked) -> float:
    """By time.monotonic."""
    return time.monotonic() + call.seconds("timeout")


def log(call: asked.Asked) -> show.Log:
    verbose = call.number("verbose")
    output = call.text("output")
    return show.Log(3 if verbose is None else verbose, to_error=output not in (None, "table"))


def cluster(call: asked.Asked) -> str:
    """The cluster that a command is about. Raises Invalid when none is named."""
    flag = "name" if call.resource.name == "cluster" else "cluster"
    named = call.file_name or call.text(flag) or (call.name if call.resource.named_by == flag else None)
    if not named:
        raise errors.Invalid(f"--{flag} must be set")
    return named
