"""Batches of cases by e2e.test: some side by side, serial ones alone, and at the end alone what failed before."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from tests.conformance import cases
from tests.conformance import record as records
from tests.vm import cabinet

BATCH = 6
"""Cases: as much as is lost when a run is cut off. Each call of e2e.test takes some seconds of its own."""
_BATCH_SECONDS = 1800.0
Popen = Callable[..., subprocess.Popen[str]]
"""Starts a program where the cluster's endpoint is."""


@dataclass
class Suite:
    """`e2e.test`, for one cluster. `folder`: of the run, where records and logs are."""

    program: Path
    kubectl: Path
    kubeconfig: Path
    folder: Path
    popen: Popen
    description: str = ""
    """The suite's own name, known after `listed`."""
    _alive: set[subprocess.Popen[str]] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def listed(self) -> tuple[cases.Case, ...]:
        """All conformance cases. Raises Failed when e2e.test does not say them."""
        report, log = self._call("list", f"--ginkgo.label-filter={cases.LABEL}", "--ginkgo.dry-run")
        if report is None:
            raise cabinet.Failed(f"{self.program.name} does not list its cases: see {log}")
        self.description = report.suite_description
        return cases.of(report)

    def run(self, batch: Sequence[cases.Case], *, alone: bool = False) -> dict[str, records.Attempt]:
        with self._lock:
            self._count += 1
            name = f"{time.strftime('%H%M%S', time.gmtime())}-{self._count}"
        report, log = self._call(name, f"--ginkgo.focus={cases.only(self.description, batch)}")
        return records.outcomes(report, batch, log.name, alone=alone)

    def _call(self, name: str, *words: str) -> tuple[cases.Report | None, Path]:
        """Its report, and the file with what it said."""
        log, file = self.folder / "logs" / f"{name}.log", self.folder / f"{name}.json"
        log.parent.mkdir(exist_ok=True)
        command = (
            *("setpriv", "--pdeathsig=KILL", "--", str(self.program)),
            f"--kubeconfig={self.kubeconfig}",
            f"--kubectl-path={self.kubectl}",
            *("--provider=skeleton", "--disable-log-dump", "--ginkgo.no-color", "--ginkgo.v"),
            f"--ginkgo.timeout={_BATCH_SECONDS:.0f}s",
            f"--ginkgo.json-report={file}",
            *words,
        )
        with log.open("w") as out:
            process = self.popen(*command, stdout=out, stderr=out, cwd=self.folder)
            self._alive.add(process)
            if self._ended.is_set():
                # It was begun while all was ended.
                process.kill()
            try:
                process.wait(_BATCH_SECONDS + 120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
            finally:
                self._alive.discard(process)
        try:
            return cases.read(file.read_bytes()), log
        except (FileNotFoundError, msgspec.DecodeError, ValueError):
            return None, log
        finally:
            # It has all of the suite's cases each time, most of them skipped.
            file.unlink(missing_ok=True)

    def each(
        self, batches: Sequence[Sequence[cases.Case]], workers: int, *, alone: bool = False
    ) -> Iterator[dict[str, records.Attempt]]:
        """What came of each batch, as they end; `workers` of them side by side. Closed early, it ends what runs."""

        def work(batch: Sequence[cases.Case]) -> dict[str, records.Attempt]:
            # What was cut off is no outcome.
            found = {} if self._ended.is_set() else self.run(batch, alone=alone)
            return {} if self._ended.is_set() else found

        try:
            with futures.ThreadPoolExecutor(workers) as pool:
                try:
                    for done in futures.as_completed([pool.submit(work, batch) for batch in batches]):
                        yield done.result()
                finally:
                    # The pool ends when each batch has had its turn: those that wait are over at once.
                    self.end()
        finally:
            self._ended.clear()

    def end(self) -> None:
        self._ended.set()
        for process in tuple(self._alive):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
