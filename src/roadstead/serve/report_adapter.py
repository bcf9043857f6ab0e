"""What the controllers report, in the provider's terms; and why it can report nothing, which is known before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from roadstead.controllers.nodes import states
from roadstead.controllers.runtime import reports as controller_reports
from roadstead.controllers.system import state as system_state
from roadstead.core import errors
from roadstead.provider import engine_supply, node_metadata
from roadstead.provider import reports as provider_reports
from roadstead.serve import targets
from roadstead.store import keys


class ReportAdapter:
    """See provider.reports.ClusterReports. `trouble`: see serve.targets.StoreTargets."""

    def __init__(self, told: controller_reports.Reports, trouble: Callable[[str], errors.Error | None]) -> None:
        self._told = told
        self._trouble = trouble

    def access(self, cluster: keys.Key) -> provider_reports.PartReport:
        state, trouble = system_state.of(self._told, cluster.text), self._trouble(cluster.text)
        if trouble is not None and not state.applied:
            return provider_reports.PartReport(
                False, trouble.message, refused=isinstance(trouble, engine_supply.Unobtainable)
            )
        return provider_reports.PartReport(state.applied, state.reason or "the API server does not answer yet")

    def node(self, cluster: keys.Key, name: str, marked: node_metadata.NodeMetadata) -> provider_reports.PartReport:
        state = states.of(self._told, cluster.text, name)
        if state is None:
            return provider_reports.PartReport(False, "kubelet has not joined yet")
        if state.ready and state.marks != targets.marks(marked):
            return provider_reports.PartReport(False, "the labels and taints of its nodegroup are being set")
        return provider_reports.PartReport(state.ready, state.reason)

    def drained(self, cluster: keys.Key, name: str) -> bool:
        """Also when something, as a budget, has held its pods for all the time that they are given.

        Not while the controllers have said nothing of it: it has just begun, and what runs there is not known.
        """
        state = states.of(self._told, cluster.text, name)
        return state is not None and state.drain in (states.DrainState.DONE, states.DrainState.BLOCKED)

    async def changes(self) -> AsyncIterator[keys.Key]:
        async for text in self._told.changes():
            yield keys.Key.parse(text)
