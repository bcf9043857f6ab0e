"""What a run showed: a line for each step as it is done, and a table of the last runs in docs/machine.md."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

BEGIN = "<!-- make vm --write: begin -->"
END = "<!-- make vm --write: end -->"
_NONE = "-"


@dataclass
class Results:
    """Of one machine. `facts` are shown above the seconds."""

    release: int
    facts: dict[str, str] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """One step; told when it is done, and by its name alone when it failed."""
        began = time.monotonic()
        try:
            yield
        except BaseException:
            print(f"  {time.monotonic() - began:6.1f} s  FAILED: {what}", flush=True)
            raise
        self.steps[what] = time.monotonic() - began
        print(f"  {self.steps[what]:6.1f} s  {what}", flush=True)

    @property
    def column(self) -> dict[str, str]:
        """The rows of the table."""
        seconds = {what: f"{took:.0f} s" for what, took in self.steps.items()}
        return {**self.facts, **seconds, "in all": f"{sum(self.steps.values()):.0f} s"}


def written(page: str, results: Sequence[Results]) -> str:
    """The page with these results in its table; what other releases had there stays.

    Raises ValueError where the page has no place for it.
    """
    before, begin, rest = page.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    columns = {**_columns(inside), **{f"Debian {one.release}": one.column for one in results}}
    return f"{before}{BEGIN}\n{table(columns)}\n{END}{after}"


def _columns(text: str) -> dict[str, dict[str, str]]:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.split("\n") if "|" in line]
    if len(rows) < 3:
        return {}
    return {
        name: {row[0]: row[place] for row in rows[2:] if row[place] != _NONE}
        for place, name in enumerate(rows[0])
        if place
    }


def table(columns: Mapping[str, Mapping[str, str]]) -> str:
    """In Markdown, a column for each release, the rows in the order of the newest of them."""
    names = sorted(columns)
    rows = list(dict.fromkeys(row for name in reversed(names) for row in columns[name]))
    rows.sort(key=lambda row: row == "in all")
    lines = [("", *names), *((row, *(columns[name].get(row, _NONE) for name in names)) for row in rows)]
    drawn = [f"| {' | '.join(cells)} |" for cells in lines]
    drawn.insert(1, "|---" * (len(names) + 1) + "|")
    return "\n".join(drawn)
