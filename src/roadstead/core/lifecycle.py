"""Life cycles as tables: in which state which event leads to which state.

A table is data: `{"CREATING": {"ready": "ACTIVE", "failed": "FAILED"}, ...}`. It is checked when it is made, so that a
program with a wrong one does not start: every state is named once and can be reached, and from every state there is a
way to an end. `against` holds a table against the values that an API's model has for it.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from roadstead.core import errors


@dataclass(frozen=True)
class Lifecycle:
    """Raises Invalid, naming all that is wrong, for a table that does not hold together.

    states: all there are; initial: that of a new thing; terminal: those that nothing leads out of; transitions: for
    each state its events and where they lead (an event may lead back to its own state).
    """

    states: frozenset[str]
    initial: str
    terminal: frozenset[str]
    transitions: Mapping[str, Mapping[str, str]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "states", frozenset(self.states))
        object.__setattr__(self, "terminal", frozenset(self.terminal))
        frozen = {state: types.MappingProxyType(dict(events)) for state, events in self.transitions.items()}
        object.__setattr__(self, "transitions", types.MappingProxyType(frozen))
        _refuse("this life cycle", [*_unknown(self), *_unreachable(self), *_endless(self)])

    def after(self, state: str, event: str) -> str:
        """The state that an event leads to. Raises Conflict for an event that cannot be in that state."""
        events = self.events(state)
        if event not in events:
            can = ", ".join(sorted(events)) or "nothing any more"
            raise errors.Conflict(f"{event!r} cannot happen in state {state}: only {can}", state=state, event=event)
        return events[event]

    def can(self, state: str, event: str) -> bool:
        """Whether an event can happen in a state. Raises Invalid for a state that there is not."""
        return event in self.events(state)

    def events(self, state: str) -> Mapping[str, str]:
        """What can happen in a state, and where it leads. Raises Invalid for a state that there is not."""
        if state not in self.states:
            raise errors.Invalid(f"{state!r} is no state of this life cycle: {_listed(self.states)}", state=state)
        return self.transitions.get(state, types.MappingProxyType({}))

    def over(self, state: str) -> bool:
        """Whether nothing can happen in a state any more."""
        return not self.events(state)


def against(
    lifecycle: Lifecycle, model: Iterable[str], *, hidden: Collection[str] = (), unused: Collection[str] = ()
) -> None:
    """Hold a life cycle against the values of a model's enum. Raises Invalid, naming all that differs.

    hidden: states of ours that are never shown (a thing that is gone has no status); unused: values of the model that
    we never come to. Both must be true: what is hidden is not of the model, what is unused is not of ours.
    """
    values = frozenset(model)
    shown = lifecycle.states - frozenset(hidden)
    _refuse(
        "the life cycle differs from the model",
        [
            *_each("the model has no state {}", shown - values),
            *_each("the life cycle lacks the model's {}", values - shown - frozenset(unused)),
            *_each("{} is said to be hidden, but the model has it", frozenset(hidden) & values),
            *_each("{} is said to be hidden, but is no state", frozenset(hidden) - lifecycle.states),
            *_each("{} is said to be unused, but the life cycle has it", frozenset(unused) & lifecycle.states),
            *_each("{} is said to be unused, but the model lacks it", frozenset(unused) - values),
        ],
    )


def _unknown(table: Lifecycle) -> list[str]:
    targets = {to for events in table.transitions.values() for to in events.values()}
    return [
        *_each("the initial {} is no state", {table.initial} - table.states),
        *_each("the terminal {} is no state", table.terminal - table.states),
        *_each("transitions lead out of {}, which is no state", table.transitions.keys() - table.states),
        *_each("transitions lead to {}, which is no state", targets - table.states),
        *_each("the terminal {} has transitions", {end for end in table.terminal if table.transitions.get(end)}),
    ]


def _unreachable(table: Lifecycle) -> list[str]:
    forward = {state: set(events.values()) for state, events in table.transitions.items()}
    return _each("nothing leads to {}", table.states - _closure({table.initial}, forward))


def _endless(table: Lifecycle) -> list[str]:
    """States that can never come to an end: dead ends, and circles without a way out."""
    backward: dict[str, set[str]] = {}
    for state, events in table.transitions.items():
        for to in events.values():
            backward.setdefault(to, set()).add(state)
    return _each("{} has no way to a terminal state", table.states - _closure(table.terminal, backward))


def _closure(start: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    """All that can be reached from the start, itself included."""
    found = set(start)
    ahead = list(found)
    while ahead:
        for state in edges.get(ahead.pop(), set()) - found:
            found.add(state)
            ahead.append(state)
    return found


def _each(sentence: str, states: Iterable[str]) -> list[str]:
    return [sentence.format(state) for state in sorted(states)]


def _listed(states: Iterable[str]) -> str:
    return ", ".join(sorted(states))


def _refuse(what: str, troubles: list[str]) -> None:
    if troubles:
        raise errors.Invalid(f"{what}: {'; '.join(troubles)}", troubles=troubles)
