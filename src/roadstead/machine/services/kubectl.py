"""`roadstead kubectl ...`: the kubectl of Roadstead's own Kubernetes, for who has none on PATH.

It is one of the names of the engine that clusters run on, so it is on this machine as soon as a cluster is. Arguments
go to it as they are, also `--help`; its exit code is the command's, since this process becomes it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click
from click import shell_completion

from roadstead.core import errors
from roadstead.engine import cache, catalog, install
from roadstead.engine import settings as engine_settings
from roadstead.machine.supervision import tree

NAME = "kubectl"
_ENGINE = "kubernetes"
_COMPLETING = 5.0
"""Seconds: it may ask the cluster for names."""


class PassedCommand(click.Command):
    """A command whose arguments are another program's: nothing in them is read here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return ctx.args

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[shell_completion.CompletionItem]:
        """What kubectl itself would say. Source: cobra's `__complete`: `WORD<tab>HELP` lines, then `:DIRECTIVE`."""
        try:
            asked = [str(program()), "__complete", *ctx.args, incomplete]
            done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=_COMPLETING)
        except (errors.Error, OSError, subprocess.SubprocessError):
            # A completion that cannot be had is none.
            return []
        return [
            shell_completion.CompletionItem(word, help=means or None)
            for word, _, means in (
                line.partition("\t") for line in done.stdout.splitlines() if not line.startswith(":")
            )
        ]


@click.command(NAME, cls=PassedCommand, add_help_option=False)
@click.pass_context
def kubectl(ctx: click.Context) -> None:
    """Run the kubectl that comes with Roadstead's Kubernetes."""
    place = program()
    os.execv(place, [NAME, *ctx.args])


def program() -> Path:
    """The newest kubectl on this machine: of the caller's own cache, else of the services'. Raises NotFound.

    Root takes its own alone: the user of the services may write to theirs, and is not to choose what root runs.
    """
    chosen = engine_settings.from_environment(os.environ)
    shared = () if os.geteuid() == 0 else (tree.CACHE,)
    return newest(chosen, (chosen.cache, *shared), catalog.machine_arch())


def newest(chosen: engine_settings.EngineSettings, places: Sequence[Path], arch: str) -> Path:
    """Of the newest whole Kubernetes in these caches; of two alike that of the first. Raises NotFound."""
    known = (release for release in catalog.releases(chosen.catalog, arch) if release.engine.name == _ENGINE)
    for release in sorted(known, key=lambda each: catalog.order(each.version), reverse=True):
        key = install.key_of(release, chosen)
        for place in places:
            if isinstance(cache.see(place, key), cache.Whole):
                return key.folder(place) / NAME
    minor = ".".join(catalog.resolve(chosen.catalog, _ENGINE, arch).version.split(".")[:2])
    raise errors.NotFound(
        f"there is no kubectl of Roadstead in {' or '.join(map(str, places))}: `roadstead engine get {minor}` gets one",
        folders=", ".join(map(str, places)),
    )
