"""What the pages for developers name is there: paths, modules, rooms, layers. See INVARIANTS.md."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "src" / "roadstead"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
INVARIANTS = ROOT / "INVARIANTS.md"
PAGES = (ARCHITECTURE, INVARIANTS, ROOT / "STYLE.md", *sorted((ROOT / "docs" / "decisions").glob("*.md")))
ABOVE = (ROOT, OURS, ROOT / "tests")
"""Below these are the paths that pages name: `core/loops`, `tests/unit`, `live/test_hosts.py`."""
OTHERS = frozenset(
    [
        *("roadstead.service", "roadstead-hosts.service", "registry.mirrors"),
        *("eks.amazonaws.com", "eks.N", "identity.oidc.issuer", "thing2.py"),
    ]
)
"""What looks like ours and is systemd's, containerd's, AWS's, or an example of what is not to be."""
FILES = (".json", ".pem", ".toml", ".img", ".db")
"""Whose names are no modules."""
_WORD = re.compile(r"(?<!`)`([\w./:-]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_ENDS = (".py", ".md", ".toml", ".cfg", ".yaml")


@cache
def modules() -> dict[str, list[Path]]:
    """By the last word of their names, rooms too."""
    found: dict[str, list[Path]] = {}
    for path in [*OURS.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "testkit").rglob("*.py")]:
        name = path.parent.name if path.stem == "__init__" else path.stem
        found.setdefault(name, []).append(path)
    return found


@cache
def inside(module: Path) -> frozenset[str]:
    """What can be had of a module by a dot: what it defines or imports, and the modules of a room."""
    tree = ast.parse(module.read_text())
    defined = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, defined)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if module.stem == "__init__":
        names |= {path.stem for path in module.parent.iterdir()}
    return frozenset(names)


def is_true(word: str) -> bool:
    """Whether a word that looks like a path or a module of ours is one; all other words are."""
    if word in OTHERS:
        return True
    word = word.partition("::")[0].rstrip(":")
    first, *rest = word.strip("/").split("/")
    if rest or word.endswith(("/", *_ENDS)):
        known = [above for above in ABOVE if (above / first).exists()]
        # `/usr` and `a/b` of others are none of ours; of a module alone any place will do.
        if word.startswith("/") or (rest and not known) or (not rest and Path(word).stem in modules()):
            return True
        return any((above / f"{word.rstrip('/')}{end}").exists() for above in ABOVE for end in ("", ".py"))
    first, *rest = word.split(".")
    if not first or not rest or first not in modules() or word.endswith(FILES):
        return True
    if first == "roadstead":
        place = OURS.joinpath(*rest)
        return place.exists() or place.with_suffix(".py").exists() or place.with_name(f"{place.name}.py").exists()
    return any(rest[0] in inside(path) for path in modules()[first])


def said(text: str) -> list[str]:
    """The words of a page that are in backticks, but for those of blocks."""
    return _WORD.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_pages_name_is_there(page: Path) -> None:
    assert [word for word in said(page.read_text()) if not is_true(word)] == []


def test_lone_words_of_the_architecture_are_rooms_and_modules() -> None:
    lone = [word for word in said(ARCHITECTURE.read_text()) if re.fullmatch(r"[a-z][a-z_]+", word)]
    assert lone
    assert [word for word in lone if word not in modules()] == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def docstrings(tree: ast.Module) -> Iterator[str]:
    """Of definitions, and below names: each text that is a statement of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def test_what_docstrings_name_is_there() -> None:
    """Dotted words: `exchange.Fault` in backticks, and store.kinds after "see", beginning with a room."""
    rooms = "|".join(sorted(path.stem for path in OURS.iterdir()))
    lost = []
    for path in OURS.rglob("*.py"):
        for text in docstrings(ast.parse(path.read_text())):
            words = re.findall(r"`([a-z_]+(?:\.[A-Za-z_]+)+)`", text)
            words += re.findall(rf"(?<![\w.`/@:-])((?:{rooms})(?:\.[a-z_]\w*)+)", text)
            lost += [f"{path.relative_to(OURS)}: {word}" for word in words if not is_true(word)]
    assert lost == []


def blocks(page: Path, headline: str) -> str:
    """The first block below a headline."""
    return page.read_text().partition(f"\n## {headline}\n")[2].split("```")[1]


def drawn(block: str) -> Iterator[Path]:
    """The places that a drawn tree names: a line is of the last one above it that stands further left.

    More of them in a line, each after two blanks, stand beside the first; those in its sentence below it.
    """
    above: list[tuple[int, Path]] = [(-1, ROOT)]
    for line in block.splitlines():
        found = re.match(r"( *)([\w./-]+/|[\w-]+\.py)(?: |$)", line)
        if not found:
            continue
        depth = len(found[1])
        while above[-1][0] >= depth:
            above.pop()
        beside, place = above[-1][1], above[-1][1] / found[2]
        above.append((depth, place))
        yield place
        for gap, name in re.findall(r"( +)(\w+)/(?=[ ,;]|$)", line[found.end() - 1 :]):
            yield next((one / name for one in (beside, place) if (one / name).exists()), beside / f"{gap}{name}")


def test_the_drawn_rooms_are_those_that_there_are() -> None:
    places = list(drawn(blocks(ARCHITECTURE, "Rooms")))
    assert [str(place) for place in places if not place.exists()] == []
    rooms = {path.parent for path in OURS.glob("**/__init__.py") if len(path.relative_to(OURS).parts) in (2, 3)}
    assert sorted(str(room.relative_to(OURS)) for room in rooms - set(places)) == []


def contracts() -> configparser.ConfigParser:
    read = configparser.ConfigParser(delimiters=("=",))
    read.read(ROOT / ".importlinter")
    return read


def layers(text: str) -> list[frozenset[str]]:
    return [frozenset(re.findall(r"\w+", layer)) for layer in text.split(">")]


def test_the_drawn_layers_are_those_that_are_held() -> None:
    given = re.sub(r"\(.*?\)", "", blocks(ARCHITECTURE, "Who may import whom"))
    named = dict(
        zip(("floors", "agent", "machine"), re.split(r"^(?:agent|machine):", given, flags=re.MULTILINE), strict=True)
    )
    kept = contracts()
    for name, text in named.items():
        held = kept[f"importlinter:contract:{name}"]["layers"].strip().splitlines()
        assert layers(text) == layers(">".join(held)), name


def test_the_contracts_that_enforce_a_rule_are_there() -> None:
    rows = re.findall(r"`\.importlinter`: ([\w, -]+)", INVARIANTS.read_text())
    named = [name for row in rows for name in row.split(", ")]
    assert named
    assert [name.strip() for name in named if f"importlinter:contract:{name.strip()}" not in contracts()] == []


def listed(docstring: str) -> set[str]:
    """The modules and rooms that a room's docstring lists, each line with its names before two blanks."""
    rows = re.findall(r"^ *(\w+/?(?:, \w+/?)*)(?: {2,}\S.*)?$", docstring, re.MULTILINE)
    return {name.strip("/ ") for row in rows for name in row.split(",")}


def holds(room: Path) -> set[str]:
    below = {path.parent.name for path in room.glob("*/*") if path.parent.name != "__pycache__"}
    return below | {path.stem for path in room.glob("[!_]*.py")}


@pytest.mark.parametrize("room", sorted(path.parent for path in OURS.rglob("__init__.py")), ids=lambda room: room.name)
def test_a_room_that_lists_what_is_in_it_lists_all_of_it_and_nothing_else(room: Path) -> None:
    """But for `main`, a program's beginning, which need not be said, and for a folder of data."""
    names = listed(ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or "")
    if names:
        assert names | {"main", "models"} == holds(room) | {"main", "models"}


@pytest.mark.parametrize(
    ("word", "true"),
    [
        ("core/errors", True),
        ("core/errors.py", True),
        ("agent/kinds", True),
        ("kinds.KINDS", True),
        ("roadstead.agent.purge", True),
        ("tests/unit", True),
        ("live/shared.py::running", True),
        ("system:masters", True),
        ("/run/roadstead", True),
        ("registry.mirrors", True),
        ("core/mistakes", False),
        ("agent/doors.py", False),
        ("kinds.SORTS", False),
        ("roadstead.agent.hands", False),
        ("live/test_nothing.py", False),
        ("hosts.toml", True),
        ("nowhere.py", False),
    ],
)
def test_the_measure_of_words(word: str, true: bool) -> None:
    assert is_true(word) == true
