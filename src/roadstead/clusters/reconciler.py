"""The reconciler at work: one loop that sees, plans and applies, for each cluster and nodegroup by itself.

It is woken by desired states in the store and by the agent, and writes observations, the ends of updates, events, and
that a resource is gone. It may be cut off anywhere: everything is found again in the store and at the agent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

from roadstead.clusters import events, lifecycles, nodegroups, observed, plan, resources, updates
from roadstead.clusters import provider as providers
from roadstead.contract import leaving
from roadstead.core import clock as clocks
from roadstead.core.loops import reconciler
from roadstead.store import following, interface, keys, writes

log = logging.getLogger(__name__)

_REMEMBERED = 2000
"""Steps of one resource of which is known that they were told of in its events."""


@dataclass(frozen=True)
class ReconcilerTools:
    """What the reconciler works with. `now`: seconds since 1970; `clock`: what it waits by."""

    store: interface.Store
    agent: providers.Provider
    now: Callable[[], float]
    clock: clocks.Clock


class ClusterReconciler:
    """`run` until cancelled."""

    def __init__(self, tools: ReconcilerTools) -> None:
        self._tools = tools
        self._said: dict[keys.Key, set[plan.Step]] = {}
        self._reconciler: reconciler.Reconciler[keys.Key] = reconciler.Reconciler(
            self.work,
            (
                following.resources(tools.store, resources.KINDS),
                reconciler.told(tools.agent.changes, lambda key: (key,)),
            ),
            log=log,
            clock=tools.clock,
        )

    async def run(self) -> None:
        await self._reconciler.run()

    async def work(self, key: keys.Key) -> float | None:
        """See, plan, apply: for one resource, once. Seconds until to look again."""
        state = await self._tools.store.get(key)
        if state is None:
            self._reconciler.forget(key)
            self._said.pop(key, None)
            return None
        resource = resources.of(state.desired)
        before = observed.read(state.observation.body) if state.observation else None
        projection = await self._tools.agent.see(key)
        moment = self._tools.now()
        projection = observed.lasting(before, projection, moment)
        situation = resources.situation(resource, before, projection)
        steps, again = plan.plan(situation)
        turns = [step for step in steps if isinstance(step, plan.Turn)]
        await self._keep(resource, before, _seen(before, situation.status, projection), turns[0] if turns else None)
        await self._say(resource, steps, projection)
        await self._apply(resource, steps)
        if any(turn.event == "gone" for turn in turns):
            self._said.pop(key, None)
        return min(
            (each for each in (again, observed.look_again(projection.parts.values(), moment)) if each), default=None
        )

    async def _say(
        self, resource: resources.ManagedResource, steps: tuple[plan.Step, ...], projection: observed.Projection
    ) -> None:
        """Each decision with its reason, once, however often it is taken again.

        What is told of a newer generation and goes on as it is (tags have changed) is no news.
        """
        said = self._said.setdefault(resource.key, set())
        there = {name for name, part in projection.parts.items() if part.phase is not observed.Phase.ABSENT}
        fresh = [
            step
            for step in steps
            if step not in said
            and not isinstance(step, plan.Turn)
            and not (isinstance(step, plan.Tell) and step.part in there)
        ]
        if len(said) > _REMEMBERED:
            said.clear()
        said.update(fresh)
        told = [
            event
            for kind, word in ((plan.Tell, "Making"), (plan.Replace, "Replacing"), (plan.Remove, "Removing"))
            for event in events.of_steps(word, {step.part: step.reason for step in fresh if isinstance(step, kind)})
        ]
        if told:
            now = self._tools.now()
            await self._tools.store.commit(*(events.append(resource.key, event, now) for event in told))

    async def _apply(self, resource: resources.ManagedResource, steps: tuple[plan.Step, ...]) -> None:
        """What is told is told at once, and what is removed is removed at once: parts are made side by side."""
        agent = self._tools.agent
        told: dict[str, providers.PartSpec] = {}
        removed: list[str] = []
        replaced: list[plan.Replace] = []
        for step in steps:
            match step:
                case plan.Tell():
                    told[step.part] = step.wanted
                case plan.Remove():
                    removed.append(step.part)
                case plan.Replace():
                    replaced.append(step)
                case plan.Turn():
                    # Kept with the observation, in one transaction.
                    pass
                case _:
                    assert_never(step)
        if told:
            await agent.tell(resource.key, resource.generation, told)
        if removed:
            await agent.remove(resource.key, resource.generation, removed, await self._leave(resource.key))
        for step in replaced:
            await agent.replace(resource.key, step.part, step.generation, step.incarnation, step.wanted)

    async def _leave(self, key: keys.Key) -> leaving.Leave:
        """What becomes of the pods on what is removed. Nobody's pods are on a control plane."""
        if key.kind != nodegroups.KIND:
            return leaving.Leave.DROPPED
        of_cluster = keys.Prefix(key.account, key.region, nodegroups.KIND, key.names[0])
        groups = {
            state.key: nodegroups.read(state.desired.body)
            for state in (await interface.everything(self._tools.store, of_cluster)).items
        }
        # Gone meanwhile: then nothing that is done for it matters any more.
        return nodegroups.leave(groups[key], groups.values()) if key in groups else leaving.Leave.DROPPED

    async def _keep(
        self,
        resource: resources.ManagedResource,
        before: observed.Observed | None,
        seen: observed.Observed,
        turn: plan.Turn | None,
    ) -> None:
        """Write what was seen, and what it means for the life of the resource: one transaction."""
        store, now = self._tools.store, self._tools.now()
        moved = (*events.of_parts(before.parts if before else (), seen.parts), *events.of_warnings(before, seen))
        news = tuple(events.append(resource.key, event, now) for event in moved)
        if turn is None:
            await store.commit(writes.Observe(resource.key, observed.written(seen), resource.generation), *news)
            return
        status = resource.life.after(seen.status, turn.event)
        told = events.append(resource.key, events.of_turn(resource.key, seen.status, status, turn.reason), now)
        if status == lifecycles.GONE:
            await store.commit(writes.Delete(resource.key, writes.At(resource.generation)), *news, told)
            return
        settles = turn.event in lifecycles.UPDATE.events(lifecycles.UPDATE.initial)
        ends = (
            (
                updates.UPDATES.ended(
                    resource.key, resource.update, turn.event, turn.reason if turn.event == "failed" else "", now
                ),
            )
            if settles and resource.update is not None and resource.update != seen.settled
            else ()
        )
        after = replace(
            seen,
            status=status,
            settled=resource.update if settles else seen.settled,
            release=resource.release if turn.event == "ready" else seen.release,
        )
        await store.commit(
            writes.Observe(resource.key, observed.written(after), resource.generation), *news, told, *ends
        )


def _seen(before: observed.Observed | None, status: str, projection: observed.Projection) -> observed.Observed:
    """What is kept of a look. A cluster keeps its endpoint and authority once they are known."""
    kept = before or observed.Observed(status)
    there = tuple(part for _, part in sorted(projection.parts.items()) if part.phase is not observed.Phase.ABSENT)
    return replace(
        kept,
        status=status,
        parts=there,
        endpoint=projection.endpoint or kept.endpoint,
        authority=projection.authority or kept.authority,
        warnings=projection.warnings,
    )
