"""The live stage: all tests, and those that failed once more at the end, each alone.

The tests are in lanes. Those of what there is once on a machine, and those with agents, hosts and clusters of their
own, run side by side: most of their time is waiting for starts and for timeouts. Those of the shared cluster, where
gaps are measured, run after them and alone. What of the machine is not as it was is looked for when all have ended.

A test that then passes is unsteady: the run is green, and its last lines name the test and where both outputs are. That
is a fault, of the test or of what it tests, to be found and mended. More than MOST failures are not repeated, nor is a
run that was cut off or that left something on the machine.

    python -m tests.live.again [PYTEST_ARGUMENT...]    with arguments in one lane
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from tests.live import machine

FAILED = "ROADSTEAD_FAILED_TESTS"
"""The variable with the file in which a run writes what failed, a line each: `NODEID`, or LEFT."""
REPEAT = "ROADSTEAD_REPEAT"
"""The variable that is `no` where nothing is to be repeated."""
LANE = "ROADSTEAD_LANE"
"""The variable with the lane whose tests are run; where there is none, all are."""
LANES = (("machine", "apart a-o", "apart p-z"), ("cluster",))
"""Side by side, and one after another. Those apart are halved by the names of their modules, and by the
shared node, which the latter have."""
LEFT = "(the machine is not as it was)"
MOST = 3
_SOME_FAILED, _NO_TESTS = 1, 5
"""pytest's exit codes when tests failed and nothing else was wrong, and when a lane has none."""


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


def together(codes: Sequence[int]) -> int:
    """The exit code of lanes as of one run: what cut one off counts, and a lane without tests does not. Pure."""
    some = [code for code in codes if code != _NO_TESTS]
    if not some:
        return _NO_TESTS
    return max(some, key=lambda code: (code not in (0, _SOME_FAILED), code))


def main(arguments: list[str]) -> int:
    folder = Path(tempfile.mkdtemp(prefix="roadstead-live-"))
    if arguments:
        code = _run(["-m", "live", *arguments], folder, "all")
    else:
        with _kept(folder / "failed-after"):
            code = lanes(folder, "tests/live")
    failed = [line for listed in sorted(folder.glob("failed-*")) for line in listed.read_text().splitlines()]
    verdict = judged(code or int(bool(failed)), failed)
    if code and os.environ.get(REPEAT) == "no":
        verdict = Verdict(why=f"{REPEAT} says so")
    if not verdict.again:
        if verdict.why:
            print(f"\nnothing is run again: {verdict.why}; the output is in {folder}", flush=True)
        else:
            _forget(folder)
        return code or int(bool(failed))
    lasting = []
    for number, test in enumerate(verdict.again):
        print(f"\n== again, alone: {test}", flush=True)
        if _run(["-m", "live", test], folder, f"again-{number}"):
            lasting.append(test)
    unsteady = [test for test in verdict.again if test not in lasting]
    for title, tests in (("failed twice", lasting), ("unsteady", unsteady)):
        for test in tests:
            print(f"{title}: {test}", flush=True)
    print(f"both outputs are in {folder}", flush=True)
    return 1 if lasting else 0


def lanes(folder: Path, tests: str) -> int:
    """All of them, the output of each in `LANE.log`; an exit code as pytest has them."""
    words = ["-m", "live", "-p", "no:cacheprovider", tests]

    def one(lane: str) -> int:
        return _run(words, folder, lane, lane)

    codes: list[int] = []
    for beside in LANES:
        with futures.ThreadPoolExecutor(len(beside)) as threads:
            codes += threads.map(one, beside)
    return together(codes)


@contextlib.contextmanager
def _kept(failed: Path) -> Iterator[None]:
    """Says in that file, and on standard output, what of the machine is not as it was."""
    # It knows this module, and says by its names what failed.
    from tests.live import conftest

    conftest.sweep_namespaces()
    os.environ[machine.MARK] = secrets.token_hex(8)
    before = machine.snapshot()
    with conftest.held_namespaces():
        yield
    left = machine.left_in_time(before)
    del os.environ[machine.MARK]
    if left:
        print(f"\n{conftest.NOT_AS_IT_WAS}{chr(10).join(left)}", flush=True)
        failed.write_text(f"{LEFT}\n")


def _run(words: list[str], folder: Path, name: str, lane: str = "") -> int:
    """A run of pytest, shown as it goes, its lines with their lane before them, and kept in `NAME.log`."""
    command = [sys.executable, "-m", "pytest", *words]
    environment = {**os.environ, FAILED: str(folder / f"failed-{name}")}
    if lane:
        environment[LANE] = lane
    shown = f"{lane:>9} | ".encode() if lane else b""
    with (
        (folder / f"{name}.log").open("wb") as kept,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment) as running,
    ):
        assert running.stdout is not None
        for line in _pieces(running.stdout.fileno(), whole=bool(lane)):
            kept.write(line)
            sys.stdout.buffer.write(shown + line if line else line)
            sys.stdout.buffer.flush()
    return running.returncode


def _pieces(descriptor: int, *, whole: bool) -> Iterator[bytes]:
    """As they come, or whole lines."""
    rest = b""
    while piece := os.read(descriptor, 1 << 16):
        if not whole:
            yield piece
            continue
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in lines)
    yield rest


def _forget(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
