"""`utils schema`: the JSON schema of ClusterConfig, for editors."""

from __future__ import annotations

import json

import click
import msgspec

from roadstead.cli import asked, config


def show(call: asked.Asked) -> None:  # noqa: ARG001
    click.echo(json.dumps(msgspec.json.schema(config.ClusterConfig), indent=2))
