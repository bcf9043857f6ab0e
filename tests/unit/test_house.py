"""The house's own rules about itself: sizes, rooms, docstrings. See INVARIANTS.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = ("src", "testkit", "tests", "bench")
FILE_LINES = 400
FUNCTION_LINES = 60
ROOM_MODULES = 12
NEVER = frozenset({"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"})
"""Names that say of what kind a thing is and not what it is for."""
TERMS = frozenset({"src/roadstead/controllers/runtime/manager.py"})
"""What the field calls so: what starts controllers is the manager, in controller-runtime."""


def sources() -> list[Path]:
    return sorted(path for tree in TREES for path in (ROOT / tree).rglob("*.py"))


def long_file(text: str) -> str | None:
    lines = text.count("\n")
    return f"{lines} lines" if lines > FILE_LINES else None


def long_functions(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.name} at line {node.lineno}: {lines} lines"


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_files_are_short() -> None:
    assert [(named(path), too_long) for path in sources() if (too_long := long_file(path.read_text()))] == []


def test_functions_are_short() -> None:
    assert [(named(path), found) for path in sources() for found in long_functions(path.read_text())] == []


def test_modules_say_what_they_are_for() -> None:
    bare = [
        named(path) for path in sources() if path.read_text() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert bare == []


def test_rooms_are_small_and_have_a_docstring() -> None:
    rooms = [path for path in (ROOT / "src" / "roadstead").rglob("*") if path.is_dir() and any(path.glob("*.py"))]
    assert rooms
    without = [named(room) for room in rooms if not _docstring(room / "__init__.py")]
    assert without == []
    crowded = {named(room): count for room in rooms if (count := len(list(room.glob("[!_]*.py")))) > ROOM_MODULES}
    assert crowded == {}


def test_nothing_is_named_by_its_kind() -> None:
    inside = [path for path in sources() if path.is_relative_to(ROOT / "src")]
    said = {named(path) for path in inside if NEVER & {path.stem, path.parent.name}}
    assert said == TERMS


def test_what_is_said_to_enforce_a_rule_is_there() -> None:
    names: dict[str, set[str]] = {}
    for tree, above in (("tests", ROOT / "tests"), ("testkit", ROOT)):
        for path in (ROOT / tree).rglob("*.py"):
            defined = re.findall(r"^ *(?:async )?def (\w+)\(", path.read_text(), re.MULTILINE)
            names[str(path.relative_to(above))] = set(defined)
    every = set[str]().union(*names.values())
    rows = [line for line in (ROOT / "INVARIANTS.md").read_text().splitlines() if line.startswith("| ")]
    told = [word for row in rows for word in re.findall(r"`([^`]+)`", row.split(" | ")[-1])]
    lost = [word for word in told if "::" in word and word.split("::")[1] not in names.get(word.split("::")[0], ())]
    lost += [word for word in told if word.endswith(".py") and word not in names]
    lost += [word for word in told if word.startswith("test_") and word not in every]
    assert len(told) > len(rows) // 2
    assert lost == []


def test_annotations_are_postponed() -> None:
    future = "from __future__ import annotations\n"
    assert [named(path) for path in sources() if _defines(text := path.read_text()) and future not in text] == []


def test_patterns_end_where_the_text_ends() -> None:
    """`$` is also before a line break at the end: what is checked so may have one, and it goes into files and rules."""
    inside = [path for path in sources() if path.is_relative_to(ROOT / "src")]
    assert [(named(path), found) for path in inside for found in loose_ends(path.read_text())] == []


def loose_ends(text: str) -> Iterator[str]:
    """Patterns of `re` and of messages with a `$` in them that is no character, but for those over lines."""
    tree = ast.parse(text)
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and len(node.targets) == 1]
    kept = {ast.unparse(node.targets[0]): node.value for node in assigned}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or "MULTILINE" in ast.unparse(node):
            continue
        given = [word.value for word in node.keywords if word.arg == "pattern"]
        if ast.unparse(node.func).startswith("re.") and node.args:
            given.append(node.args[0])
        for one in given:
            whole = kept.get(ast.unparse(one), one)
            said = "".join(str(part.value) for part in ast.walk(whole) if isinstance(part, ast.Constant))
            if "$" in re.sub(r"\\.|\[\^?\]?[^]]*\]", "", said):
                yield f"line {node.lineno}: {said}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("re.compile('a$')", 1),
        ("_A = r'a$'\nre.fullmatch(_A, x)", 1),
        ("f = Meta(pattern=rf'^{a}(/|$)')", 1),
        (r"re.compile(r'a\Z|\$|[$]')", 0),
        ("re.search('^a$', x, re.MULTILINE)", 0),
    ],
)
def test_the_measure_of_patterns(text: str, found: int) -> None:
    assert len(list(loose_ends(text))) == found


WRITERS = {
    "core/terminal.py": frozenset({"sys.stdout", "sys.stderr"}),
    "cli/live/screen.py": frozenset({"terminal.drawn"}),
    "cli/actions/reach.py": frozenset({"terminal.stream"}),
    "machine/doctor/command.py": frozenset({"terminal.drawn", "terminal.stream"}),
    "machine/engine.py": frozenset({"terminal.drawn", "terminal.stream"}),
    "agent/main.py": frozenset({"logging.StreamHandler", "logging.basicConfig"}),
    "aws/http/logs.py": frozenset({"logging.StreamHandler", "logging.basicConfig"}),
    # Its standard output is the connection.
    "supplier.py": frozenset({"logging.StreamHandler", "logging.basicConfig", "os.write"}),
}
"""Who writes to a terminal or begins a log, and by what: all others say what they say by `terminal.out` and `err`."""
_BY = frozenset(
    [
        "sys.stdout",
        "sys.stderr",
        "sys.__stdout__",
        "sys.__stderr__",
        "click.echo",
        "click.secho",
        "click.echo_via_pager",
        "terminal.drawn",
        "terminal.stream",
        "logging.StreamHandler",
        "logging.basicConfig",
    ]
)
_HARMLESS = ("isatty", "fileno", "flush")


def test_nothing_writes_around_the_one_place_that_escapes() -> None:
    within = ROOT / "src" / "roadstead"
    found = {
        str(path.relative_to(within)): frozenset(writes(path.read_text()))
        for path in sources()
        if within in path.parents
    }
    assert {path: by for path, by in found.items() if by} == WRITERS


def test_files_are_replaced_in_one_way() -> None:
    """What forces to the disk, or writes beside a place, is `core.files.atomic`."""
    within = ROOT / "src" / "roadstead"
    found = {
        str(path.relative_to(within)): by
        for path in sources()
        if within in path.parents and (by := re.findall(r"os\.fsync|NamedTemporaryFile", path.read_text()))
    }
    own = found.pop("core/files/atomic.py")
    assert set(own) == {"os.fsync"}
    # Of a stream: the most of it beside the loop, before `atomic` does it.
    assert found == {"agent/records/blobs.py": ["os.fsync"]}


def writes(text: str) -> Iterator[str]:
    """By what a module writes to its standard output or error."""
    tree = ast.parse(text)
    harmless = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in _HARMLESS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "print":
            yield "print"
        elif isinstance(node, ast.Attribute) and id(node) not in harmless:
            if (said := ast.unparse(node)) in _BY:
                yield said
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.write" and ast.unparse(node.args[0]) in "12":
            yield "os.write"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("print(x)", ["print"]),
        ("say = print", ["print"]),
        ("sys.stdout.buffer.write(x)", ["sys.stdout"]),
        ("f(sys.stderr)", ["sys.stderr"]),
        ("click.echo(x)", ["click.echo"]),
        ("os.write(1, x)", ["os.write"]),
        ("sys.stdout.isatty() or run(sys.stderr.fileno())", []),
    ],
)
def test_the_measure_of_writers(text: str, found: list[str]) -> None:
    assert list(writes(text)) == found


def _defines(text: str) -> bool:
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.AnnAssign)
    return any(isinstance(node, definitions) for node in ast.walk(ast.parse(text)))


def _docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text())) if path.is_file() else None


@pytest.mark.parametrize(
    ("body", "found"), [(FUNCTION_LINES - 1, []), (FUNCTION_LINES, [f"f at line 1: {FUNCTION_LINES + 1} lines"])]
)
def test_the_measure_of_functions(body: int, found: list[str]) -> None:
    assert list(long_functions("def f():\n" + "    x = 1\n" * body)) == found


def test_the_measure_of_files() -> None:
    assert long_file("x\n" * FILE_LINES) is None
    assert long_file("x\n" * (FILE_LINES + 1)) == "401 lines"
