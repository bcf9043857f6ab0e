"""`roadstead doctor`, and the look that `roadstead start` takes before it starts anything."""

from __future__ import annotations

import os
import shutil
import sys

import click

from roadstead.core import errors, terminal
from roadstead.machine.doctor import checks, facts, findings, mend, report, see
from roadstead.machine.doctor.mend import Only


@click.command("doctor")
@click.option("--fix", is_flag=True, help="Mend what can be mended: missing packages, settings of the kernel.")
@click.option("--yes", "-y", is_flag=True, help="With --fix: do not ask.")
@click.option("--only", type=click.Choice(["packages", "settings"]), help="With --fix: mend these alone.")
@click.option("--output", "-o", type=click.Choice(["json", "table"]), help="Table on a terminal, else lines.")
def doctor(*, fix: bool, yes: bool, only: Only | None, output: str | None) -> None:
    """Look at this machine: can it run clusters, and what is missing?

    Says of each thing that is not as it should be what it means and how to mend it. Changes nothing without --fix.
    Ends with code 1 when something keeps Roadstead from starting, or could not be mended.
    """
    seen = see.see()
    found = checks.check(seen)
    mended: tuple[str, ...] = ()
    failure = ""
    if fix:
        try:
            mended = _mend(seen, found, ask=_on_terminal() and not yes and not _in_ci(), only=only)
        except errors.Error as error:
            failure = error.message
            terminal.err(_shown(error))
        found = checks.check(see.see())
    shown = report.document(found, mended, failure) if output == "json" else _human(found, output)
    if output != "json" and _colour():
        terminal.drawn(f"{shown}\n", terminal.stream(error=False))
    else:
        terminal.out(shown)
    click.get_current_context().exit(1 if failure or findings.blocks(found) else 0)


def check_before_start(*, interactive: bool, yes: bool, may_mend: bool = True) -> list[findings.Finding]:
    """The look before the agent is started: the findings, after what can be mended was mended.

    On a terminal (`interactive`) the human is asked first, unless `yes` or CI=true; elsewhere nobody is there to ask.
    Without root, or where it may not be mended (an instance in a namespace of its own), this only looks.
    Raises Failed with all that still blocks; warnings are left to the caller to show.
    """
    seen = see.see()
    found = checks.check(seen)
    failure: errors.Error | None = None
    if may_mend and seen.root and any(one.mendable for one in found):
        try:
            _mend(seen, found, ask=interactive and not yes and not _in_ci())
        except errors.Error as error:
            failure = error
        found = checks.check(see.see())
    blocking = findings.blocks(found)
    if blocking:
        sentences = "\n".join(f"- {one.title}. {one.meaning} {one.remedy}" for one in blocking)
        first = f"{failure.message}\n" if failure else ""
        raise errors.Failed(
            f"{first}This machine is not ready to run clusters:\n{sentences}",
            findings=", ".join(one.id for one in blocking),
        )
    if failure:
        terminal.err(_shown(failure))
    return list(found)


def _mend(
    seen: facts.DoctorFacts, found: tuple[findings.Finding, ...], *, ask: bool, only: Only | None = None
) -> tuple[str, ...]:
    """Mends, after a question where one is to be asked; what was done, a line each. All its words go to stderr."""
    steps = mend.chosen(mend.plan(found, seen.distribution.family), only)
    if not steps:
        return ()
    if not seen.root:
        raise errors.Denied("Only root can mend a machine: run `sudo roadstead doctor --fix`.")
    lines = tuple(mend.explain(step) for step in steps)
    terminal.err("To mend:" if ask else "Mending:")
    for line in lines:
        terminal.err(f"  {line}")
    if ask and not click.confirm("Do it?", default=True, err=True):
        return ()
    mend.make(steps, mend.MendPlaces())
    return lines


def _human(found: tuple[findings.Finding, ...], output: str | None) -> str:
    if output == "table" or sys.stdout.isatty():
        width = min(shutil.get_terminal_size().columns, 120)
        return report.table(found, width=max(width, 40), colour=_colour())
    return report.plain(found)


def _colour() -> bool:
    """Colour on a terminal only, and not against the human's word (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _on_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("true", "1")


def _shown(error: errors.Error) -> str:
    output = error.facts.get("output")
    return error.message + (f"\n{output}" if output else "")
