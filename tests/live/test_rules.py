"""Tables of rules in a namespace of their own: changed by element, in one piece, and what others do to them is seen.

By the library and by the program. Cost: about 2 s.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from roadstead.agent.links import namespaces
from roadstead.agent.rules import applied, nft, tables, text
from roadstead.core import errors

pytestmark = pytest.mark.live

TABLE = "t-rules"
MANY = 100


def node(ports: int, target: int = 80) -> tables.Table:
    """Of a node with so many pods, each with a port of it."""
    every = (
        text.NodePort(("tcp", "udp", "sctp")[n % 3], 8000 + n, f"10.0.0.{n + 1}", target, f"rp{n:012d}")
        for n in range(ports)
    )
    return text.node(TABLE, "rp", tuple(every))


def router(ports: int, black: int = 0) -> tables.Table:
    published = tuple(text.RouterPort(20000 + n, f"10.0.0.{n + 1}", 443) for n in range(ports))
    links = frozenset(f"rs{n:012d}" for n in range(black))
    return text.router(TABLE, text.Router("up", "198.18.0.1", "198.18.0.0", True, True, published, (), links))


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("rules") / "netns"
    namespaces.create(path)
    yield path
    namespaces.delete(path)
    namespaces.unshare_folder(path.parent)


@pytest.fixture(params=[nft.opened, nft.Program], ids=["library", "program"])
def one(space: Path, request: pytest.FixtureRequest) -> Iterator[applied.AppliedTable]:
    with namespaces.opened(space) as namespace, namespaces.entered(namespace):
        made = applied.AppliedTable(TABLE, request.param)
    yield made
    made.remove()
    made.close()


def words(space: Path, command: str) -> str:
    done = subprocess.run(
        ["nsenter", f"--net={space}", "nft", "-s", *command.split(" ", 1)], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("make", [node, router])
def test_a_table_follows_what_is_wanted(
    space: Path, one: applied.AppliedTable, make: Callable[[int], tables.Table]
) -> None:
    for many in (0, 1, MANY, 7, 8, 0):
        one.put(make(many))
        assert one.differs(make(many)) is None
        assert len(tables.listing(listed(space), make(many)).elements["ports"]) == many
    assert one.differs(make(1)) == f"table {TABLE} is an older one"


def listed(space: Path) -> str:
    return words(space, f"-n list table inet {TABLE}")


def test_a_change_of_elements_leaves_the_rest_as_it_is(space: Path, one: applied.AppliedTable) -> None:
    """Rules that are written anew have other handles, and their counters begin anew."""

    def handles() -> list[str]:
        return [line for line in words(space, "-a list ruleset").splitlines() if "# handle" in line]

    one.put(router(MANY))
    before = handles()
    one.put(router(MANY + 1, black=2))
    assert handles() == before
    one.put(node(1))
    assert handles() != before


def test_what_others_do_to_it_is_seen_and_mended(space: Path, one: applied.AppliedTable) -> None:
    one.put(router(3))
    words(space, "add table inet t-other")
    assert one.differs(router(3)) is None, "their own tables are theirs"
    for command in (
        f"delete element inet {TABLE} ports {{ 20001 }}",
        f"add element inet {TABLE} black {{ rs9 }}",
        f"add rule inet {TABLE} forward accept",
        f"flush chain inet {TABLE} input",
    ):
        words(space, command)
        assert one.differs(router(3)) == f"table {TABLE} was changed by someone", command
        one.put(router(3))
        assert one.differs(router(3)) is None
    words(space, "flush ruleset")
    assert one.differs(router(3)) == f"table {TABLE} is gone"
    one.put_unseen(router(4))
    assert one.differs(router(4)) is None


def test_a_change_is_made_whole_or_not_at_all(space: Path, one: applied.AppliedTable) -> None:
    """The kernel refuses the last of its words: what came before them is not done either."""
    one.put(router(2))
    before = listed(space)
    wrong = router(2, black=1)
    sets = {**wrong.sets, "ports": tables.NamedSet(wrong.sets["ports"].type, {"20000": "10.0.0.9 . 1", "70000": "x"})}
    with pytest.raises(errors.Failed, match="nft refused"):
        one.put(tables.Table(wrong.name, wrong.rules, sets))
    assert listed(space) == before
    assert one.differs(router(2)) is None


class Overheard:
    """nft, and all that it was told."""

    def __init__(self) -> None:
        self._nft = nft.opened()
        self.told: list[str] = []

    def close(self) -> None:
        self._nft.close()

    def run(self, text_: str) -> tuple[int, str, str]:
        self.told.append(text_)
        return self._nft.run(text_)


def test_one_of_a_hundred_pods_is_changed_by_its_elements_and_nothing_is_listed(space: Path) -> None:
    with namespaces.opened(space) as namespace, namespaces.entered(namespace):
        overheard = Overheard()
        made = applied.AppliedTable(TABLE, lambda: overheard)
    few, many = node(MANY), node(MANY + 1)
    made.put(few)
    overheard.told.clear()
    by_element = statistics.median(_took(made.put, table) for _ in range(10) for table in (many, few))
    assert len(overheard.told) == 20
    assert not any("list" in told or "table" in told for told in overheard.told)
    assert all(told.count("element") == 3 for told in overheard.told)
    # So it is also where others change theirs all the time, as a node's kube-proxy does.
    overheard.told.clear()
    for table in (many, few):
        words(space, "add table inet t-other")
        made.put_unseen(table)
    assert len(overheard.told) == 2
    whole = statistics.median(_took(overheard.run, table.text()) for _ in range(10) for table in (many, few))
    print(f"\none of {MANY} pods: {by_element * 1000:.2f} ms by element, {whole * 1000:.2f} ms as a whole table")
    made.remove()
    made.close()


def _took(work: Callable[[Any], object], with_: object) -> float:
    began = time.perf_counter()
    work(with_)
    return time.perf_counter() - began
