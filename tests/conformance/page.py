"""Tables of a run: for the terminal, and in docs/conformance.md. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance import cases, causes
from tests.conformance import record as records


def rows(record: records.Record, of: Sequence[cases.Case]) -> list[tuple[str, ...]]:
    """A row for each area, and one for all; columns in the order of records.VERDICTS, `cases` before them."""
    areas = sorted({case.area for case in of})
    table: list[tuple[str, ...]] = [("area", "cases", *records.VERDICTS)]
    for area in (*areas, ""):
        verdicts = [record.verdict(case.name) for case in of if area in ("", case.area)]
        counts = (str(verdicts.count(verdict)) for verdict in records.VERDICTS)
        table.append((area or "all", str(len(verdicts)), *counts))
    return table


def plain(table: Sequence[Sequence[str]]) -> str:
    """For a terminal."""
    widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def markdown(table: Sequence[Sequence[str]]) -> str:
    """Columns without a figure are left out."""
    shown = [at for at in range(len(table[0])) if at < 2 or any(row[at] != "0" for row in table[1:])]
    lines = [f"| {' | '.join(row[at] for at in shown)} |" for row in table]
    lines.insert(1, "|---" + "|---:" * (len(shown) - 1) + "|")
    return "\n".join(lines)


def ending(record: records.Record, of: Sequence[cases.Case], why: causes.Explained) -> str:
    """What a run says at its end."""
    lines = [plain(rows(record, of))]
    unsteady = [case.name for case in of if record.verdict(case.name) == "unsteady"]
    if unsteady:
        lines += ["", "unsteady: failed beside others, passed alone", *(f"  {name}" for name in unsteady)]
    for name, cause in why.failed.items():
        said = cause or f"NOT EXPLAINED: {' '.join(record.message(name).split())[:300]}"
        lines += ["", f"failed: {name}", f"  {said}"]
    for idle in why.idle:
        lines += ["", f"causes.toml has a cause that no failure has any more: {idle.case}"]
    return "\n".join(lines)


def section(record: records.Record, of: Sequence[cases.Case], why: causes.Explained) -> str:
    """The same for the docs."""
    lines = [f"{record.date}, Kubernetes {record.version}, {record.nodes} nodes.", "", markdown(rows(record, of))]
    unsteady = [case.name for case in of if record.verdict(case.name) == "unsteady"]
    if unsteady:
        lines += ["", "Failed beside others, and passed alone:", "", *(f"- `{name}`" for name in unsteady)]
    if why.failed:
        lines += ["", "Do not pass:", ""]
        lines += [f"- `{name}`: {cause or 'not explained yet'}" for name, cause in why.failed.items()]
    return "\n".join(lines)


def written(page: str, minor: str, text: str) -> str:
    """The page with this text in the place of a minor. Raises ValueError where it has none."""
    begin, end = f"<!-- make conformance {minor}: begin -->", f"<!-- make conformance {minor}: end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin} ... {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"
