"""What a running process must get for a changed definition."""

from __future__ import annotations

import pytest

from roadstead.agent.units import change
from roadstead.contract.messages import desired


def unit(**more: object) -> desired.Unit:
    return desired.Unit(engine="e", component="c", **more)  # type: ignore[arg-type]


def files(**contents: tuple[str, str]) -> dict[str, desired.UnitFile]:
    return {
        name: desired.UnitFile(content=content, on_change=on_change)  # type: ignore[arg-type]
        for name, (content, on_change) in contents.items()
    }


def between(old: desired.Unit, new: desired.Unit) -> change.Change:
    return change.compare(change.essence("u", old), change.essence("u", new))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (unit(), unit(), change.Change("nothing")),
        (
            unit(flags={"a": "1", "long": "x"}),
            unit(flags={"a": "1", "long": "y"}),
            change.Change("restart", "its command line changed (--long)"),
        ),
        (
            unit(flags={"long": ("x", "y")}),
            unit(flags={"long": ("y", "x")}),
            change.Change("restart", "its command line changed (order)"),
        ),
        (
            unit(environment={"A": "1", "B": "1"}),
            unit(environment={"A": "1", "B": "2"}),
            change.Change("restart", "its environment changed (B)"),
        ),
        (
            unit(files={"a": desired.UnitFile(content="A=1")}),
            unit(files={"a": desired.UnitFile(content="A=1")}, environment_file="a"),
            change.Change("restart", "the file of its environment is another one"),
        ),
        (
            unit(),
            unit(ready=desired.NotifyProbe()),
            change.Change("restart", "its notification descriptor changed"),
        ),
        (unit(), unit(ready=desired.TcpProbe(port=1)), change.Change("nothing")),
        (unit(), unit(stop_signal="INT", stop_timeout=1.0, reload_signal="USR1"), change.Change("nothing")),
        (unit(), unit(run=False, group="g", folders=("data",)), change.Change("nothing")),
        (
            unit(files=files(a=("1", "signal"), b=("1", "nothing"))),
            unit(files=files(a=("2", "signal"), b=("2", "nothing"))),
            change.Change("signal", "its file a changed"),
        ),
        (
            unit(files=files(a=("1", "signal"), b=("1", "restart"), c=("1", "restart"))),
            unit(files=files(a=("2", "signal"), b=("2", "restart"), d=("1", "restart"))),
            change.Change("restart", "its file b changed; its file c was taken away; its file d was added"),
        ),
        (
            unit(files=files(a=("1", "signal"))),
            unit(files=files(a=("1", "restart"))),
            change.Change("nothing"),
        ),
        (
            unit(files={"a": desired.UnitFile(content="x")}),
            unit(files={"a": desired.UnitFile(blob=change.digest(b"x"))}),
            change.Change("nothing"),
        ),
        (
            unit(files={"a": desired.UnitFile(content="x")}),
            unit(files={"a": desired.UnitFile(blob=change.digest(b"x"), secret=True)}),
            change.Change("restart", "its file a changed"),
        ),
    ],
)
def test_the_strongest_difference_decides(old: desired.Unit, new: desired.Unit, expected: change.Change) -> None:
    assert between(old, new) == expected


def test_an_essence_is_read_back_and_another_form_is_not_known() -> None:
    one = change.essence("u", unit(flags={"a": "1"}, files=files(a=("1", "signal"))))
    assert change.decode(change.encode(one)) == one
    assert b"sha256:" in change.encode(one)
    for raw in (None, b"", b"{}", b'{"command": 3}'):
        assert change.decode(raw) is None
    assert change.compare(None, one) == change.Change("restart", "what it was started from is not known")
