"""The doctor's findings as table, lines and JSON."""

from __future__ import annotations

import json
import re

import click

from roadstead.machine.doctor import findings, report

FOUND = (
    findings.Finding("machine/python", "ok", "Python 3.11.2"),
    findings.Finding("machine/systemd", "ok", "systemd starts Roadstead at boot"),
    findings.Finding(
        "programs/s6-svc",
        "blocks",
        "s6-svc is missing",
        "It tells supervised processes to stop and start.",
        "Run `sudo apt-get install s6`.",
        findings.Package("s6"),
    ),
    findings.Finding("settings/x", "warning", "x = 1", "It is low.", "Run `sudo sysctl -w x=2`."),
)


def test_table() -> None:
    text = report.table(FOUND, width=60, colour=False)
    assert text == (
        "Machine\n"
        "  ok       Python 3.11.2; systemd starts Roadstead at boot\n"
        "Programs\n"
        "  blocks   s6-svc is missing\n"
        "           It tells supervised processes to stop and start.\n"
        "           mend: Run `sudo apt-get install s6`.\n"
        "Settings of the kernel\n"
        "  warning  x = 1\n"
        "           It is low.\n"
        "           mend: Run `sudo sysctl -w x=2`.\n"
        "\n"
        "1 thing keeps Roadstead from starting, 1 warning. `sudo roadstead doctor --fix` mends 1 of them."
    )


def test_colour_changes_nothing_but_colour() -> None:
    coloured = report.table(FOUND, width=60, colour=True)
    assert "\x1b[31m" in coloured
    assert click.unstyle(coloured) == report.table(FOUND, width=60, colour=False)


def test_the_table_keeps_its_width_but_for_commands() -> None:
    long = findings.Finding("machine/x", "warning", "title", "many words " * 30, "a command " * 30)
    lines = report.table((long, *FOUND), width=50, colour=False).splitlines()
    assert [line for line in lines if len(line) > 60 and "mend:" not in line] == [lines[-1]]


def test_plain_lines_have_parts() -> None:
    lines = report.plain(FOUND).splitlines()
    assert lines[0] == "ok\tmachine/python\tPython 3.11.2"
    assert [len(line.split("\t")) for line in lines] == [3, 3, 5, 5]


def test_json() -> None:
    document = json.loads(report.document(FOUND, ("install s6",), "it rained"))
    assert list(document) == ["version", "blocks", "counts", "findings", "mended", "failure"]
    assert document["blocks"] is True
    assert document["counts"] == {"ok": 2, "warning": 1, "blocks": 1}
    assert (document["mended"], document["failure"]) == (["install s6"], "it rained")
    assert document["findings"][2] == {
        "id": "programs/s6-svc",
        "group": "programs",
        "level": "blocks",
        "title": "s6-svc is missing",
        "meaning": "It tells supervised processes to stop and start.",
        "remedy": "Run `sudo apt-get install s6`.",
        "mendable": True,
    }


def test_summary() -> None:
    assert report.summary(FOUND[:2]) == "Roadstead can run here."
    assert re.match(r"Roadstead can run here, 1 warning\.$", report.summary((FOUND[3],)))
