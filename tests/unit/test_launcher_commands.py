"""The table of commands, how errors are shown, and on whose behalf root acts."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import click
import pytest

from roadstead.core import errors
from roadstead.machine import caller, main


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_of_the_table_is_there(name: str) -> None:
    command = main.load(main.COMMANDS[name])
    assert command.name == name
    assert command.help


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    listed = capsys.readouterr().out
    for name, entry in main.COMMANDS.items():
        assert f"  {name} " in listed
        assert entry.help in listed


def test_a_wrong_command_is_a_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["strat"]) == 2
    assert "No such command 'strat'" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_for_roadstead(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["completion", shell]) == 0
    assert "_ROADSTEAD_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["status", "-o", "json"], True),
        (["status", "--output", "json"], True),
        (["status", "--output=json"], True),
        (["status", "-ojson"], True),
        (["status", "-o", "table"], False),
        (["shell", "node-1", "--", "kubectl", "-o", "json"], False),
        (["json"], False),
    ],
)
def test_errors_are_json_where_json_was_asked_for(arguments: list[str], wanted: bool) -> None:
    assert main.wants_json(arguments) is wanted


def test_an_error_is_one_sentence_and_what_the_failed_command_said() -> None:
    assert main.rendered(errors.NotFound("no host x", host="x"), as_json=False) == "Error: no host x"
    failed = errors.Failed("it failed", command="false", output="\n".join(f"line {n}" for n in range(30)))
    lines = main.rendered(failed, as_json=False).splitlines()
    assert lines[0] == "Error: it failed"
    assert lines[1:] == [f"  line {n}" for n in range(10, 30)]


def test_an_error_as_json_has_all_its_facts() -> None:
    shown = json.loads(main.rendered(errors.NotFound("no host x", host="x"), as_json=True))
    assert shown == {"error": {"code": "NotFound", "message": "no host x", "facts": {"host": "x"}}}


def test_an_error_ends_with_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def broken() -> None:
        raise errors.Busy("not now")

    monkeypatch.setattr(main.cli, "get_command", lambda *_: broken)
    assert main.run(["doctor"]) == 1
    assert capsys.readouterr().err == "Error: not now\n"


def _entry(uid: int, home: str) -> pwd.struct_passwd:
    return pwd.struct_passwd(("ann", "x", uid, uid, "", home, "/bin/sh"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is told on whose behalf it acts")
@pytest.mark.parametrize(
    ("environment", "found"),
    [
        (
            {"ROADSTEAD_USER_UID": "1000", "ROADSTEAD_USER_GID": "1001", "ROADSTEAD_USER_HOME": "/home/ann"},
            caller.CallingUser(1000, 1001, Path("/home/ann")),
        ),
        ({"SUDO_UID": "1000", "SUDO_GID": "1000", "HOME": "/root"}, caller.CallingUser(1000, 1000, Path("/users/ann"))),
        ({"ROADSTEAD_USER_UID": "../x", "HOME": "/root"}, caller.CallingUser(0, os.getegid(), Path("/root"))),
        ({"HOME": "relative"}, caller.CallingUser(0, os.getegid(), Path("/"))),
    ],
)
def test_root_acts_for_who_asked(environment: dict[str, str], found: caller.CallingUser) -> None:
    assert caller.caller(environment, {1000: _entry(1000, "/users/ann")}) == found
