"""The live stage: all tests, and those that failed once more at the end, each alone.

A test that then passes is unsteady: the run is green, and its last lines name the test and where both outputs are. That
is a fault, of the test or of what it tests, to be found and mended. More than MOST failures are not repeated, nor is a
run that was cut off or that left something on the machine.

    python -m tests.live.again [PYTEST_ARGUMENT...]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FAILED = "ROADSTEAD_FAILED_TESTS"
"""The variable with the file in which a run writes what failed, a line each: `NODEID`, or LEFT."""
REPEAT = "ROADSTEAD_REPEAT"
"""The variable that is `no` where nothing is to be repeated."""
LEFT = "(the machine is not as it was)"
MOST = 3
_SOME_FAILED = 1
"""pytest's exit code when tests failed and nothing else was wrong."""


@dataclass(frozen=True)
class Verdict:
    """`again`: what is to be run once more; `why`: why nothing is, where something failed."""

    again: tuple[str, ...] = ()
    why: str = ""


def judged(code: int, failed: Iterable[str]) -> Verdict:
    """What of a run that ended with that code is to be repeated. Pure."""
    tests = tuple(dict.fromkeys(failed))
    if code == 0:
        return Verdict()
    if code != _SOME_FAILED:
        return Verdict(why=f"the run was cut off (pytest's exit code is {code})")
    if LEFT in tests:
        return Verdict(why="it left something on the machine")
    if not tests:
        return Verdict(why="no test was said to fail")
    if len(tests) > MOST:
        return Verdict(why=f"{len(tests)} tests failed, and at most {MOST} are run again")
    return Verdict(tests)


def main(arguments: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="roadstead-live-"))
    code = _run(["-m", "live", *(arguments or ["tests/live"])], folder / "all.log", folder / "failed")
    listed = folder / "failed"
    verdict = judged(code, listed.read_text().splitlines() if listed.exists() else ())
    if code and os.environ.get(REPEAT) == "no":
        verdict = Verdict(why=f"{REPEAT} says so")
    if code == 0 or not verdict.again:
        if verdict.why:
            print(f"\nnothing is run again: {verdict.why}; the output is in {folder}", flush=True)
        else:
            _forget(folder)
        return code
    lasting = []
    for number, test in enumerate(verdict.again):
        print(f"\n== again, alone: {test}", flush=True)
        if _run(["-m", "live", test], folder / f"again-{number}.log", folder / f"failed-{number}"):
            lasting.append(test)
    unsteady = [test for test in verdict.again if test not in lasting]
    for title, tests in (("failed twice", lasting), ("unsteady", unsteady)):
        for test in tests:
            print(f"{title}: {test}", flush=True)
    print(f"both outputs are in {folder}", flush=True)
    return 1 if lasting else 0


def _run(words: list[str], output: Path, failed: Path) -> int:
    """A run of pytest, shown as it goes and kept."""
    command = [sys.executable, "-m", "pytest", *words]
    environment = {**os.environ, FAILED: str(failed)}
    with output.open("wb") as kept, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        while piece := os.read(running.stdout.fileno(), 1 << 16):
            kept.write(piece)
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
    return running.returncode


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
