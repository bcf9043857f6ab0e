"""python -m tests.conformance: builds what is missing, makes a cluster, runs the cases. See the room's docstring."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.conformance import cases, causes, cluster, images, page, programs, running
from tests.conformance import record as records
from tests.vm import cabinet

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def main(arguments: list[str] | None = None) -> int:
    """0 when each case that was chosen passes or has a known cause."""
    options = _options(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    if os.geteuid() != 0:
        print("clusters are run by root: sudo make conformance", file=sys.stderr)
        return 2
    try:
        return _run(options)
    except (cabinet.Failed, pytest.fail.Exception) as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="Upstream's conformance suite.")
    parser.add_argument("--version", default="1.37", help="a minor of Kubernetes, 1.37 unless told")
    parser.add_argument("--only", default="", metavar="AREA", help="cases of one area: node, network, apps ...")
    parser.add_argument("--focus", default="", metavar="REGEX", help="cases whose name has it")
    parser.add_argument("--nodes", type=int, default=2, help="at least 2; 2 unless told")
    parser.add_argument("--workers", type=int, default=6, help="batches side by side; 6 unless told")
    parser.add_argument("--resume", action="store_true", help="go on from what the last run has recorded")
    parser.add_argument("--again", action="store_true", help="with --resume: what failed is run as if it never was")
    parser.add_argument("--write", action="store_true", help=f"write the result into docs/{PAGE.name}")
    parser.add_argument("--prepare", action="store_true", help="only build the suite and its images")
    parser.add_argument("--hold", action="store_true", help="keep the cluster at the end until interrupted")
    return parser.parse_args(arguments)


def _ended(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _run(options: argparse.Namespace) -> int:
    of = programs.release(options.version)
    minor = options.version = of.fill("{minor}")
    built = programs.have(of)
    archive = images.have(of, built)
    if options.prepare:
        return 0
    folder = cabinet.cabinet() / f"conformance-{minor}"
    record = records.load(folder) if options.resume else None
    if record is None:
        cabinet.remove(folder)
        folder.mkdir()
        record = records.Record(of.version, options.nodes)
    print(f"results and logs are in {folder}", flush=True)
    nowhere = Path("/dev/null")
    suite = running.Suite(built / programs.SUITE, nowhere, nowhere, folder, _popen)
    all_cases = suite.listed()
    wanted = cases.chosen(all_cases, options.focus, options.only)
    if options.again:
        record.forget_failures(wanted)
    print(f"{len(wanted)} of {len(all_cases)} conformance cases, {len(record.attempts)} run before", flush=True)
    try:
        if record.once_more(wanted):
            _on_a_cluster(suite, record, wanted, archive, options)
    finally:
        why = _tell(record, wanted, folder)
    if options.write:
        PAGE.write_text(page.written(PAGE.read_text(), minor, page.section(record, wanted, why)))
    return 0 if not record.left(wanted) and None not in why.failed.values() else 1


def _popen(*words: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(words, text=True, stdin=subprocess.DEVNULL, **more)


def _on_a_cluster(
    suite: running.Suite,
    record: records.Record,
    wanted: Sequence[cases.Case],
    archive: Path,
    options: argparse.Namespace,
) -> None:
    lab = Path(tempfile.mkdtemp(prefix="roadstead-conformance-"))
    try:
        with cluster.running(lab, options.version, options.nodes, archive) as made:
            print(f"the cluster is there: {made.kubeconfig}", flush=True)
            service = made.service
            at = dataclasses.replace(
                suite, kubectl=service.kubectl_program, kubeconfig=made.kubeconfig, popen=service.popen
            )
            try:
                _all(at, record, wanted, options.workers)
                if options.hold:
                    print("held: interrupt it to end", flush=True)
                    signal.pause()
            finally:
                at.end()
    finally:
        shutil.rmtree(lab)


def _all(suite: running.Suite, record: records.Record, wanted: Sequence[cases.Case], workers: int) -> None:
    """What may run beside others, then what may not, then alone what failed."""
    left = record.left(wanted)
    for serial in (False, True):
        batches = cases.batches([case for case in left if case.serial == serial], 1 if serial else running.BATCH)
        _batches(suite, record, batches, 1 if serial else workers, alone=False)
    again = record.once_more(wanted)
    if again:
        print(f"\n{len(again)} cases failed or were lost: once more, each alone", flush=True)
        _batches(suite, record, [(case,) for case in again], 1, alone=True)


def _batches(
    suite: running.Suite,
    record: records.Record,
    batches: Sequence[Sequence[cases.Case]],
    workers: int,
    *,
    alone: bool,
) -> None:
    done, total = 0, sum(map(len, batches))
    for found in suite.each(batches, workers, alone=alone):
        record.note(found)
        record.date = time.strftime("%Y-%m-%d", time.gmtime())
        records.save(record, suite.folder)
        for name, attempt in found.items():
            done += 1
            print(f"{done:4}/{total}  {attempt.seconds:6.1f} s  {attempt.outcome:7}  {name}", flush=True)
            if attempt.outcome == "failed":
                print(f"      {' '.join(attempt.message.split())[:400]} ({attempt.log})", flush=True)


def _tell(record: records.Record, wanted: Sequence[cases.Case], folder: Path) -> causes.Explained:
    why = causes.explained(record, [case.name for case in wanted], causes.read())
    print(f"\n{page.ending(record, wanted, why)}\n\n{folder / records.JUNIT}", flush=True)
    return why


if __name__ == "__main__":
    sys.exit(main())
