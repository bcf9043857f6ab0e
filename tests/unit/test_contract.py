"""What programs agree on stands once: in `contract`, and in no other module; and programs in Go have the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from roadstead import supplier
from roadstead.agent import options as agent_options
from roadstead.contract import kubernetes, layout, listeners, logins, naming, paths, programs
from roadstead.controllers.system import storage
from roadstead.core import instance
from roadstead.machine.supervision import settings, tree
from roadstead.porter import main as porter_main
from roadstead.serve import main as serve_main

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "roadstead"
USUAL = frozenset({programs.ADDRESS, programs.REGION, layout.IMAGES, programs.PORTER_USER, "aws:", "system:"})
"""These words mean other things, too: tags begin with `aws:`, and a program is called as its user is."""


def literals(text: str) -> set[str]:
    """The strings of a module, also the parts of those with values in them; what it says of itself is none."""
    tree = ast.parse(text)
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    }


def agreed() -> set[str]:
    """All that is not just a word."""
    modules = (kubernetes, layout, listeners, logins, naming, paths, programs)
    said = {one for module in modules for one in literals(Path(str(module.__file__)).read_text())}
    return {one for one in said if len(one) >= 4 and not one.isalpha()} - USUAL


def test_what_is_agreed_on_stands_once() -> None:
    once = agreed()
    assert {"/v1/status", "eks:access-policy:", ".doors", "/authorize", "ROADSTEAD_CACHE", "/etc/units"} <= once
    again = {
        str(path.relative_to(SOURCE)): found
        for path in SOURCE.rglob("*.py")
        if "contract" not in path.relative_to(SOURCE).parts and (found := literals(path.read_text()) & once)
    }
    assert again == {}


def test_the_measure_of_literals() -> None:
    found = literals('"""Said."""\nA = "one"\nB = f"{A}two"\ndef f():\n    """Said, too."""\n    return ("three", 4)\n')
    assert found == {"one", "two", "three"}


@pytest.mark.parametrize(
    ("file", "pattern", "agreed"),
    [
        ("cni/main.go", r'defaultSocket = "([^"]*)"', f"{layout.PODS}/{layout.PODS_SOCKET}"),
        ("volumes/main.go", r'flag\.String\("name", "([^"]*)"', storage.PROVISIONER),
        ("volumes/main.go", r'flag\.String\("also", "([^"]*)"', storage.IN_TREE),
        ("volumes/main.go", r'flag\.String\("folder", "([^"]*)"', storage.FOLDER),
    ],
)
def test_programs_in_go_have_the_same(file: str, pattern: str, agreed: str) -> None:
    assert re.findall(pattern, (ROOT / "engines" / file).read_text()) == [agreed]


def test_the_launcher_has_the_same() -> None:
    text = (ROOT / "roadstead").read_text()
    assert [name for name in (*programs.CALLER, programs.CHECKOUT, programs.CACHE) if f"{name}=" not in text] == []


def test_every_program_takes_the_command_by_which_the_tree_starts_it() -> None:
    """With all that `start` may say."""
    asked = settings.TreeSettings(
        advertise_address="192.0.2.1",
        endpoint_ports="30000-30009",
        machine_networks="198.19.0.0/16",
        machine_ports="80,443",
        machine_netns="/run/netns/one",
        registries="registries-1.json",
        keep_memory=1,
        keep_processes=1,
        keep_disk=1,
        node_users="machine",
    )
    assert {name for name in asked.__struct_fields__ if getattr(asked, name) is None} == set()
    places = instance.Instance.named("t-one", Path("/run/netns/one"))
    parsers = {
        "roadstead.agent.main": agent_options.read,
        "roadstead.serve.main": serve_main._options,
        "roadstead.porter.main": porter_main._options,
        "roadstead.supplier": supplier._options,
    }
    started = set()
    for service in tree.services(places, Path("/python"), asked, tree.Ids(serve=995, porter=994)):
        at = service.command.index("-m") + 1
        parse = parsers[service.command[at]]
        assert parse(list(service.command[at + 1 :])), "it would have ended here"
        started.add(service.command[at])
    assert started == set(parsers)
