"""Looks at each cluster at the start, when it changes, and on each day; tells what is due, and begins the update.

What it begins is an update as any other: whoever follows the cluster sees it, and the reconciler of clusters does it.
It may be cut off anywhere: what it did is in the store, each step one transaction.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from roadstead.clusters import events, reconciler, spec, updates, versions, views
from roadstead.clusters.end_of_support import notices, policy
from roadstead.core import errors, ids
from roadstead.core.loops import reconciler as loops
from roadstead.store import facts, following, interface, keys, writes

log = logging.getLogger(__name__)

_ENGINE_AGAIN = 60.0
"""Seconds until it is asked again for an engine that is being got or built, which takes minutes."""
_PATIENCE = 3600.0
"""Seconds for which one update keeps those of other clusters waiting: as long as it goes on, and no longer."""
_CHANGES = frozenset({facts.ChangedPart.DESIRED, facts.ChangedPart.OBSERVED})


class EndOfSupport:
    """`run` until cancelled. tools: as the reconciler of clusters has them."""

    def __init__(self, tools: reconciler.ReconcilerTools) -> None:
        self._tools = tools
        self._waiting: dict[keys.Key, set[keys.Key]] = {}
        """Who waits for the end of whose update."""
        self._reconciler: loops.Reconciler[keys.Key] = loops.Reconciler(
            self.work,
            (following.resources(tools.store, (spec.KIND,), _CHANGES),),
            log=log,
            named="the end of support of {}".format,
            clock=tools.clock,
            # Who is to begin an update looks first whether another goes on.
            at_once=1,
        )

    async def run(self) -> None:
        await self._reconciler.run()

    async def work(self, key: keys.Key) -> float | None:
        """What is due of one cluster now. Seconds until to look again; None: when it changes."""
        state = await self._tools.store.get(key)
        if state is None:
            self._reconciler.forget(key)
            self._over(key)
            return None
        wanted, seen = spec.read(state.desired.body), views.seen(state)
        status = views.cluster_status(wanted, seen)
        if status == "UPDATING":
            return None
        self._over(key)
        if status != "ACTIVE":
            return None
        told = await self._ended(state, await notices.told(self._tools.store, state))
        deadline = policy.deadline(views.version_shown(wanted.version, seen), wanted.support)
        now = self._tools.now()
        if policy.day_of(now) < deadline.day:
            await self._announce(key, deadline, told, now)
            return policy.look_again(deadline, now)
        return await self._due(state, deadline, told, now)

    async def _announce(self, key: keys.Key, deadline: policy.Deadline, told: notices.Told, now: float) -> None:
        today = policy.day_of(now)
        made = {notice.ahead for notice, _ in told.of(deadline, "announced")}
        ahead = policy.announcement(deadline, today, made)
        if ahead is not None:
            event = notices.announcement(deadline, (deadline.day - today).days)
            await self._tell(key, notices.of("announced", deadline, ahead=ahead), event)

    async def _ended(self, state: facts.State, told: notices.Told) -> notices.Told:
        """Tells how the update has ended that was begun; all that was told by then."""
        if told.begun is None:
            return told
        begun, _ = told.begun
        records = await self._tools.store.records(updates.UPDATES.key(state.key, begun.update))
        for update in updates.UPDATES.folded(records, since=state.desired.created):
            if update.status == "Successful":
                await self._tell(state.key, replace(begun, what="done"), notices.ending(begun.deadline))
            elif updates.UPDATES.life.over(update.status):
                await self._failed(state.key, begun.deadline, told, update.problem, begun.update)
        return await notices.told(self._tools.store, state)

    async def _failed(
        self, key: keys.Key, deadline: policy.Deadline, told: notices.Told, problem: str, update: str = ""
    ) -> float:
        """Tells that the update failed, or could not be begun. Seconds until it is tried again."""
        again = policy.RETRIES.delay(len(told.of(deadline, "failed")) + 1)
        notice = notices.of("failed", deadline, update=update)
        await self._tell(key, notice, notices.failing(deadline, problem, again))
        return again

    async def _due(self, state: facts.State, deadline: policy.Deadline, told: notices.Told, now: float) -> float | None:
        """The end has come. Begins the update, unless something is in its way."""
        if deadline.next is None:
            if not told.of(deadline, "stays"):
                await self._tell(state.key, notices.of("stays", deadline), notices.staying(deadline))
            return None
        failures = told.of(deadline, "failed")
        if failures and now < (then := failures[-1][1] + policy.RETRIES.delay(len(failures))):
            return then - now
        other = await self._other(state.key, now)
        if other is not None:
            self._waiting.setdefault(other[0], set()).add(state.key)
            return other[1]
        try:
            await self._tools.agent.prepare(deadline.next.patch)
        except errors.Busy as error:
            log.info("%s is to be updated to %s: %s", state.key, deadline.next.minor, error)
            return _ENGINE_AGAIN
        except errors.Error as error:
            return await self._failed(state.key, deadline, told, error.message)
        await self._begin(state, deadline, deadline.next)
        return None

    async def _begin(self, state: facts.State, deadline: policy.Deadline, to: versions.Version) -> None:
        now = self._tools.now()
        update = updates.of_version(_id(state), to, now)
        body = spec.written(replace(spec.read(state.desired.body), version=to.minor, update=update.id))
        told = notices.telling(
            state.key, notices.of("begun", deadline, update=update.id), notices.beginning(deadline, update.id), now
        )
        put = writes.Put(state.key, body, writes.At(state.desired.generation))
        try:
            await self._tools.store.commit(put, updates.UPDATES.begun(state.key, update), *told)
        except (errors.Conflict, errors.NotFound):
            # Somebody else was quicker. That has woken its key: it is looked at again.
            log.info("%s has changed before it could be updated to %s", state.key, to.minor)

    async def _other(self, key: keys.Key, now: float) -> tuple[keys.Key, float] | None:
        """Another cluster whose update was begun here and goes on, and for how many seconds it is waited for."""
        for state in (await interface.everything(self._tools.store, kind=spec.KIND)).items:
            if state.key == key or views.cluster_status(spec.read(state.desired.body), views.seen(state)) != "UPDATING":
                continue
            begun = (await notices.told(self._tools.store, state)).begun
            if begun is not None and now < begun[1] + _PATIENCE:
                return state.key, begun[1] + _PATIENCE - now
        return None

    def _over(self, key: keys.Key) -> None:
        """Nothing of this cluster goes on: who waits for it looks again."""
        for waiting in self._waiting.pop(key, ()):
            self._reconciler.wake(waiting)

    async def _tell(self, key: keys.Key, notice: notices.Notice, event: events.Event) -> None:
        await self._tools.store.commit(*notices.telling(key, notice, event, self._tools.now()))


def _id(state: facts.State) -> str:
    """Of the update that is begun from a desired state: there is one."""
    return ids.uuid_of(f"end of support/{state.key}@{state.desired.generation}")
