"""The grammar as data fits itself, ClusterConfig, click and the page; flags are read as eksctl reads them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec import inspect

from roadstead.cli import asked, config, defaults, page, validity, verbs
from roadstead.cli.grammar import flags, tree
from roadstead.core import errors
from roadstead.engine import catalog
from roadstead.machine import main

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = [(verb, each) for verb in tree.VERBS for each in verb.resources if each.action]
FLAGS = [
    pytest.param(flag, id=f"{verb.name}-{each.name}-{flag.name}") for verb, each in RESOURCES for flag in each.flags
]


def kinds(path: str) -> inspect.Type:
    """The type at a path of ClusterConfig."""
    found: inspect.Type = inspect.type_info(config.ClusterConfig)
    for part in path.split("."):
        assert isinstance(found, inspect.StructType)
        name = part.removesuffix("[0]").removesuffix("[]")
        field = next(each for each in found.fields if each.encode_name == name)
        found = bare(field.type)
        if part.endswith("]"):
            assert isinstance(found, inspect.VarTupleType)
            found = bare(found.item_type)
    return found


def bare(kind: inspect.Type) -> inspect.Type:
    if isinstance(kind, inspect.UnionType):
        return next(one for one in kind.types if not isinstance(one, inspect.NoneType))
    return kind


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_is_told_whole_and_lands_in_a_field_of_its_kind(flag: flags.Flag) -> None:
    assert flag.means
    assert flag.does == "works" or flag.why
    if flag.default is not None:
        verbs.value(flag, flag.default)
    if flag.lands:
        wanted = {
            "text": (inspect.StrType, inspect.LiteralType),
            "integer": (inspect.IntType,),
            "truth": (inspect.BoolType,),
            "list": (inspect.VarTupleType, inspect.DictType),
            "pairs": (inspect.DictType,),
        }[flag.kind]
        assert isinstance(kinds(flag.lands), wanted)


@pytest.mark.parametrize("flag", [each for each in FLAGS if each.values[0].does == "refused"])  # type: ignore[union-attr]
def test_what_a_flag_may_not_say_a_file_may_not_either(flag: flags.Flag) -> None:
    if flag.lands:
        assert flag.lands.replace("[0]", "[]") in validity.REFUSED_VALUES


@pytest.mark.parametrize("path", validity.REFUSED_VALUES)
def test_refused_values_are_of_fields_that_are_there(path: str) -> None:
    assert kinds(path)


@pytest.mark.parametrize(("verb", "resource"), RESOURCES, ids=lambda each: each.name)
def test_flags_are_told_apart_and_actions_are_there(verb: flags.Verb, resource: flags.Resource) -> None:
    names = [flag.name for flag in resource.flags]
    shorts = [flag.short for flag in resource.flags if flag.short]
    assert len(set(names)) == len(names)
    assert len({*shorts, "h"}) == len(shorts) + 1
    assert not resource.named_by or resource.named_by in names
    module, function = resource.action.split(":")
    assert callable(getattr(importlib.import_module(f"roadstead.cli.actions.{module}"), function))
    command = verbs.VerbCommand(verb).get_command(click.Context(main.cli), resource.name)
    assert command is not None
    shown = command.get_help(click.Context(command, info_name=resource.name))
    assert all(f"--{name}" in shown for name in names)


def test_the_page_is_up_to_date() -> None:
    made = page.text()
    assert (ROOT / "docs" / "cli.md").read_text() == made, "run: python -m roadstead.cli.page > docs/cli.md"
    for param in FLAGS:
        flag: Any = param.values[0]
        assert f"`--{flag.name}`" in made


def test_the_default_version_has_an_engine() -> None:
    found = catalog.resolve(catalog.load(), f"kubernetes@{defaults.VERSION}", "amd64")
    assert found.version.startswith(f"{defaults.VERSION}.")


def call(line: str) -> asked.FlagValues:
    """What a command line asks."""
    verb, resource, *words = line.split()
    found = tree.verb(verb).find(resource)
    assert found is not None
    command = verbs.ResourceCommand(found)
    context = command.make_context(resource, words)
    return verbs.read(found, context.params)


def test_flags_are_read_as_go_reads_them() -> None:
    read = call(
        "create cluster -N=3 --zones a,b --zones=c --node-labels a=1,b=c=d -P=true --managed=false --timeout 1h30m x"
    )
    assert read.number("nodes") == 3
    assert read.texts("zones") == ("a", "b", "c")
    assert read.values["node-labels"] == {"a": "1", "b": "c=d"}
    assert (read.truth("node-private-networking"), read.truth("managed")) == (True, False)
    assert read.seconds("timeout") == 5400
    assert read.name == "x"
    assert read.given == {"nodes", "zones", "node-labels", "node-private-networking", "managed", "timeout"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("get", 'please provide a valid resource for "get": cluster, nodegroup, events, insights'),
        ("get clutser", 'unknown resource type "clutser"; did you mean cluster?'),
        ("get addon", "'get addon' is not supported: Roadstead manages no add-ons yet"),
        ("get cluster --nmae x", "unknown flag: --nmae; did you mean --name?"),
        ("get cluster a b", "only one argument is allowed to be used as a name"),
        ("get cluster a --name b", "--name=b and argument a cannot be used at the same time"),
        ("get cluster --name", "flag needs an argument: --name"),
        ("get cluster -o xml", "invalid argument for --output: 'xml' is not one of 'table', 'json', 'yaml'."),
        ("get cluster --timeout 5x",
         'invalid argument "5x" for "--timeout" flag: it is a duration such as 25m or 1h30m'),
        ("get cluster -A", "--all-regions is not supported: ask for one region at a time, by --region"),
        ("get nodegroup", "--cluster must be set"),
        ("scale ng --cluster a",
         "a config file is required when --name is not set or when scaling multiple nodegroups"),
        ("scale ng --cluster a x", "at least one of minimum, maximum and desired nodes must be set"),
        ("scale ng --cluster a x -N 3 -M 2",
         "maximum number of nodes must be greater than or equal to number of nodes"),
        ("delete cluster", "--name must be set"),
        ("delete ng --cluster a", "--name must be set"),
        ("delete ng --cluster a x --include y", "cannot use --include unless a config file is specified via "
         "--config-file/-f"),
        ("create cluster --nodes x", 'invalid argument "x" for "--nodes" flag: it is a whole number'),
        ("create cluster --spot=maybe", 'invalid argument "maybe" for "--spot" flag: it is true or false'),
        ("create cluster --node-labels a", 'invalid argument "a" for "--node-labels" flag: a must be formatted as '
         "key=value"),
        ("create cluster --with-oidc", "--with-oidc is not supported: Roadstead gives pods no AWS identities yet"),
        ("create cluster -f /does/not/exist", "there is no config file /does/not/exist"),
    ],
)  # fmt: skip
def test_a_wrong_usage_is_one_line_and_code_1(
    line: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert main.run(line.split()) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"Error: {said}\n")


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["utils", "schema"]) == 0
    assert "ManagedNodeGroup" in json.loads(capsys.readouterr().out)["$defs"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("roadstead ", {"get", "create", "delete", "scale", "utils"}),
        ("roadstead get ", {"cluster", "nodegroup", "events", "insights"}),
        ("roadstead get cluster --", {"--name", "--output", "--region"}),
        ("roadstead get cluster --output ", {"table", "json", "yaml"}),
    ],
)
def test_completion_covers_the_verbs(
    words: str, wanted: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_ROADSTEAD_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    with pytest.raises(SystemExit):
        main.cli.main([], prog_name="roadstead", complete_var="_ROADSTEAD_COMPLETE")
    offered = {line.partition(",")[2] for line in capsys.readouterr().out.splitlines()}
    assert wanted <= offered


def test_start_imports_neither_botocore_nor_yaml_nor_http() -> None:
    code = (
        "import sys; from roadstead.machine import main; import roadstead.cli.verbs; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "click" in loaded
    assert not loaded & {"botocore", "boto3", "ruamel", "http", "ssl", "asyncio", "aiohttp"}


def test_flags_that_go_with_no_file_are_refused_beside_one() -> None:
    file = config.ClusterConfig(metadata=config.Metadata(name="a", region="eu-central-1"))
    found = tree.verb("create").find("cluster")
    assert found is not None
    for name in ("name", "region", "nodes", "vpc-cidr", "asg-access"):
        flag = next(each for each in found.flags if each.name == name)
        value = verbs.value(flag, flag.default or "1")
        with pytest.raises(errors.Invalid, match=f"cannot use --{name} when --config-file/-f is set"):
            asked.check(asked.FlagValues(found, {name: value}, frozenset({name}), file=file))
    for metadata, said in ((config.Metadata(region="x"), "name"), (config.Metadata(name="x"), "region")):
        with pytest.raises(errors.Invalid, match=f"metadata.{said} must be set"):
            asked.check(asked.FlagValues(found, {}, frozenset(), file=config.ClusterConfig(metadata=metadata)))
