"""The images that every node has: new nodes begin with them, nodes that run are given those of a newer release."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from testkit.worlds import place as places
from testkit.worlds.place import CLUSTER, GROUP

from roadstead.contract.messages import desired
from roadstead.provider import engine_supply

LONGEST = 60.0
"""Seconds; one is usual."""


def lived(story: Callable[[places.Place], Awaitable[None]], place: places.Place | None = None) -> None:
    async def whole() -> None:
        there = place or places.Place()
        await there.prepare()
        async with asyncio.timeout(LONGEST):
            await there.want_cluster()
            await there.until(there.is_active(CLUSTER))
            await story(there)

    asyncio.run(whole())


def test_nodes_have_the_images_before_their_kubelets_and_those_that_run_are_given_newer_ones_once() -> None:
    """By the same field of the same unit. Nothing is said not to be ready for it."""

    async def story(place: places.Place) -> None:
        def given() -> dict[str, tuple[int, tuple[str, ...]]]:
            units = {id: record for (kind, id), record in place.machine.records.items() if kind == "units"}
            kubelets = {id.partition("/")[0]: unit for id, unit in units.items() if id.endswith("/kubelet")}
            return {
                host: (unit.generation, unit.spec.images)
                for host, unit in kubelets.items()
                if isinstance(unit.spec, desired.Unit)
            }

        def all_have(images: tuple[str, ...]) -> bool:
            return {have for _, have in given().values()} == {images}

        await place.want_nodes(2)
        await place.until(place.is_active(GROUP))
        old = given()
        assert all_have(place.images)
        await place.passes(20)
        assert given() == old, "what has them is told nothing"
        place.images = (*place.images, "sha256:" + "b" * 64)
        await place.until(lambda: all_have(place.images))
        new = given()
        assert new.keys() == old.keys()
        await place.passes(20)
        assert given() == new, "they are given once"
        told = [event.reason for event in place.news(GROUP)]
        assert told.count("ImagesChanged") == 1
        assert "PartNotReady" not in told
        await place.want_nodes(3)
        await place.until(place.is_active(GROUP))
        assert len(given()) == 3
        assert all_have(place.images)

    lived(story)


def test_images_that_are_not_there_yet_are_waited_for_and_who_has_no_nodes_asks_for_none() -> None:
    class Late(places.Place):
        asked = 0

        async def archives(self) -> tuple[str, ...]:
            self.asked += 1
            if self.asked in (2, 3):
                raise engine_supply.Coming("the engine pause is being fetched or built")
            return await super().archives()

    late = Late()

    async def story(place: places.Place) -> None:
        assert late.asked == 0
        await place.want_nodes(1)
        await place.until(place.is_active(GROUP))
        await place.passes(20)
        assert late.asked >= 4

    lived(story, late)
