"""Text that tenants wrote: bounded in all that is kept, escaped in all that is shown, and still itself for programs."""

from __future__ import annotations

import json
import logging
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel import yaml

from roadstead.aws.http import logs as logs_module
from roadstead.cli import show
from roadstead.cli.actions import events as shown_events
from roadstead.cli.live import picture, progress, screen
from roadstead.clusters import events, observed
from roadstead.contract.messages import observed as seen
from roadstead.controllers.nodes import states
from roadstead.controllers.runtime import outbox, reports
from roadstead.controllers.system import state
from roadstead.core import errors, foreign, loglines, terminal
from roadstead.kube import answers
from roadstead.machine import logs, main, status
from roadstead.machine.load import command, nodes
from roadstead.provider import reports as words

HUGE = "x\x1b]0;owned\x07" * 30_000
"""As an event of 322 KB."""
EVIL = "\x1b[2J\x1b]52;c;cm0=\x07\x9b31m\r\nroot@host # \u202egpj.exe\u2066\u2028\x7f\ttail"
ESCAPED = "\\u001b[2J\\u001b]52;c;cm0=\\u0007\\u009b31m\\r\\nroot@host # \\u202egpj.exe\\u2066\\u2028\\u007f\\ttail"
BIDI = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def safe(said: str, *, but: str = "") -> bool:
    """By Unicode's own tables."""
    return all(
        (unicodedata.category(each) not in ("Cc", "Cs", "Zl", "Zp") and unicodedata.bidirectional(each) not in BIDI)
        or each in but
        for each in said
    )


@given(st.text(st.characters()))
def test_what_is_escaped_moves_nothing_and_stays_what_it_was(said: str) -> None:
    assert safe(foreign.line(said))
    assert safe(foreign.page(said), but="\n\t")
    assert foreign.line(foreign.line(said)) == foreign.line(said)
    assert foreign.page(said).count("\n") == said.count("\n")
    assert json.loads(foreign.line(json.dumps(said, ensure_ascii=False))) == said


def test_every_character_that_does_anything_is_escaped() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert safe(foreign.line(everything))
    left = set(everything) - set(foreign.line(everything))
    assert "\u061c" in left
    assert "\ufeff" in left
    assert foreign.line("Köln ≥ 10 µs, שלום, 東京 👩‍💻") == "Köln ≥ 10 µs, שלום, 東京 👩‍💻"
    assert foreign.line(EVIL) == ESCAPED


@given(st.text(st.characters()), st.integers(40, 2000))
def test_what_is_bounded_is_so_once(said: str, most: int) -> None:
    bounded = foreign.bounded(said * 50, most)
    assert len(bounded) <= most
    assert foreign.bounded(bounded, most) == bounded
    bounded.encode()


def test_what_was_cut_off_is_told() -> None:
    assert foreign.bounded("a" * 1024) == "a" * 1024
    bounded = foreign.bounded("a" * 322_000)
    kept = bounded.partition(" ... ")[0]
    assert bounded == f"{kept} ... ({322_000 - len(kept)} more characters)"
    assert len(kept) > 990
    assert len(bounded) <= 1024


KEPT: dict[str, Callable[[str], Any]] = {
    "event": lambda text: events.Event("WARNING", text, text, {"part": text}),
    "part": lambda text: observed.Part("etcd-a", reason=text, release=text),
    "trouble": lambda text: observed.Trouble(1.0, 1.0, (text, text)),
    "node": lambda text: states.NodeState(ready=False, reason=text, version=text, blocked=(text, text)),
    "drain": lambda text: states.Drain(states.DrainState.BLOCKED, (text,)),
    "api": lambda text: reports.ApiReport(reason=text),
    "applied": lambda text: state.Applied(reason=text),
    "system": lambda text: state.SystemState(reason=text),
    "notice": lambda text: outbox.Notice(reason="Denied", message=text, facts={"user": text}),
    "word": lambda text: words.PartReport(False, text),
    "observation": lambda text: seen.Observation(kind="units", id="a/b", generation=1, phase="failing", reason=text),
}


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("text", [HUGE, "\udcff" * 322_000, "\U0001f600" * 322_000])
def test_what_is_kept_is_bounded_however_it_is_made(name: str, text: str) -> None:
    kept = KEPT[name](text)
    written = msgspec.json.encode(kept)
    assert len(written) < 5 * foreign.MOST * 4
    assert msgspec.json.decode(written, type=type(kept)) == kept
    assert b"more characters" in written


def test_an_event_that_an_earlier_release_kept_whole_is_read_bounded() -> None:
    body = msgspec.json.encode({"severity": "NORMAL", "reason": "R", "message": HUGE, "facts": {"part": HUGE}})
    event = events.read(body)
    assert (len(event.message), len(event.facts["part"])) == (foreign.MOST, foreign.MOST)


def test_what_an_api_server_says_is_bounded() -> None:
    said = {"message": HUGE, "reason": HUGE, "details": {"causes": [{"message": HUGE}] * 9}}
    error = answers.error(409, json.dumps(said).encode(), "GET /x")
    assert max(map(len, (error.message, *error.facts.values()))) <= foreign.MOST


def event(message: str) -> dict[str, Any]:
    arn = "arn:aws:eks:eu-central-1:012345678901:cluster/dev"
    return {"resourceArn": arn, "severity": "WARNING", "reason": "Evil", "message": message}


def test_a_table_has_one_line_for_each_row() -> None:
    for table in (
        show.table({"NAME": ["a", EVIL], "TAGS": [EVIL, "b"]}),
        status.columns([("NAME", "REASON"), ("a", EVIL), (EVIL, "b")]) + "\n",
    ):
        assert safe(table, but="\n\t")
        assert len(table.splitlines()) == 3
        assert ESCAPED in table
    line = shown_events._line(("2026-11-01T12:00:00Z", "WARNING", "cluster/dev", "Evil", EVIL))
    assert safe(line)
    assert line.endswith(ESCAPED)
    assert safe(command.line(nodes.Loaded("node", "a.tar", (EVIL,), "failed", 1.0, EVIL)), but="\t")


def test_progress_and_the_picture_draw_nothing_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    show.Log(3, to_error=False).line(EVIL)
    assert safe(capsys.readouterr().out, but="\n")
    part = progress.ProgressPart("node-1", "FAILING", "r-a", "ng", EVIL)
    drawn = progress.nodes(
        progress.empty(*progress.CREATE), progress.ProgressSeen("ACTIVE", "", {"ng": "CREATING"}, [part]), 1.0
    )
    assert all(map(safe, picture.lines(drawn, 2.0, 200)))
    screen.LiveScreen(sys.stdout, live=False).line(EVIL)
    assert safe(capsys.readouterr().out, but="\n")


def test_an_error_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.err(main.rendered(errors.Failed(EVIL, output=EVIL), as_json=False))
    said = capsys.readouterr().err
    assert safe(said, but="\n\t")
    assert "\\u001b[2J" in said
    terminal.err(main.rendered(errors.Failed(EVIL, output=EVIL), as_json=True))
    assert json.loads(capsys.readouterr().err)["error"]["message"] == EVIL


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_documents_are_escaped_and_say_the_same_to_programs(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = [{"Message": EVIL, "Tags": {"a": "b\nc", "שלום": "\u202e", "plain": "x y"}}, {"Message": "line\nbreak"}]
    terminal.out(show.document(data, form), end="\n" if form == "json" else "")
    said = capsys.readouterr().out
    assert safe(said, but="\n")
    assert (json.loads(said) if form == "json" else yaml.YAML(typ="safe", pure=True).load(said)) == data


def test_logs_are_escaped_wherever_they_are_cut(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Kubelets repeat names of pods, etcd what it was sent."""
    log = b'I1101 kubelet: "pod \x1b[31m\xc2\x9b1m"\tK\xc3\xb6ln \x9b\xff\n{"msg":"\x1b]0;x\x07"}\r\n'
    wanted = 'I1101 kubelet: "pod \\u001b[31m\\u009b1m"\tKöln \\x9b\\xff\n{"msg":"\\u001b]0;x\\u0007"}\\r\n'
    for size in (1, 2, 3, 7, len(log)):
        terminal.copied(log[at : at + size] for at in range(0, len(log), size))
        assert capsys.readouterr().out == wanted
    (tmp_path / "current").write_bytes(log)
    logs._service(tmp_path, 10, follow=False)
    assert capsys.readouterr().out == wanted


def record(message: str, error: BaseException | None = None, **fields: object) -> logging.LogRecord:
    info = None if error is None else (type(error), error, None)
    made = logging.LogRecord("roadstead", logging.WARNING, "x.py", 1, "denied: %s", (message,), info)
    setattr(made, logs_module.FIELDS, fields)
    return made


def test_the_agents_log_has_a_line_for_each_record() -> None:
    lines = loglines.Lines("%(levelname)s %(message)s")
    assert lines.format(record(EVIL)) == f"WARNING denied: {ESCAPED}"
    assert len(lines.format(record(HUGE))) < loglines.LONGEST * 7
    traced = lines.format(record("x", ValueError(EVIL)))
    assert safe(traced, but="\n\t")
    assert "ValueError" in traced


def test_the_services_log_is_json_of_one_line() -> None:
    said = logs_module.Lines().format(
        record(EVIL, ValueError(EVIL), caller=EVIL, status=3, odd=Path(EVIL), lone="\udcff")
    )
    assert safe(said)
    told = json.loads(said)
    assert told["message"] == f"denied: {EVIL}"
    assert (told["caller"], told["status"], told["odd"], told["lone"]) == (EVIL, 3, EVIL, "?")
    assert len(logs_module.Lines().format(record(HUGE, ValueError(HUGE), caller=HUGE))) < 4 * 7 * loglines.LONGEST


def test_a_terminal_of_another_encoding_is_told_what_it_can_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        terminal.out("✔ Köln")
    assert (tmp_path / "out").read_bytes() == b"\\u2714 K\\xf6ln\n"
