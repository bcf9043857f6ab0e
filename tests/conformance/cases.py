"""Which cases a suite has, which may run side by side, and the words that have e2e.test run some of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

LABEL = "Conformance"
"""Of the cases that certified Kubernetes must pass; what the suite's own list of them has."""
_AREA = re.compile(r"\[(sig-[a-z-]+)\]")
_NONE = "sig-none"
_SERIAL = "Serial"


@dataclass(frozen=True)
class Case:
    """`name`: its whole text, as reports have it."""

    name: str
    serial: bool = False

    @property
    def area(self) -> str:
        found = _AREA.search(self.name)
        return found[1] if found else _NONE


class Spec(msgspec.Struct, rename="pascal"):
    """Of ginkgo's report in JSON: what a case is, and what came of it. Times are nanoseconds."""

    leaf_node_type: str
    state: str
    container_hierarchy_texts: list[str] | None = None
    leaf_node_text: str = ""
    leaf_node_labels: list[str] | None = None
    container_hierarchy_labels: list[list[str] | None] | None = None
    run_time: int = 0
    failure: Failure | None = None

    @property
    def serial(self) -> bool:
        """By its labels: the suite's processes know of no others here, and ginkgo's own word is for those."""
        above = (label for labels in self.container_hierarchy_labels or () for label in labels or ())
        return _SERIAL in (*above, *(self.leaf_node_labels or ()))

    @property
    def name(self) -> str:
        return " ".join((*(self.container_hierarchy_texts or ()), self.leaf_node_text))


class Failure(msgspec.Struct, rename="pascal"):
    message: str = ""


class Report(msgspec.Struct, rename="pascal"):
    suite_description: str
    spec_reports: list[Spec] | None = None


def read(content: bytes) -> Report:
    """A report of one suite. Raises msgspec.DecodeError for anything else."""
    (report,) = msgspec.json.decode(content, type=list[Report])
    return report


def of(report: Report) -> tuple[Case, ...]:
    """The cases of a report that were run, or would have been: others are skipped in it."""
    specs = (spec for spec in report.spec_reports or () if spec.leaf_node_type == "It")
    return tuple(Case(spec.name, spec.serial) for spec in specs if spec.state == "passed")


def chosen(cases: Iterable[Case], focus: str = "", area: str = "") -> tuple[Case, ...]:
    """Those whose name has the expression, of one area: `node` is `sig-node`."""
    wanted = f"sig-{area.removeprefix('sig-')}" if area else ""
    return tuple(case for case in cases if re.search(focus, case.name) and wanted in ("", case.area))


def batches(cases: Sequence[Case], size: int) -> tuple[tuple[Case, ...], ...]:
    """In the order that they have; as many as fit into one call of e2e.test."""
    return tuple(tuple(cases[at : at + size]) for at in range(0, len(cases), size))


def only(suite: str, batch: Sequence[Case]) -> str:
    """The expression that fits these cases and no other: ginkgo holds it against `SUITE NAME`."""
    names = "|".join(_escaped(case.name) for case in batch)
    return f"^{_escaped(suite)} ({names})$"


def _escaped(text: str) -> str:
    """For Go, which knows no `\\ `, `\\-` or `\\#`."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)
