"""What of a live run is run once more."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
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


def test_the_code_of_lanes_is_as_of_one_run() -> None:
    assert again.together([0, 0, 0]) == 0
    assert again.together([0, 1, 0]) == 1
    # One that was cut off is no matter of luck, whatever the others did, and one may have nothing to do.
    assert again.together([1, 2, 0]) == again.together([2, 1, 1]) == 2
    assert again.together([1, -9, 0]) == -9
    assert again.together([0, 5, 0]) == 0
    assert again.together([5, 5, 5]) == 5


def test_lanes_run_side_by_side_and_those_of_the_cluster_after_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All of the first wait for each other, and the last for them; which tests are whose is the conftest's."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = live\n")
    body = f"""
        import os, pathlib, time, pytest
        HERE, MINE = pathlib.Path({str(tmp_path)!r}), os.environ[{again.LANE!r}]
        BESIDE = {set(again.LANES[0])!r}

        def has(what):
            return {{path.stem for path in HERE.glob(f"*.{{what}}")}}

        @pytest.mark.live
        def test_it():
            assert MINE in BESIDE or has("left") == BESIDE
            (HERE / f"{{MINE}}.came").touch()
            until = time.monotonic() + 60
            while has("came") < BESIDE:
                assert time.monotonic() < until
                time.sleep(0.01)
            (HERE / f"{{MINE}}.left").touch()
            assert MINE != "machine"
    """
    (tmp_path / "test_it.py").write_text(textwrap.dedent(body))
    monkeypatch.chdir(tmp_path)
    assert again.lanes(tmp_path, "test_it.py") == 1
    assert {path.stem for path in tmp_path.glob("*.left")} == {*again.LANES[0], "cluster"}
    assert "1 failed" in (tmp_path / "machine.log").read_text()
    assert "1 passed" in (tmp_path / "cluster.log").read_text()
    shown = capfd.readouterr().out.splitlines()
    assert any(line.startswith("  machine | ") and "1 failed" in line for line in shown)


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
