"""python -m tests.vm: builds what is missing, boots, shows. See the docstring of the room."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tests.vm import cabinet, debian, home, kernel, long, root, short, visit
from tests.vm import machine as machines
from tests.vm.results import Results, written

PAGE = root.CHECKOUT / "docs" / "machine.md"
LONGEST = 1800
"""Seconds for one release, after what is made once."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description="Roadstead on Debian with systemd.")
    parser.add_argument("--debian", type=int, action="append", choices=list(debian.CODENAMES), help="all of them")
    parser.add_argument("--short", action="store_true", help="a control plane without nodes, four minutes at most")
    parser.add_argument("--prepare", action="store_true", help="only make the kernel and the disks")
    parser.add_argument(
        "--write", action="store_true", help=f"write the results into {PAGE.relative_to(root.CHECKOUT)}"
    )
    parser.add_argument("--where-possible", action="store_true", help="elsewhere say so, and succeed")
    parser.add_argument("--keep", type=Path, help="a folder for logs of a run that fails")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _ended)
    done = []
    if options.where_possible and (reason := kernel.impossible()):
        print(f"not run: {reason}")
        return 0
    try:
        program = kernel.have()
        for release in options.debian or list(debian.CODENAMES):
            entry = root.have(release)
            if not options.prepare:
                done.append(_show(release, program, entry, options))
    except cabinet.Failed as error:
        print(f"\nError: {error}", file=sys.stderr)
        return 1
    if options.write and done:
        PAGE.write_text(written(PAGE.read_text(), done))
    return 0


def _ended(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _overdue(_number: int, _frame: FrameType | None) -> None:
    raise cabinet.Failed(f"not done in {LONGEST} s")


def _show(release: int, program: Path, entry: Path, options: argparse.Namespace) -> Results:
    print(f"\nDebian {release}, {'short' if options.short else 'long'} form", flush=True)
    results = Results(release)
    results.facts["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    signal.signal(signal.SIGALRM, _overdue)
    signal.alarm(LONGEST)
    with cabinet.run_folder() as folder:
        with results.step("the run's disks"):
            disk = home.make(entry, folder)
        with machines.running(program, entry, disk, folder) as machine:
            try:
                (short if options.short else long).show(machine, results)
            except (cabinet.Failed, KeyboardInterrupt) as error:
                signal.alarm(0)
                if isinstance(error, cabinet.Failed):
                    _tell(machine, folder, options.keep)
                raise
            machine.power_off()
    signal.alarm(0)
    print(f"  {sum(results.steps.values()):6.1f} s  in all", flush=True)
    return results


def _tell(machine: machines.Machine, folder: Path, keep: Path | None) -> None:
    """The picture of a machine in which something failed, as far as it answers."""
    try:
        (folder / "picture.log").write_text(visit.picture(machine))
    except (cabinet.Failed, AssertionError, OSError) as error:
        (folder / "picture.log").write_text(f"it tells nothing any more: {error}\n")
    if keep is None:
        print((folder / "picture.log").read_text()[-12000:], file=sys.stderr)
        return
    keep.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.log"):
        shutil.copy(path, keep / path.name)
    print(f"logs are in {keep}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
