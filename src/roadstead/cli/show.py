"""How results and progress are printed: eksctl's tables, JSON, YAML, and its lines `2026-01-02 15:04:05 [i]  text`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from roadstead.cli import documents
from roadstead.core import foreign, terminal
from roadstead.wire import shapes

Mark = Literal["ℹ", "✔", "!", "✖", "▶"]
_LEVEL: dict[Mark, int] = {"✖": 1, "!": 2, "ℹ": 3, "✔": 3, "▶": 4}
_TAB = 8


@dataclass(frozen=True)
class Log:
    """Lines of progress. They go to standard error where standard output is for a document."""

    verbose: int
    to_error: bool
    above: Callable[[str], object] | None = None
    """Where there is a picture below the lines: what writes one above it."""

    def line(self, text: str, mark: Mark = "ℹ") -> None:
        """With the local time and eksctl's mark: ℹ and ✔ from `--verbose` 3 on, ! from 2, ✖ from 1, ▶ from 4."""
        if self.verbose >= _LEVEL[mark]:
            now = dt.datetime.now().astimezone()
            whole = f"{now:%Y-%m-%d %H:%M:%S} [{mark}]  {foreign.line(text)}"
            if self.above is None:
                say = terminal.err if self.to_error else terminal.out
                say(whole)
            else:
                self.above(whole)


def table(columns: Mapping[str, Sequence[str]]) -> str:
    """Columns with their cells, lined up by tabs as eksctl's tables are: Go's tabwriter, tabs of 8, padding 1."""
    rows = [tuple(map(foreign.line, row)) for row in (tuple(columns), *zip(*columns.values(), strict=True))]
    widths = [-(-(max(len(cell) for cell in column) + 1) // _TAB) * _TAB for column in zip(*rows, strict=True)]
    return "".join("".join(map(_padded, row[:-1], widths)) + row[-1] + "\n" for row in rows)


def _padded(cell: str, width: int) -> str:
    return cell + "\t" * -(-(width - len(cell)) // _TAB)


def document(data: Any, form: str) -> str:
    """Data as JSON with four spaces, or as YAML, each as eksctl prints it."""
    if form == "json":
        return json.dumps(data, indent=4, ensure_ascii=False)
    return documents.yaml_text(data)


def moment(time: dt.datetime) -> str:
    """RFC 3339, as Go prints it."""
    return time.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def go_shaped(shape: shapes.Shape, value: Any) -> Any:
    """An output with the names of Go's SDK, which eksctl prints: members begin with a capital. Maps stay."""
    match shape.kind:
        case "structure" if isinstance(value, Mapping):
            return {key[0].upper() + key[1:]: go_shaped(shape.members[key].shape, each) for key, each in value.items()}
        case "list" if shape.element is not None:
            return [go_shaped(shape.element.shape, each) for each in value]
        case "timestamp":
            return moment(value)
        case _:
            return value
