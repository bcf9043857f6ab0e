"""What is seen while it works: the picture fits the terminal, is redrawn in place, and is not there for programs."""

from __future__ import annotations

import io
import os

import pytest

from roadstead.cli.live import picture, progress, screen

PARTS = [
    *(progress.ProgressPart(f"etcd-{zone}", "READY", f"eu-central-1{zone}") for zone in "abc"),
    progress.ProgressPart("api-a", "READY", "eu-central-1a"),
    progress.ProgressPart("api-b", "MAKING", "eu-central-1b"),
    progress.ProgressPart("api-c", "FAILING", "eu-central-1c"),
]
NODES = [
    progress.ProgressPart(f"node-{n}", "READY" if n < 3 else "MAKING", f"r-{'abc'[n % 3]}", "ng") for n in range(1, 5)
]


def some() -> progress.CreationProgress:
    made = progress.empty(*progress.CREATE).begin("network", 0.0).end("network", 0.25, "6 subnets").end("roles", 0.5)
    return progress.creating(made, progress.ProgressSeen("CREATING", parts=PARTS), 1.0)


def test_a_scene_at_80_columns() -> None:
    assert picture.lines(some(), 3.0, 80) == [
        " ✔ network         0.2 s  6 subnets",
        " ✔ roles           0.0 s",
        " ⠋ control plane   2.0 s  a: etcd ✔ api ✔   b: etcd ✔ api ·   c: etcd ✔ api !",
        "   endpoint",
        "   access",
        "   nodes",
        "   kubeconfig",
    ]


def test_nodes_are_counted_by_zone() -> None:
    seen = progress.ProgressSeen("ACTIVE", "https://e", {"ng": "CREATING"}, [*PARTS, *NODES])
    shown = progress.creating(some(), seen, 5.0).having("nodes", wanted=4)
    assert picture.lines(shown, 6.0, 80)[5] == " ⠋ nodes           1.0 s  2 of 4 Ready   a: ·   b: ✔·   c: ✔"
    many = [progress.ProgressPart(f"node-{n}", "READY", f"r-{'abc'[n % 3]}", "ng") for n in range(300)]
    shown = progress.nodes(shown, progress.ProgressSeen("ACTIVE", "", {"ng": "ACTIVE"}, many), 7.0)
    assert picture.lines(shown, 8.0, 90)[5].endswith("300 of 300 Ready   a: 100/100   b: 100/100   c: 100/100")


def test_what_hinders_it_stands_beside_it_until_it_is_done() -> None:
    late = progress.ProgressPart("node-3", "MAKING", "r-a", "ng", "containerd is failed:\n no space left")
    seen = progress.ProgressSeen("ACTIVE", "https://e", {"ng": "CREATING"}, [*PARTS, *NODES[:2], late])
    shown = progress.creating(some(), seen, 5.0)
    assert picture.lines(shown, 6.0, 120)[5].endswith("node-3: containerd is failed: no space left")
    assert shown.hindrance == "node-3: containerd is failed: no space left"
    other = progress.ProgressPart("node-1", "MAKING", "r-a", "before", "of no concern")
    edge = progress.ProgressPart("edge", "MAKING", reason="proxy is starting")
    shown = progress.creating(some(), progress.ProgressSeen("CREATING", parts=[*PARTS, edge, other]), 5.0)
    assert picture.lines(shown, 6.0, 120)[3].endswith("edge: proxy is starting")
    shown = progress.creating(
        some(), progress.ProgressSeen("ACTIVE", "https://e", {"ng": "ACTIVE"}, [*PARTS, late]), 5.0
    )
    assert shown.hindrance == ""


def test_only_awaited_nodegroups_are_counted() -> None:
    others = [progress.ProgressPart("node-1", "READY", "r-a", "before")]
    shown = progress.nodes(
        progress.empty("nodes"), progress.ProgressSeen("ACTIVE", "", {"ng": "CREATING"}, [*NODES, *others]), 0.0
    )
    assert len(shown.phase("nodes").parts) == 4


def test_an_active_cluster_has_an_endpoint_and_access_and_a_deleted_one_nothing() -> None:
    shown = progress.creating(some(), progress.ProgressSeen("ACTIVE", "https://e"), 4.0)
    assert [shown.phase(name).state for name in ("control plane", "endpoint", "access")] == ["done"] * 3
    assert shown.phase("nodes").state == "waiting"
    gone = progress.deleting(progress.empty(*progress.DELETE), progress.ProgressSeen(), 1.0)
    assert [gone.phase(name).state for name in ("nodes", "control plane", "network")] == ["done", "done", "waiting"]


@pytest.mark.parametrize("width", [1, 2, 20, 40, 79, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    shown = progress.creating(
        some(), progress.ProgressSeen("ACTIVE", f"https://{'x' * 100}", {"ng": "CREATING"}, [*PARTS, *NODES]), 2.0
    )
    assert all(len(line) <= width for line in picture.lines(shown, 3.0, width))


def test_times_are_read_easily() -> None:
    assert [picture.duration(each) for each in (0.04, 12.34, 99.9, 125)] == ["0.0 s", "12.3 s", "99.9 s", "2:05"]


class Terminal:
    """As much of a terminal as the screen needs: columns, rows and what stands in them."""

    def __init__(self, columns: int, rows: int) -> None:
        self.size = os.terminal_size((columns, rows))
        self.lines: list[str] = [""]
        self.row = 0
        self.stream = io.StringIO()
        self.writes = 0

    def write(self, text: str) -> None:
        self.writes += 1
        while text:
            if text.startswith("\x1b["):
                end = next(index for index in range(2, len(text)) if text[index].isalpha())
                self._control(text[2:end], text[end])
                text = text[end + 1 :]
                continue
            self._character(text[0])
            text = text[1:]

    def _character(self, one: str) -> None:
        match one:
            case "\r":
                self.column = 0
            case "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [""] * (self.row + 1 - len(self.lines))
            case _:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + one + line[self.column + 1 :]
                self.column += 1

    column = 0

    def _control(self, number: str, what: str) -> None:
        match what:
            case "A":
                self.row -= int(number)
                assert self.row >= 0
            case "K":
                self.lines[self.row] = self.lines[self.row][: self.column]
            case "J":
                self.lines[self.row] = self.lines[self.row][: self.column]
                del self.lines[self.row + 1 :]

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True


def test_the_picture_stays_below_the_lines_and_is_drawn_in_one_write() -> None:
    terminal = Terminal(80, 24)
    with screen.LiveScreen(terminal, live=True, size=lambda: terminal.size) as shown:
        shown.line("first")
        shown.draw(some(), 3.0)
        shown.line("second")
        before = terminal.writes
        shown.draw(some().end("endpoint", 4.0, "there"), 4.0)
        assert terminal.writes == before + 1
    shown.line("last")
    said = [line.rstrip() for line in terminal.lines]
    assert said[:2] == ["first", "second"]
    assert said[2].startswith(" ✔ network")
    assert said[5] == " ✔ endpoint        0.0 s  there"
    assert said[9] == "last"


def test_what_has_no_room_is_left_out_above() -> None:
    terminal = Terminal(80, 4)
    shown = screen.LiveScreen(terminal, live=True, size=lambda: terminal.size)
    shown.draw(some(), 3.0)
    shown.draw(some(), 4.0)
    assert [line.strip() for line in terminal.lines] == ["access", "nodes", "kubeconfig", ""]


@pytest.mark.parametrize(
    ("environment", "tty", "wanted"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "CI": "true"}, True, False),
    ],
)
def test_programs_see_no_picture(environment: dict[str, str], tty: bool, wanted: bool) -> None:
    terminal = Terminal(80, 24)
    terminal.isatty = lambda: tty  # type: ignore[method-assign]
    assert screen.wanted(terminal, environment) is wanted
    shown = screen.LiveScreen(terminal, live=False)
    shown.draw(some(), 1.0)
    assert terminal.writes == 0
