"""`utils schema`: the JSON schema of ClusterConfig, for editors."""

from __future__ import annotations

import json

import msgspec

from roadstead.cli import asked, config
from roadstead.core import terminal


def show(call: asked.FlagValues) -> None:  # noqa: ARG001
    """One document on standard output; docstrings of `config` are descriptions in it."""
    terminal.out(json.dumps(msgspec.json.schema(config.ClusterConfig), indent=2))
