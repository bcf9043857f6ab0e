"""docs/cli.md, made from the grammar: `python -m roadstead.cli.page > docs/cli.md`. A unit test keeps it so."""

from __future__ import annotations

import click
import msgspec
from msgspec import inspect

from roadstead.cli import config, defaults, validity
from roadstead.cli.grammar import flags, tree

_HEAD = """# Commands of eksctl

`roadstead create|get|scale|delete|utils` are eksctl's commands, with its flags, its `ClusterConfig` files and its
output. They ask Roadstead's AWS API over HTTP, as any customer does, with the endpoint and the keys of the AWS profile
`roadstead`. What `--profile`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, `AWS_REGION` and `AWS_ACCESS_KEY_ID` with its kin say
goes before.
Every error is one line on standard error, and the code is 1; 130 when interrupted.

For each flag the pages below say what eksctl means by it and what Roadstead does:

- **works**: the same as eksctl;
- **noted**: taken, without effect; the command says so and why;
- **refused**: an error that says why.

`create cluster` makes the VPC and its subnets, a role for the cluster and one for its nodes, the cluster and its
nodegroups, each by its AWS operation: there are no CloudFormation stacks. Whatever is there already by its name or tag
is taken, so a command that was cut off may be given again. `delete cluster` takes all of it back.

This page is made from the code: `python -m roadstead.cli.page > docs/cli.md`.
"""


def text() -> str:
    """The whole page."""
    sections = [_HEAD]
    for verb in tree.VERBS:
        sections += [_resource(verb, each) for each in verb.resources if each.action]
    sections += [_absent(), _config()]
    return "\n".join(sections)


def _resource(verb: flags.Verb, resource: flags.Resource) -> str:
    lines = [f"## {verb.name} {resource.name}", resource.means]
    if resource.aliases:
        lines.append(f"Also `{'`, `'.join(resource.aliases)}`.")
    lines += [
        "",
        "| flag | what eksctl means by it | default | Roadstead | in ClusterConfig |",
        "|---|---|---|---|---|",
    ]
    lines += [_flag(flag) for flag in resource.flags]
    return "\n".join([*lines, ""])


def _flag(flag: flags.Flag) -> str:
    kind = "|".join(flag.choices) or ("" if flag.kind == "truth" else flag.kind)
    spelled = f"`--{flag.name}`" + (f", `-{flag.short}`" if flag.short else "") + (f" {_cell(kind)}" if kind else "")
    does = f"{flag.does}: {flag.why}" if flag.why else flag.does
    default = f"`{flag.default}`" if flag.default is not None else ""
    lands = f"`{flag.lands.replace('[0]', '[]')}`" if flag.lands else ""
    return "| " + " | ".join((spelled, _cell(flag.means), default, _cell(does), lands)) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _absent() -> str:
    lines = ["## Commands of eksctl that are not here", "", "| command | why |", "|---|---|"]
    for verb in tree.VERBS:
        lines += [f"| `{verb.name} {each.name}` | {each.why} |" for each in verb.resources if not each.action]
    lines += [f"| `{name}` | {why} |" for name, why in tree.ABSENT_VERBS.items()]
    return "\n".join([*lines, ""])


def _config() -> str:
    lines = [
        "## ClusterConfig files",
        f"`-f FILE` reads a `{config.API_VERSION}` document, YAML 1.2 or JSON; `-` is standard input. Reading is",
        "strict: an unknown key or a value of the wrong type is an error with its line and column. Without a version",
        f"it is {defaults.VERSION}. `utils schema` prints what is taken. What eksctl knows and Roadstead refuses:",
        "",
        "| key | why |",
        "|---|---|",
    ]
    places = {"ClusterConfig": "", **_places(config.ClusterConfig, "")}
    for part, keys in config.REFUSED.items():
        lines += [f"| `{places[part]}{key}` | {why} |" for key, why in keys.items()]
    for path, (allowed, why) in validity.REFUSED_VALUES.items():
        only = [str(one).lower() if isinstance(one, bool) else str(one) for one in allowed if one not in ("", ())]
        lines.append(f"| `{path}`{f' other than {only[0]}' if only else ''} | {why} |")
    return "\n".join([*lines, ""])


def _places(part: type[msgspec.Struct], above: str) -> dict[str, str]:
    """Where each part of a ClusterConfig stands, by the name of its type."""
    found: dict[str, str] = {}
    structure = inspect.type_info(part)
    assert isinstance(structure, inspect.StructType)
    for field in structure.fields:
        kind = field.type
        if isinstance(kind, inspect.UnionType):
            kind = next(one for one in kind.types if not isinstance(one, inspect.NoneType))
        many = isinstance(kind, inspect.VarTupleType | inspect.DictType)
        if isinstance(kind, inspect.VarTupleType):
            kind = kind.item_type
        elif isinstance(kind, inspect.DictType):
            kind = kind.value_type
        if isinstance(kind, inspect.StructType):
            here = f"{above}{field.encode_name}{'[]' if many else ''}."
            found |= {kind.cls.__name__: here, **_places(kind.cls, here)}
    return found


if __name__ == "__main__":
    click.echo(text(), nl=False)
