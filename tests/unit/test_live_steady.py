"""What clients of a live run are found to have had: gaps, also one that goes on when all else is well again."""

from __future__ import annotations

from pathlib import Path

from tests.live import steady


def said(*times: float, did: steady.Did = "write") -> list[steady.Said]:
    return [steady.Said(at, did, number) for number, at in enumerate(times)]


def test_a_gap_begins_with_the_last_success_before_it_and_is_measured_to_its_end() -> None:
    both = sorted([*said(9.9, 10.0, 15.0), *said(9.9, 10.1, 10.4, did="read")], key=lambda one: one.at)
    # All was well again at 10.5: writes go on at 15, and reads not yet.
    assert steady.goes_on(both, 10.5) is None
    both += said(15.2, did="read")
    assert steady.goes_on(both, 10.5) == 15.2
    seen = steady.outcome(both, 10.05, 15.2)
    assert round(seen.write, 1) == 5.0
    assert round(seen.read, 1) == 4.8


def test_each_line_of_a_log_is_read_once_also_where_it_is_half_there_or_its_file_is_renamed(tmp_path: Path) -> None:
    file, log = tmp_path / "0.log", steady.Log()

    def line(at: int) -> str:
        return f'2026-11-30T00:00:00Z stdout F {{"at": {at}000000000, "did": "write", "count": {at}}}\n'

    file.write_text(line(1) + line(2)[:30])
    log.look([file])
    assert [one.count for one in log.said] == [1]
    with file.open("a") as more:
        more.write(line(2)[30:] + line(3))
    log.look([file])
    file.rename(tmp_path / "0.log.older")
    file.write_text(line(4))
    log.look(tmp_path.glob("*.log*"))
    assert [one.count for one in log.said] == [1, 2, 3, 4]
    assert [one.count for one in log.since(3.0)] == [3, 4]
