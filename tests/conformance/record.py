"""What is known of each case, in a file that is written after each batch: a run that was cut off goes on from it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from tests.conformance import cases

FILE, JUNIT = "record.json", "junit.xml"
Outcome = Literal["passed", "failed", "skipped"]
Verdict = Literal["passed", "unsteady", "failed", "skipped", "not run"]
VERDICTS: tuple[Verdict, ...] = ("passed", "unsteady", "failed", "skipped", "not run")
"""`unsteady`: failed beside others, and passed alone."""
_GINKGO: Mapping[str, Outcome] = {"passed": "passed", "skipped": "skipped", "pending": "skipped"}
"""By ginkgo's states; all others are ways to fail."""
_NEVER_PRINTED = {number: " " for number in range(32) if number not in (9, 10)}
_SHOWN = 4000


class Attempt(msgspec.Struct, frozen=True):
    """One time that a case was run. `log`: the file with all that e2e.test said, in the folder of the run."""

    outcome: Outcome
    seconds: float = 0.0
    message: str = ""
    log: str = ""
    alone: bool = False


class Record(msgspec.Struct):
    """Of one release. `attempts`: by the case's name, in their order."""

    version: str
    nodes: int
    date: str = ""
    """Of the last batch, YYYY-MM-DD."""
    attempts: dict[str, list[Attempt]] = {}

    def verdict(self, name: str) -> Verdict:
        tried = self.attempts.get(name)
        if not tried:
            return "not run"
        last = tried[-1].outcome
        return "unsteady" if last == "passed" and len(tried) > 1 else last

    def message(self, name: str) -> str:
        """Of its last failure."""
        failed = [one.message for one in self.attempts.get(name, ()) if one.outcome == "failed"]
        return failed[-1] if failed else ""

    def left(self, wanted: Iterable[cases.Case]) -> tuple[cases.Case, ...]:
        """Those that were not run yet."""
        return tuple(case for case in wanted if not self.attempts.get(case.name))

    def once_more(self, wanted: Iterable[cases.Case]) -> tuple[cases.Case, ...]:
        """Those that failed or were lost, and were not run alone since."""
        tried = ((case, self.attempts.get(case.name)) for case in wanted)
        return tuple(case for case, of in tried if not of or (of[-1].outcome == "failed" and not of[-1].alone))

    def forget_failures(self, wanted: Iterable[cases.Case]) -> None:
        for case in wanted:
            if self.verdict(case.name) == "failed":
                del self.attempts[case.name]

    def note(self, attempts: Mapping[str, Attempt]) -> None:
        for name, attempt in attempts.items():
            self.attempts.setdefault(name, []).append(attempt)


def outcomes(report: cases.Report | None, batch: Iterable[cases.Case], log: str, *, alone: bool) -> dict[str, Attempt]:
    """What came of each case of a batch. One that was not run was lost: alone, that is to fail."""
    specs = {spec.name: spec for spec in report.spec_reports or ()} if report else {}
    found = {}
    for case in batch:
        spec = specs.get(case.name)
        # One that says itself that it is to be skipped says why.
        if spec is None or (spec.state == "skipped" and spec.failure is None):
            if alone:
                found[case.name] = Attempt("failed", message="e2e.test ended without a word of it", log=log, alone=True)
            continue
        outcome = _GINKGO.get(spec.state, "failed")
        said = spec.failure.message[:_SHOWN] if spec.failure else ""
        found[case.name] = Attempt(outcome, round(spec.run_time / 1e9, 1), said, log, alone)
    return found


def load(folder: Path) -> Record | None:
    file = folder / FILE
    return msgspec.json.decode(file.read_bytes(), type=Record) if file.is_file() else None


def save(record: Record, folder: Path) -> None:
    """Whole or not at all; and the same as JUnit files are read."""
    _replace(folder / FILE, msgspec.json.format(msgspec.json.encode(record), indent=1))
    _replace(folder / JUNIT, junit(record))


def _replace(file: Path, content: bytes) -> None:
    beside = file.with_name(f".{file.name}")
    beside.write_bytes(content)
    beside.replace(file)


def junit(record: Record) -> bytes:
    """The last attempt of each case."""
    last = {name: tried[-1] for name, tried in record.attempts.items() if tried}
    counted = {outcome: sum(one.outcome == outcome for one in last.values()) for outcome in ("failed", "skipped")}
    suite = ET.Element(
        "testsuite",
        name=f"Kubernetes {record.version} conformance",
        tests=str(len(last)),
        failures=str(counted["failed"]),
        skipped=str(counted["skipped"]),
        time=f"{sum(one.seconds for one in last.values()):.1f}",
    )
    for name, one in sorted(last.items()):
        case = ET.SubElement(suite, "testcase", classname="conformance", name=name, time=f"{one.seconds:.1f}")
        if one.outcome != "passed":
            said = ET.SubElement(case, "failure" if one.outcome == "failed" else "skipped")
            said.text = one.message.translate(_NEVER_PRINTED)
    written: bytes = ET.tostring(suite, encoding="utf-8", xml_declaration=True)
    return written
