"""A progress as lines of text that fit a terminal. Pure. No colours: marks alone tell, so that it reads everywhere."""

from __future__ import annotations

from collections.abc import Iterable

from roadstead.cli.live import progress
from roadstead.core import foreign

_MARKS = {"waiting": " ", "done": "✔", "failed": "✖"}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURNS = 10.0
"""Of the spinner, per second."""
_PARTS = {"READY": "✔", "MAKING": "·", "FAILING": "!", "REFUSED": "✖"}
_NAME = 13
_TIME = 7


def lines(shown: progress.CreationProgress, now: float, width: int) -> list[str]:
    """One line for each phase, none wider than `width`; what hinders it below."""
    made = [_phase(each, now, width) for each in shown.phases]
    if shown.note:
        made.append(f" ! {shown.note}")
    return [cut(foreign.line(line.rstrip()), width) for line in made]


def cut(line: str, width: int) -> str:
    """All characters that are used here are one cell wide."""
    return line if len(line) <= width else line[: max(width - 1, 0)] + "…"


def _phase(phase: progress.ProgressPhase, now: float, width: int) -> str:
    spent = phase.seconds(now)
    mark = _MARKS.get(phase.state) or _SPINNER[int(now * _TURNS) % len(_SPINNER)]
    took = "" if spent is None else duration(spent)
    head = f" {mark} {phase.name:<{_NAME}} {took:>{_TIME}}  "
    said = members(phase.parts) if phase.name == "control plane" else ""
    if phase.name == "nodes":
        said = nodes(phase, width - len(head))
    return head + "  ".join(text for text in (said, phase.said, phase.hindrance) if text)


def duration(seconds: float) -> str:
    """`0.2 s`, `12.3 s`, `2:05`."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def members(parts: Iterable[progress.ProgressPart]) -> str:
    """By zone: `a etcd ✔ api ·`."""
    zones: dict[str, list[str]] = {}
    for part in parts:
        kind, _, zone = part.name.rpartition("-")
        zones.setdefault(zone, []).append(f"{kind} {_PARTS.get(part.state, '?')}")
    return "   ".join(f"{zone}: {' '.join(sorted(each, reverse=True))}" for zone, each in sorted(zones.items()))


def nodes(phase: progress.ProgressPhase, room: int) -> str:
    """`3 of 4 Ready   a: ✔✔  b: ✔  c: ·`; a number for each zone where marks have no room."""
    ready = sum(each.ready for each in phase.parts)
    wanted = max(phase.wanted, len(phase.parts))
    if not wanted and not phase.parts:
        return ""
    counted = f"{ready} of {wanted} Ready"
    zones: dict[str, list[progress.ProgressPart]] = {}
    for part in phase.parts:
        zones.setdefault(part.zone[-1:], []).append(part)
    marks = [f"{zone}: {''.join(_PARTS.get(one.state, '?') for one in each)}" for zone, each in sorted(zones.items())]
    whole = "   ".join((counted, *marks))
    if len(whole) <= room:
        return whole
    numbers = [f"{zone}: {sum(one.ready for one in each)}/{len(each)}" for zone, each in sorted(zones.items())]
    return "   ".join((counted, *numbers))
