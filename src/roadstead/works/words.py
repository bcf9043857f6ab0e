"""What the embassy reports, in the words of the hands; and why it can report nothing, which is known before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from roadstead.clusters.hands import marks, shelf
from roadstead.clusters.hands import reports as hands
from roadstead.controllers import reports as embassy
from roadstead.core import errors
from roadstead.store import keys
from roadstead.works import postings


class Words:
    """See clusters.hands.reports.Reports. `trouble`: see works.postings.Postings."""

    def __init__(self, told: embassy.Reports, trouble: Callable[[str], errors.Error | None]) -> None:
        self._told = told
        self._trouble = trouble

    def access(self, cluster: keys.Key) -> hands.Word:
        state, trouble = self._told.system(cluster.text), self._trouble(cluster.text)
        if trouble is not None and not state.applied:
            return hands.Word(False, trouble.message, refused=isinstance(trouble, shelf.Unobtainable))
        return hands.Word(state.applied, state.reason or "the API server does not answer yet")

    def node(self, cluster: keys.Key, name: str, marked: marks.Marks) -> hands.Word:
        state = self._told.nodes(cluster.text).get(name)
        if state is None:
            return hands.Word(False, "kubelet has not joined yet")
        if state.ready and state.marks != postings.marks(marked):
            return hands.Word(False, "the labels and taints of its nodegroup are being set")
        return hands.Word(state.ready, state.reason)

    def drained(self, cluster: keys.Key, name: str) -> bool:
        """Also when something, as a budget, has held its pods for all the time that they are given.

        Not while the embassy has said nothing of it: it has just begun, and what runs there is not known.
        """
        state = self._told.nodes(cluster.text).get(name)
        return state is not None and state.drain in (embassy.Drain.DONE, embassy.Drain.BLOCKED)

    async def changes(self) -> AsyncIterator[keys.Key]:
        async for text in self._told.changes():
            yield keys.Key.parse(text)
