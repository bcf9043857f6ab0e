"""`roadstead env`: the AWS profile as exports, for shells and programs that take no profile."""

from __future__ import annotations

import json
import os
import shlex

import click

from roadstead.core import terminal
from roadstead.identity import homes, profile
from roadstead.machine import caller

_GONE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
"""What would go before, or with, what is exported."""


@click.command()
@click.option("-o", "--output", type=click.Choice(["sh", "json"]), default="sh", show_default=True)
@click.option("--profile", "name", default=profile.NAME, show_default=True, help="Which profile.")
def env(output: str, name: str) -> None:
    """Print what AWS's tools need to speak to Roadstead: `eval "$(roadstead env)"`."""
    variables = exports(homes.read(caller.caller(os.environ).home, name))
    terminal.out(json.dumps(variables, indent=2) if output == "json" else shell(variables))


def exports(found: profile.Profile) -> dict[str, str]:
    """The environment of a profile."""
    trust = {} if found.ca_bundle is None else {"AWS_CA_BUNDLE": found.ca_bundle}
    return {
        "AWS_ENDPOINT_URL": found.endpoint,
        "AWS_REGION": found.region,
        "AWS_DEFAULT_REGION": found.region,
        "AWS_ACCESS_KEY_ID": found.access_key,
        "AWS_SECRET_ACCESS_KEY": found.secret,
        **trust,
    }


def shell(variables: dict[str, str]) -> str:
    """Lines for a POSIX shell."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([f"unset {' '.join(_GONE)}", *lines])
