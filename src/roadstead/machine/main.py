"""The `roadstead` command: a table of commands that are imported when they are called, and how errors are shown."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import click
from click import shell_completion

import roadstead
from roadstead.core import errors, terminal


@dataclass(frozen=True)
class LocalCommand:
    """One command: where it is (`module:attribute`) and the line that `--help` shows without importing it."""

    target: str
    help: str


COMMANDS: dict[str, LocalCommand] = {
    "doctor": LocalCommand(
        "roadstead.machine.doctor.command:doctor", "Look at this machine: what is missing, how to mend it."
    ),
    "engine": LocalCommand("roadstead.machine.engine:engine", "The binaries of Kubernetes: list, get, verify, remove."),
    "start": LocalCommand("roadstead.machine.start:start", "Start Roadstead on this machine."),
    "stop": LocalCommand("roadstead.machine.stop:stop", "Stop Roadstead; its hosts keep running."),
    "status": LocalCommand("roadstead.machine.status:status", "What runs, and what is not as it should be."),
    "logs": LocalCommand("roadstead.machine.logs:logs", "Show the log of a unit of a host, or of a service."),
    "shell": LocalCommand("roadstead.machine.shell:shell", "A shell in a host, or one command."),
    "load": LocalCommand("roadstead.machine.load.command:load", "Load images from files into a cluster's nodes."),
    "kubectl": LocalCommand(
        "roadstead.machine.services.kubectl:kubectl", "The kubectl that comes with Roadstead's Kubernetes."
    ),
    "env": LocalCommand("roadstead.machine.aws.env:env", "Print what AWS's tools need to speak to Roadstead."),
    "get-token": LocalCommand("roadstead.cli.token:get_token", "Print a token for a cluster: what kubectl runs."),
    "api": LocalCommand("roadstead.machine.aws.api:api", "The AWS APIs that Roadstead speaks: coverage."),
    "purge": LocalCommand("roadstead.machine.purge:purge", "Delete an instance: its hosts, networks and records."),
    "uninstall": LocalCommand("roadstead.machine.uninstall:uninstall", "Take everything back from this machine."),
    "completion": LocalCommand(
        "roadstead.machine.main:completion", "Print the completion of a shell: bash, zsh or fish."
    ),
}
VERBS: dict[str, LocalCommand] = {
    verb: LocalCommand(f"roadstead.cli.verbs:{verb}", means)
    for verb, means in {
        "create": "Create a cluster or a nodegroup.",
        "get": "Show clusters, nodegroups, events and insights.",
        "scale": "Change how many nodes a nodegroup has.",
        "delete": "Delete a cluster or a nodegroup.",
        "utils": "Odds and ends.",
    }.items()
}
"""eksctl's verbs stand beside the local commands. They come in over HTTP like any customer."""
COMMANDS |= VERBS

_FAILED = 1
_INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""
_OUTPUT_LINES = 20


class Commands(click.Group):
    """A group whose commands come from the table. Listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        entry = COMMANDS.get(cmd_name)
        return None if entry is None else load(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def load(entry: LocalCommand) -> click.Command:
    """The command behind an entry of the table."""
    module, attribute = entry.target.split(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command), entry.target
    return command


@click.command(cls=Commands, context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110})
@click.version_option(roadstead.__version__, prog_name="roadstead")
def cli() -> None:
    """Real Kubernetes, run for you on this machine."""


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of SHELL.

    bash: `eval "$(roadstead completion bash)"` in ~/.bashrc; zsh the same in ~/.zshrc;
    fish: `roadstead completion fish > ~/.config/fish/completions/roadstead.fish`.
    """
    found = shell_completion.get_completion_class(shell)
    assert found is not None, shell
    arguments: dict[str, Any] = {}
    terminal.out(found(cli, arguments, "roadstead", "_ROADSTEAD_COMPLETE").source())


def wants_json(arguments: list[str]) -> bool:
    """Whether the caller asked for JSON: then errors are JSON too."""
    before_dashes = arguments[: arguments.index("--")] if "--" in arguments else arguments
    pairs = itertools.pairwise(before_dashes)
    spelled = {"-ojson", "-o=json", "--output=json"}
    return bool(spelled & set(before_dashes)) or any(
        option in ("-o", "--output") and value == "json" for option, value in pairs
    )


def rendered(error: errors.Error, *, as_json: bool) -> str:
    """An error for stderr: its sentence, and the end of what a failed command said; or all its facts as JSON."""
    if as_json:
        return json.dumps({"error": {"code": error.code, "message": error.message, "facts": error.facts}})
    output = error.facts.get("output", "").strip().splitlines()[-_OUTPUT_LINES:]
    return "\n".join([f"Error: {error.message}", *(f"  {line}" for line in output)])


def run(arguments: list[str]) -> int:
    """The command's exit code: 0, 1 for an error of ours, 2 for a wrong usage, 130 when interrupted."""
    try:
        if arguments and arguments[0] in VERBS:
            # Only here: other commands do not wait for what it imports.
            from roadstead.machine.services import first

            first.before(arguments)
        code = cli.main(arguments, prog_name="roadstead", standalone_mode=False)
    except errors.Error as error:
        terminal.err(rendered(error, as_json=wants_json(arguments)))
        return _FAILED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        terminal.err("Interrupted.")
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Ends the process with the code of `run`."""
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing more to say, also not when the interpreter flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = _FAILED
    sys.exit(code)


if __name__ == "__main__":
    main()
