"""What of a live run is run once more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.live import again

ROOT = Path(__file__).parents[2]


def test_a_few_failed_tests_are_run_again() -> None:
    assert again.judged(0, ()) == again.Verdict()
    # One that failed in its call and in its teardown is one.
    assert again.judged(1, ("a::x", "a::x", "b::y")) == again.Verdict(("a::x", "b::y"))


def test_what_else_went_wrong_is_no_matter_of_luck() -> None:
    assert "4 tests failed" in again.judged(1, "abcd").why
    assert "cut off" in again.judged(2, ("a::x",)).why
    assert "left something" in again.judged(1, ("a::x", again.LEFT)).why
    assert again.judged(1, ()).why
    assert not any(again.judged(code, "abcd").again for code in range(6))


def story(folder: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run of one test in a folder, as the live stage would be."""
    (folder / "tests").mkdir()
    (folder / "tests/conftest.py").write_text(
        "import os, pathlib\n\ndef pytest_runtest_logreport(report):\n    if report.failed:\n"
        f"        pathlib.Path(os.environ[{again.FAILED!r}]).open('a').write(report.nodeid + '\\n')\n"
    )
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = live\n")
    body = f"import pathlib, pytest\n\nHERE = pathlib.Path({str(folder)!r})\n\n@pytest.mark.live\ndef test_it():\n"
    (folder / "tests/test_it.py").write_text(f"{body}    {test}\n")
    (folder / "tmp").mkdir()
    return subprocess.run(
        [sys.executable, "-m", "tests.live.again", "tests"],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_one_that_passes_the_second_time_is_named(tmp_path: Path) -> None:
    ran = story(tmp_path, "again = (HERE / 'mark').exists(); (HERE / 'mark').touch(); assert again, 'by chance'")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *_, named, where = ran.stdout.splitlines()
    assert named == "unsteady: tests/test_it.py::test_it"
    (folder,) = (tmp_path / "tmp").glob("roadstead-live-*")
    assert where == f"both outputs are in {folder}"
    assert "by chance" in (folder / "all.log").read_text()
    assert "1 passed" in (folder / "again-0.log").read_text()


def test_one_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    ran = story(tmp_path, "assert False")
    assert ran.returncode == 1
    assert "failed twice: tests/test_it.py::test_it" in ran.stdout


def test_a_soak_repeats_nothing(tmp_path: Path) -> None:
    ran = story(
        tmp_path, "again = (HERE / 'mark').exists(); (HERE / 'mark').touch(); assert again", ROADSTEAD_REPEAT="no"
    )
    assert ran.returncode == 1
    assert "== again" not in ran.stdout


def test_all_well_leaves_nothing(tmp_path: Path) -> None:
    assert story(tmp_path, "pass").returncode == 0
    assert list((tmp_path / "tmp").glob("roadstead-live-*")) == []
