"""docs/peers.md has the cases that are asked now. What peers answer to them is asked by tests/peer, where moto is."""

from __future__ import annotations

from pathlib import Path

from tests.peer import compare

PAGE = Path(__file__).resolve().parents[2] / "docs" / "peers.md"


def test_the_page_has_every_case_and_no_other() -> None:
    table = PAGE.read_text().partition("## All ")[2]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    shown = {cells[0].strip(): cells[3].strip() for cells in rows}
    assert list(shown) == [one.name for one in compare.CASES], "run: python -m tests.peer"
    assert {name for name, ours in shown.items() if ours != "ok"} == {one.name for one in compare.CASES if one.lacking}
