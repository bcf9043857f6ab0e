"""Life cycles: tables that hold together are taken, others refused with all that is wrong with them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import hypothesis
import pytest
from hypothesis import strategies

from roadstead.core import errors, lifecycle

TRANSITIONS = {
    "CREATING": {"ready": "ACTIVE", "failed": "FAILED", "delete": "DELETING"},
    "ACTIVE": {"change": "UPDATING", "delete": "DELETING"},
    "UPDATING": {"progress": "UPDATING", "done": "ACTIVE", "delete": "DELETING"},
    "FAILED": {"delete": "DELETING"},
    "DELETING": {"gone": "GONE"},
}
STATES = frozenset({*TRANSITIONS, "GONE"})


def table(
    states: frozenset[str] = STATES,
    initial: str = "CREATING",
    terminal: frozenset[str] = frozenset({"GONE"}),
    **changed: Mapping[str, str],
) -> lifecycle.Lifecycle:
    return lifecycle.Lifecycle(states, initial, terminal, {**TRANSITIONS, **changed})


def test_events_lead_from_state_to_state() -> None:
    cluster = table()
    assert cluster.after("CREATING", "ready") == "ACTIVE"
    assert cluster.after("UPDATING", "progress") == "UPDATING"
    assert cluster.can("ACTIVE", "change")
    assert not cluster.can("DELETING", "change")
    assert dict(cluster.events("FAILED")) == {"delete": "DELETING"}
    assert [state for state in sorted(STATES) if cluster.over(state)] == ["GONE"]


def test_an_event_that_cannot_happen_is_a_conflict_and_says_what_can() -> None:
    with pytest.raises(errors.Conflict, match="'ready' cannot happen in state ACTIVE: only change, delete"):
        table().after("ACTIVE", "ready")
    with pytest.raises(errors.Conflict, match="nothing any more"):
        table().after("GONE", "ready")
    with pytest.raises(errors.Invalid, match="'ASLEEP' is no state"):
        table().after("ASLEEP", "ready")


def test_a_table_cannot_be_changed_from_outside() -> None:
    mine = {"A": {"end": "Z"}}
    made = lifecycle.Lifecycle(frozenset("AZ"), "A", frozenset("Z"), mine)
    mine["A"]["end"] = "A"
    assert made.after("A", "end") == "Z"
    with pytest.raises(TypeError):
        made.transitions["A"]["end"] = "A"  # type: ignore[index]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: table(initial="NEW"), "the initial NEW is no state"),
        (lambda: table(terminal=frozenset({"GONE", "LOST"})), "the terminal LOST is no state"),
        (lambda: table(NEW={"x": "GONE"}), "transitions lead out of NEW, which is no state"),
        (lambda: table(FAILED={"mend": "MENDED", "delete": "DELETING"}), "lead to MENDED, which is no state"),
        (lambda: table(GONE={"again": "CREATING"}), "the terminal GONE has transitions"),
        (lambda: table(states=STATES | {"PENDING"}, PENDING={"go": "CREATING"}), "nothing leads to PENDING"),
        (lambda: table(FAILED={}), "FAILED has no way to a terminal state"),
        (lambda: table(DELETING={"again": "DELETING"}), "DELETING has no way to a terminal state"),
        (lambda: table(terminal=frozenset()), "ACTIVE has no way to a terminal state"),
    ],
)
def test_a_table_that_does_not_hold_together_is_refused(wrong: object, said: str) -> None:
    assert callable(wrong)
    with pytest.raises(errors.Invalid) as caught:
        wrong()
    assert said in str(caught.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(errors.Invalid) as caught:
        table(initial="NEW", FAILED={})
    assert "the initial NEW is no state" in str(caught.value)
    assert "FAILED has no way to a terminal state" in str(caught.value)


STATE = strategies.sampled_from("ABCDE")


@hypothesis.given(
    strategies.dictionaries(STATE, strategies.dictionaries(strategies.sampled_from("xyz"), STATE, max_size=3)),
    STATE,
    strategies.frozensets(STATE, max_size=2),
)
def test_in_every_table_that_is_taken_every_state_is_on_a_way_from_the_start_to_an_end(
    transitions: dict[str, dict[str, str]], initial: str, terminal: frozenset[str]
) -> None:
    states = frozenset(transitions) | {to for events in transitions.values() for to in events.values()}
    try:
        made = lifecycle.Lifecycle(states | {initial}, initial, terminal, transitions)
    except errors.Invalid:
        # Refused for a reason: then some state is on no such way, or an end is not one.
        assert not _sound(states | {initial}, initial, terminal, transitions)
        return
    assert _sound(made.states, made.initial, made.terminal, transitions)


def _sound(
    states: frozenset[str], initial: str, terminal: frozenset[str], transitions: Mapping[str, Mapping[str, str]]
) -> bool:
    """The same said another way: by paths, walked one at a time."""

    def walk(state: str, seen: frozenset[str]) -> set[str]:
        ahead = {to for to in transitions.get(state, {}).values() if to not in seen}
        return {state}.union(*(walk(to, seen | {to}) for to in ahead))

    reached = {state: walk(state, frozenset({state})) for state in states}
    return (
        terminal <= states
        and reached[initial] == states
        and all(reached[state] & terminal for state in states)
        and not any(transitions.get(end) for end in terminal)
    )


class TestAgainstAModel:
    MODEL = ("CREATING", "ACTIVE", "UPDATING", "FAILED", "DELETING", "PENDING")

    def test_what_agrees_is_taken(self) -> None:
        lifecycle.against(table(), self.MODEL, hidden={"GONE"}, unused={"PENDING"})

    def test_eks_s_own_model(self) -> None:
        # By its name, as botocore has no types.
        model = importlib.import_module("botocore.loaders").Loader().load_service_model("eks", "service-2")
        lifecycle.against(table(), model["shapes"]["ClusterStatus"]["enum"], hidden={"GONE"}, unused={"PENDING"})

    @pytest.mark.parametrize(
        ("hidden", "unused", "said"),
        [
            ((), {"PENDING"}, "the model has no state GONE"),
            ({"GONE"}, (), "the life cycle lacks the model's PENDING"),
            ({"GONE", "ACTIVE"}, {"PENDING"}, "ACTIVE is said to be hidden, but the model has it"),
            ({"GONE", "LOST"}, {"PENDING"}, "LOST is said to be hidden, but is no state"),
            ({"GONE"}, {"PENDING", "ACTIVE"}, "ACTIVE is said to be unused, but the life cycle has it"),
            ({"GONE"}, {"PENDING", "NEVER"}, "NEVER is said to be unused, but the model lacks it"),
        ],
    )
    def test_what_differs_is_refused(self, hidden: set[str], unused: set[str], said: str) -> None:
        with pytest.raises(errors.Invalid) as caught:
            lifecycle.against(table(), self.MODEL, hidden=hidden, unused=unused)
        assert said in str(caught.value)
