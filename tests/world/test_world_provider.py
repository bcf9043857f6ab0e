"""The real provider at the agent's real API, over a simulated machine: what is drawn is taken, what cannot be had fails
with its reason, and a deletion leaves nothing, wherever what went before it was cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from testkit.worlds import place as places

from roadstead.clusters import spec, views
from roadstead.provider import engine_supply

CLUSTER = places.CLUSTER


def lived(story: Callable[[], Any]) -> None:
    asyncio.run(story())


@pytest.mark.parametrize("zones", ["abc", "ab", "ac"])
def test_what_is_drawn_is_taken_by_the_agent_and_taken_away_again(zones: str) -> None:
    """Also of a cluster whose subnets are in two zones alone."""

    async def story() -> None:
        place = places.Place(zones=zones)
        await place.prepare()
        await place.want_cluster()
        await place.until(lambda: place.status(CLUSTER) == "ACTIVE")
        assert place.hosts() == sorted([*spec.ETCD, *spec.API, spec.EDGE])
        await place.want_cluster(deleting=True)
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)


def test_an_engine_that_is_not_to_be_had_fails_the_cluster_with_its_reason() -> None:
    async def story() -> None:
        place = places.Place(missing="the engine 1.37.2 is not to be had: no network")
        await place.prepare()
        await place.want_cluster()
        await place.until(lambda: place.status(CLUSTER) == "FAILED")
        state = await place.store.get(CLUSTER)
        assert state is not None
        issues = views.cluster(state)["health"]["issues"]
        assert {issue["message"].partition(": ")[2] for issue in issues} == {
            "the engine 1.37.2 is not to be had: no network"
        }
        failed = [event.message for event in place.events() if event.reason == "CreateFailed"]
        assert failed == ["cluster shop is failed: etcd-a: the engine 1.37.2 is not to be had: no network"]
        await place.want_cluster(deleting=True)
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)


def test_an_engine_of_the_nodes_images_that_is_not_to_be_had_fails_the_cluster_with_its_reason() -> None:
    async def story() -> None:
        place = places.Place()
        place.supply.troubles["coredns"] = engine_supply.Unobtainable("the engine coredns is not to be had: no network")
        await place.prepare()
        await place.want_cluster()
        await place.until(lambda: place.status(CLUSTER) == "FAILED")
        failed = [event.message for event in place.events() if event.reason == "CreateFailed"]
        assert failed == ["cluster shop is failed: access: the engine coredns is not to be had: no network"]
        state = await place.store.get(CLUSTER)
        assert state is not None
        assert "access: the engine coredns is not to be had: no network" in [
            issue["message"] for issue in views.cluster(state)["health"]["issues"]
        ]
        await place.want_cluster(deleting=True)
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)


def test_what_a_cluster_waits_for_is_told_while_the_engines_of_the_nodes_images_come() -> None:
    async def story() -> None:
        place = places.Place()
        place.supply.troubles["volumes"] = engine_supply.Coming("the engine volumes is being fetched or built")
        await place.prepare()
        await place.want_cluster()
        waiting = "access is still not ready: the engine volumes is being fetched or built"
        await place.until(lambda: waiting in [event.message for event in place.events()])
        assert place.status(CLUSTER) == "CREATING"

    lived(story)


@pytest.mark.parametrize("call", range(1, 8))
@pytest.mark.parametrize("done", [False, True])
def test_a_deletion_leaves_nothing_wherever_the_making_was_cut_off(call: int, done: bool) -> None:
    """Cut off before or after the agent took a call, once while it is made and once while it is deleted."""

    async def story() -> None:
        place = places.Place()
        await place.prepare()
        await place.want_cluster()
        place.machine.cut = (call, done)
        await place.until(lambda: place.status(CLUSTER) == "ACTIVE")
        await place.want_cluster(deleting=True)
        place.machine.cut = (place.machine.calls + call, done)
        await place.until(lambda: CLUSTER not in place.store.desired)
        place.machine.cut = None
        await place.until(lambda: CLUSTER not in place.store.desired)
        assert place.left() == []

    lived(story)
