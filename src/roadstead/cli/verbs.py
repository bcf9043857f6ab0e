"""Click commands made from the grammar: a group for each verb, a command for each resource.

Arguments are read as eksctl reads them (Go's pflag): `--managed=false`, lists by comma and repetition, durations such
as `1h30m`, one name argument. Every error ends with code 1 and one line, wrong usage too. An action is imported when
its command is called.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import click

from roadstead.cli import asked
from roadstead.cli.grammar import flags, tree
from roadstead.core import errors, terminal

_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_NO = "no-"
"""What the second name of a truth begins with: how `--x=false` reaches click."""


class VerbCommand(click.Group):
    """`get`, `create` ...: its resources are made into commands when they are asked for."""

    def __init__(self, verb: flags.Verb) -> None:
        super().__init__(verb.name, help=verb.means, no_args_is_help=False)
        self._verb = verb

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [each.name for each in self._verb.resources if each.action]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        found = self._verb.find(cmd_name)
        return ResourceCommand(found) if found is not None and found.action else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        found = self._verb.find(args[0])
        if found is not None and not found.action:
            raise errors.Invalid(f"'{self.name} {found.name}' is not supported: {found.why}")
        if found is None and not ctx.resilient_parsing:
            known = [name for each in self._verb.resources for name in (each.name, *each.aliases)]
            raise errors.Invalid(f'unknown resource type "{args[0]}"{_guess(args[0], known)}')
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            there = ", ".join(self.list_commands(ctx))
            raise errors.Invalid(f'please provide a valid resource for "{self.name}": {there}')
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise errors.Invalid(_usage(error)) from error


class ResourceCommand(click.Command):
    """One command; what it does stands in its action."""

    def __init__(self, resource: flags.Resource) -> None:
        params: list[click.Parameter] = [Option(flag) for flag in resource.flags]
        if resource.named_by:
            params.append(click.Argument(["name_argument"], nargs=-1, metavar="[NAME]"))
        super().__init__(
            resource.name,
            params=params,
            help=resource.means,
            callback=lambda **values: _run(resource, values),
            context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
        )
        self._flags = {
            spelled: flag
            for flag in resource.flags
            for spelled in (f"--{flag.name}", *([f"-{flag.short}"] if flag.short else []))
        }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, [_plain(word, self._flags) for word in args])
        except click.UsageError as error:
            raise errors.Invalid(_usage(error)) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Flags by their groups, as eksctl shows them."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                group = param.flag.group if isinstance(param, Option) else "Every command"
                groups.setdefault(group, []).append(record)
        for group, records in groups.items():
            with formatter.section(f"{group} flags"):
                formatter.write_dl(records)


class Option(click.Option):
    """A flag of the grammar. Defaults stay with the grammar, so that what was given can be told from what was not."""

    def __init__(self, flag: flags.Flag) -> None:
        self.flag = flag
        names = [f"--{flag.name}", *([f"-{flag.short}"] if flag.short else [])]
        if flag.kind == "truth":
            names[0] += f"/--{_NO}{flag.name}"
        super().__init__(
            [_variable(flag.name), *names],
            type=click.Choice(flag.choices) if flag.choices else None,
            default=None,
            multiple=flag.kind in ("list", "pairs"),
        )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:  # noqa: ARG002
        flag = self.flag
        short = f"-{flag.short}, " if flag.short else "    "
        kind = "" if flag.kind == "truth" else f" {'|'.join(flag.choices) or flag.kind}"
        default = f" (default {flag.default})" if flag.default not in (None, "false") else ""
        why = f" [{'no effect' if flag.does == 'noted' else flag.does}: {flag.why}]" if flag.does != "works" else ""
        return f"{short}--{flag.name}{kind}", f"{flag.means}{default}{why}"


def _variable(name: str) -> str:
    return f"flag_{name.replace('-', '_')}"


def _plain(word: str, known: Mapping[str, flags.Flag]) -> str:
    """`--x=true`, `--x=false` and `-n=1` as click knows them; other words as they are."""
    name, equals, content = word.partition("=")
    flag = known.get(name)
    if flag is None or not equals:
        return word
    if flag.kind != "truth":
        return word if name.startswith("--") else f"{name}{content}"
    if (truth := _TRUTHS.get(content.lower())) is None:
        raise errors.Invalid(f'invalid argument "{content}" for "--{flag.name}" flag: it is true or false')
    return f"--{flag.name}" if truth else f"--{_NO}{flag.name}"


def _usage(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption():
            guess = _guess(error.option_name, [one for one in error.possibilities or () if not one.startswith("--no-")])
            return f"unknown flag: {error.option_name}{guess}"
        case click.BadOptionUsage() if "requires an argument" in error.message:
            return f"flag needs an argument: {error.option_name}"
        case click.BadParameter() if isinstance(error.param, Option):
            name, said = error.param.flag.name, " ".join(error.message.split())
            return f"invalid argument for --{name}: {said}"
        case _:
            return " ".join(error.format_message().split())


def _guess(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _run(resource: flags.Resource, values: dict[str, Any]) -> None:
    call = read(resource, values)
    asked.check(call)
    if (call.number("verbose") or 0) >= 2:
        for warning in asked.warnings(call):
            terminal.err(f"Warning: {warning}")
    module, function = resource.action.split(":")
    getattr(importlib.import_module(f"roadstead.cli.actions.{module}"), function)(call)


def read(resource: flags.Resource, values: dict[str, Any]) -> asked.FlagValues:
    """What click read, in the types of the grammar, with its defaults; the config file as well. Raises Invalid."""
    found: dict[str, asked.Value] = {}
    given = set()
    for flag in resource.flags:
        raw = values.get(_variable(flag.name))
        if raw is not None and raw != ():
            given.add(flag.name)
            found[flag.name] = value(flag, raw)
        elif flag.default is not None:
            found[flag.name] = value(flag, flag.default)
    words = cast("tuple[str, ...]", values.get("name_argument") or ())
    if len(words) > 1:
        raise errors.Invalid("only one argument is allowed to be used as a name")
    file = found.get("config-file")
    name = words[0].strip() if words else None
    if file is not None and name is not None:
        raise errors.Invalid("cannot use name argument when --config-file/-f is set")
    return asked.FlagValues(resource, found, frozenset(given), name, _config(str(file)) if file is not None else None)


def _config(path: str) -> Any:
    from roadstead.cli import documents

    source = "standard input" if path == "-" else path
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        text = content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise errors.NotFound(f"there is no config file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"the config file {path} cannot be read: {error}") from error
    return documents.read(text, source)


def value(flag: flags.Flag, raw: Any) -> asked.Value:
    """A flag's value from the command line or from its default. Raises Invalid."""
    match flag.kind:
        case "truth":
            return raw if isinstance(raw, bool) else _TRUTHS[str(raw)]
        case "integer":
            if not re.fullmatch(r"[+-]?\d{1,9}", str(raw), re.ASCII):
                raise errors.Invalid(f'invalid argument "{raw}" for "--{flag.name}" flag: it is a whole number')
            return int(raw)
        case "duration":
            return _duration(flag, str(raw))
        case "list":
            texts = [raw] if isinstance(raw, str) else raw
            return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())
        case "pairs":
            return _pairs(flag, [raw] if isinstance(raw, str) else raw)
        case "text":
            return str(raw)


def _duration(flag: flags.Flag, text: str) -> float:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise errors.Invalid(
            f'invalid argument "{text}" for "--{flag.name}" flag: it is a duration such as 25m or 1h30m'
        )
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _pairs(flag: flags.Flag, texts: Iterable[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in (word for text in texts for word in text.split(",") if word.strip()):
        key, equals, content = word.partition("=")
        if not equals or not key.strip():
            raise errors.Invalid(
                f'invalid argument "{word}" for "--{flag.name}" flag: {word} must be formatted as key=value'
            )
        pairs[key.strip()] = content
    return pairs


create = VerbCommand(tree.verb("create"))
get = VerbCommand(tree.verb("get"))
scale = VerbCommand(tree.verb("scale"))
delete = VerbCommand(tree.verb("delete"))
utils = VerbCommand(tree.verb("utils"))
