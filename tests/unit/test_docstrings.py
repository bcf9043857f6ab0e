"""Who may do without a docstring: what its name, its types and one look say. All else that is public has one.

Shapes, units, errors and what None means are no matter of taste where a type does not say them; a sentence that repeats
a name is. What may do without is told by its shape, so that nobody has to keep a list.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "roadstead"
Function = ast.FunctionDef | ast.AsyncFunctionDef
LINES = 3
"""That are read at one look."""


@dataclass(frozen=True)
class Public:
    """A public definition: a class, a function, or a method; `owner` is the class of a method."""

    path: Path
    node: Function | ast.ClassDef
    owner: ast.ClassDef | None

    @property
    def named(self) -> str:
        above = f"{self.owner.name}." if self.owner else ""
        return f"{self.path.relative_to(ROOT)}:{self.node.lineno} {above}{self.node.name}"


def public(path: Path, tree: ast.Module) -> Iterator[Public]:
    below: list[tuple[ast.AST, ast.ClassDef | None]] = [(tree, None)]
    while below:
        above, owner = below.pop()
        for node in ast.iter_child_nodes(above):
            if isinstance(node, ast.If | ast.Try):
                below.append((node, owner))
            elif isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                yield Public(path, node, owner)
                if isinstance(node, ast.ClassDef):
                    below.append((node, node))


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@cache
def interfaces() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Of each protocol: what it asks for, and of that what has a docstring there."""
    found = []
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases):
                methods = [one for one in node.body if isinstance(one, Function)]
                told = frozenset(one.name for one in methods if ast.get_docstring(one))
                # What has a body there is had by who says that it is one, and need not be written again.
                found.append((frozenset(one.name for one in methods if _is_open(one)), told))
    return tuple(found)


def _is_open(method: Function) -> bool:
    return ast.unparse(method.body[-1]) == "..." or all(isinstance(one, ast.Expr) for one in method.body)


def is_operation(one: Public) -> bool:
    """An operation of AWS's: its documentation says what it does."""
    return any(ast.unparse(each).startswith("calls.operation(") for each in one.node.decorator_list)


def is_short(one: Public) -> bool:
    """One statement is read as soon as a sentence about it; `close` says all of itself."""
    if not isinstance(one.node, Function):
        return False
    first, *others = one.node.body
    plain = isinstance(first, ast.Return | ast.Expr | ast.Assign | ast.AugAssign | ast.Raise | ast.Pass)
    lines = (first.end_lineno or first.lineno) - first.lineno + 1
    return one.node.name == "close" or (plain and not others and lines <= LINES)


def is_promised(one: Public) -> bool:
    """A method of a protocol that its class fulfils: the protocol has the docstring."""
    if one.owner is None:
        return False
    has = {node.name for node in one.owner.body if isinstance(node, Function)}
    return any(asked <= has and one.node.name in told for asked, told in interfaces())


def is_overriding(one: Public) -> bool:
    """A method that a library calls: of a class with a base that is not ours."""
    bases = one.owner.bases if one.owner else []
    heads = {ast.unparse(base).partition(".")[0].partition("[")[0] for base in bases}
    foreign = {
        name.asname or name.name
        for node in trees()[one.path].body
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module == "aiohttp")
        for name in node.names
    }
    return bool(heads & (foreign - {"msgspec"}))


def is_part_of_a_config(one: Public) -> bool:
    """Of eksctl's ClusterConfig: names and meanings are eksctl's, and what is said here would be in its schema."""
    return isinstance(one.node, ast.ClassDef) and [ast.unparse(base) for base in one.node.bases] == ["ConfigPart"]


SHAPES = (is_operation, is_short, is_promised, is_overriding, is_part_of_a_config)


def bare() -> list[Public]:
    every = [one for path, tree in trees().items() for one in public(path, tree)]
    return [one for one in every if not ast.get_docstring(one.node) and not any(shape(one) for shape in SHAPES)]


def test_what_is_public_says_what_its_name_does_not() -> None:
    assert [one.named for one in bare()] == []


def test_what_may_do_without_is_told_by_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
class Clock(Protocol):
    def now(self):
        "Seconds."
        ...

class Wall:
    def now(self):
        self.asked += 1
        return 1.0
    def then(self):
        self.asked += 1
        return 2.0

class Group(click.Group):
    def parse_args(self):
        self.asked += 1
        return []

class Facts:
    name: str

@calls.operation("eks", "ListClusters")
def list_clusters(call):
    found = call.store
    return found

def short(): return 1
def long():
    with open("/dev/null") as file:
        return file.read()
def _private():
    x = 1
    return x
"""
    path = ROOT / "made_up.py"
    monkeypatch.setattr(f"{__name__}.trees", lambda: {path: ast.parse(f"import click\n{text}")})
    interfaces.cache_clear()
    try:
        assert {one.named.partition(" ")[2] for one in bare()} == {
            "Clock",
            "Wall",
            "Wall.then",
            "Group",
            "Facts",
            "long",
        }
    finally:
        interfaces.cache_clear()
