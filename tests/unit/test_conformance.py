"""The conformance run's own parts that decide: cases, expressions, records, causes, the page; and the Go modules."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from tests.conformance import busybox, cases, causes, contents, page, programs, running
from tests.conformance import record as records
from tests.vm import cabinet

from roadstead.engine import catalog

SUITE = "Kubernetes e2e suite"
POD = "[sig-node] Pods should be (gone) [NodeConformance] [Conformance]"
HOST = "[sig-network] HostPort validates a|b-c #1 [Serial] [Conformance]"


def spec(name: str, state: str = "passed", **more: Any) -> dict[str, Any]:
    area, _, rest = name.partition("] ")
    said = {"ContainerHierarchyTexts": [f"{area}]"], "LeafNodeType": "It", "LeafNodeText": rest, "State": state}
    return {**said, "RunTime": 1_250_000_000, **more}


def report(*specs: dict[str, Any]) -> cases.Report:
    before = {"LeafNodeType": "SynchronizedBeforeSuite", "State": "passed", "ContainerHierarchyTexts": None}
    return cases.read(json.dumps([{"SuiteDescription": SUITE, "SpecReports": [before, *specs]}]).encode())


def test_cases_are_what_a_report_would_run() -> None:
    of = cases.of(report(spec(POD), spec(HOST, LeafNodeLabels=["Serial"]), spec("[sig-apps] others", "skipped")))
    assert of == (cases.Case(POD), cases.Case(HOST, serial=True))
    above = spec(HOST, ContainerHierarchyLabels=[["Serial"], None])
    assert cases.of(report(above))[0].serial
    assert [case.area for case in of] == ["sig-node", "sig-network"]
    assert cases.chosen(of, "gone") == of[:1]
    assert cases.chosen(of, area="network") == cases.chosen(of, area="sig-network") == of[1:]


def test_an_expression_fits_its_cases_and_no_other() -> None:
    expression = cases.only(SUITE, (cases.Case(POD), cases.Case(HOST)))
    for name in (POD, HOST):
        assert re.search(expression, f"{SUITE} {name}")
        assert not re.search(expression, f"{SUITE} {name} too")
        assert not re.search(expression, f"{SUITE} [sig-x] {name}")


def test_batches_have_each_case_once_in_order() -> None:
    of = tuple(cases.Case(str(number)) for number in range(8))
    made = cases.batches(of, 3)
    assert [len(batch) for batch in made] == [3, 3, 2]
    assert sum(made, ()) == of


def test_a_case_that_failed_and_passes_alone_is_unsteady() -> None:
    pod, host = cases.Case(POD), cases.Case(HOST)
    record = records.Record("1.37.2", 2)
    assert record.left((pod, host)) == (pod, host)
    failed = report(spec(POD, "timedout", Failure={"Message": "late"}))
    record.note(records.outcomes(failed, (pod, host), "1.log", alone=False))
    assert record.left((pod, host)) == (host,)
    assert records.outcomes(report(spec(POD, "skipped")), (pod,), "1.log", alone=False) == {}
    says_why = report(spec(POD, "skipped", Failure={"Message": "not here"}))
    assert records.outcomes(says_why, (pod,), "1.log", alone=False)[POD].outcome == "skipped"
    assert record.message(POD) == "late"
    assert record.once_more((pod, host)) == (pod, host)
    record.note(records.outcomes(report(spec(POD)), (pod,), "2.log", alone=True))
    record.note(records.outcomes(None, (host,), "3.log", alone=True))
    assert [record.verdict(name) for name in (POD, HOST)] == ["unsteady", "failed"]
    assert "without a word" in record.message(HOST)
    assert record.once_more((pod, host)) == ()
    record.forget_failures((pod, host))
    assert record.left((pod, host)) == (host,)


def test_a_record_is_kept_and_read_as_junit(tmp_path: Path) -> None:
    record = records.Record("1.37.2", 2)
    failed = report(spec(POD), spec(HOST, "failed", Failure={"Message": "said\x1b[0m <no>"}))
    record.note(records.outcomes(failed, cases.of(report(spec(POD), spec(HOST))), "1.log", alone=False))
    assert records.load(tmp_path) is None
    records.save(record, tmp_path)
    assert records.load(tmp_path) == record
    suite = ET.parse(tmp_path / records.JUNIT).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [one.text for one in suite.iter("failure")] == ["said [0m <no>"]


def test_causes_are_held_against_what_failed() -> None:
    record = records.Record("1.37.2", 2)
    of = cases.of(report(spec(POD), spec(HOST)))
    record.note(records.outcomes(report(spec(POD), spec(HOST, "failed")), of, "1.log", alone=True))
    known = causes.read(b"""
        cause = [
          { case = 'Pods should', cause = "passes now" },
          { case = 'HostPort', cause = "a kernel without it" },
          { case = 'HostPort', cause = "another minor's", versions = ["1.36"] },
          { case = 'not run', cause = "nothing known" },
        ]""")
    why = causes.explained(record, [case.name for case in of], known)
    assert why.failed == {HOST: "a kernel without it"}
    assert [cause.cause for cause in why.idle] == ["passes now"]
    assert causes.explained(record, [HOST], ()).failed == {HOST: None}


def test_the_causes_that_are_kept_can_be_read() -> None:
    for cause in causes.read():
        re.compile(cause.case)


def test_the_table_has_each_area_and_all() -> None:
    record = records.Record("1.37.2", 2, "2026-01-02")
    of = cases.of(report(spec(POD), spec(HOST), spec("[sig-node] other")))
    record.note(records.outcomes(report(spec(POD), spec(HOST, "failed")), of[:2], "1.log", alone=True))
    table = page.rows(record, of)
    assert table[0] == ("area", "cases", "passed", "unsteady", "failed", "skipped", "not run")
    assert table[1:] == [
        ("sig-network", "1", "0", "0", "1", "0", "0"),
        ("sig-node", "2", "1", "0", "0", "0", "1"),
        ("all", "3", "1", "0", "1", "0", "1"),
    ]
    why = causes.explained(record, [case.name for case in of], ())
    text = page.section(record, of, why)
    assert "| area | cases | passed | failed | not run |" in text
    assert f"- `{HOST}`: not explained yet" in text
    before = "a\n<!-- make conformance 1.37: begin -->\nold\n<!-- make conformance 1.37: end -->\nb\n"
    assert page.written(page.written(before, "1.37", "old"), "1.37", "new") == before.replace("old", "new")
    with pytest.raises(ValueError, match=r"1\.36"):
        page.written(before, "1.36", "new")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("registry.k8s.io/e2e-test-images/agnhost:2.66.1", True),
        ("registry.k8s.io/pause:3.10.2", True),
        ("gcr.io/authenticated-image-pulling/agnhost:2.6", False),
        ("registry.k8s.io/e2e-test-images/volume/nfs:1.6.0", False),
    ],
)
def test_images_are_known_by_their_names(name: str, known: bool) -> None:
    assert (contents.recipe(name) is not None) == known


def test_there_is_a_suite_for_the_three_newest_releases() -> None:
    """1.34's has other packages, and no page; who asks for it is told so."""
    arch = catalog.machine_arch()
    older, *newest = next(one for one in catalog.load().engines if one.name == "kubernetes").versions
    assert len(newest) == 3
    with pytest.raises(cabinet.Failed, match=f"there is no suite of Kubernetes {older} yet"):
        programs.have(catalog.resolve(catalog.load(), older, arch))
    for version in newest:
        of = catalog.resolve(catalog.load(), version, arch)
        modfile = programs.MODULE / of.fill("go-{minor}.mod")
        assert f"\tk8s.io/kubernetes v{version}\n" in modfile.read_text().replace("require ", "\t")
        words = programs.arguments(of, programs.SUITE, "x", Path("/out"))
        assert words[:2] == ["test", "-c"]
        assert f"-modfile={modfile.name}" in words


FAKE = """
import json, re, sys
given = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
names = ["[sig-a] one", "[sig-a] two", "[sig-b] three"]
focus = given.get("ginkgo.focus", "")
def state(name):
    return ("failed" if "two" in name else "passed") if re.search(focus, "S " + name) else "skipped"
specs = [{"LeafNodeType": "It", "ContainerHierarchyTexts": [name.split()[0]], "LeafNodeText": name.split()[1],
          "State": "passed" if "--ginkgo.dry-run" in sys.argv else state(name)} for name in names]
with open(given["ginkgo.json-report"], "w") as file:
    json.dump([{"SuiteDescription": "S", "SpecReports": specs}], file)
"""


def suite(folder: Path, program: str = FAKE) -> running.Suite:
    fake = folder / "fake"
    fake.write_text(f"#!{sys.executable}\n{program}")
    fake.chmod(0o755)

    def popen(*words: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(words, text=True, stdin=subprocess.DEVNULL, **more)

    return running.Suite(fake, folder / "kubectl", folder / "kubeconfig", folder, popen)


def test_batches_are_run_by_the_suites_own_program(tmp_path: Path) -> None:
    of = suite(tmp_path)
    listed = of.listed()
    assert [case.name for case in listed] == ["[sig-a] one", "[sig-a] two", "[sig-b] three"]
    found: dict[str, records.Attempt] = {}
    for done in of.each(cases.batches(listed[:2], 1), 2):
        found |= done
    assert {name: attempt.outcome for name, attempt in found.items()} == {
        "[sig-a] one": "passed",
        listed[1].name: "failed",
    }
    assert not list(tmp_path.glob("*.json"))


def test_what_is_cut_off_is_no_outcome(tmp_path: Path) -> None:
    of = suite(tmp_path, "import sys, time\nopen(sys.argv[0] + '.began', 'w').close()\ntime.sleep(60)\n")
    of.description = "S"
    first, second = (cases.Case(name) for name in ("[sig-a] one", "[sig-a] two"))

    def ends_it(*words: str, **more: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(words, text=True, **more)
        of._alive.add(process)
        of.end()
        return process

    of.popen = ends_it
    assert list(of.each([(first,), (second,)], 1, alone=True)) == [{}, {}]


def test_who_stops_early_ends_what_runs_and_nothing_else_begins(tmp_path: Path) -> None:
    begin = FAKE.replace("import json", "import os, time, json").replace(
        "given =", "open(f'{sys.argv[0]}.{os.getpid()}', 'w').close()\ngiven ="
    )
    of = suite(tmp_path, f"{begin}\nif 'one' not in focus: time.sleep(60)\n")
    listed = [cases.Case(f"[sig-a] {name}") for name in ("one", "two", "three", "four", "five")]
    of.description = "S"
    found = of.each([(case,) for case in listed], 2)
    assert list(next(found)) == ["[sig-a] one"]
    found.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.glob("fake.*"))) <= 3
    assert not of._alive


def test_busybox_is_static_and_has_no_tc() -> None:
    given = "# CONFIG_STATIC is not set\n# CONFIG_STATIC_LIBGCC is not set\nCONFIG_TC=y\nCONFIG_TCPSVD=y\n"
    wanted = "CONFIG_STATIC=y\n# CONFIG_STATIC_LIBGCC is not set\nCONFIG_TC=n\nCONFIG_TCPSVD=y\n"
    assert busybox.configured(given) == wanted
