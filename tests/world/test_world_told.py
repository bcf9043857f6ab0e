"""What the reconciler tells of its work: each decision once with its reason, failures, the end of what is half made."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import hypothesis
import pytest
from hypothesis import strategies
from testkit.worlds import parts
from tests.world import test_world_clusters as told

from roadstead.clusters import events, spec, views
from roadstead.store import keys

WORDS = {"tell": "Making", "remove": "Removing", "replace": "Replacing"}


def book(story: told.Story) -> list[events.Event]:
    return [events.read(record.body) for record in story.store.appended if record.key.kind == events.KIND]


def decisions(found: list[events.Event]) -> Counter[tuple[str, str]]:
    """How often each was told of, by word and part."""
    return Counter(
        (event.reason, part)
        for event in found
        if event.reason in WORDS.values()
        for part in event.facts["parts"].split()
    )


def test_a_life_is_told_in_order_and_each_decision_once_with_its_reason() -> None:
    bodies = [(0.0, told.cluster("1.36")), (8.0, told.cluster("1.37", update="u"))]
    story = told.live(told.CLUSTER, [], [*bodies, (60.0, told.cluster("1.37", deleting=True))], frozenset())
    everyone = ", ".join(spec.MEMBERS)
    said = [event.message for event in book(story) if not event.reason.startswith("Part")]
    replaced = [f"{name}: runs 1.36.3, not 1.37.2" for name in spec.API]
    assert said == [
        f"{everyone}: asked for",
        "cluster shop is active: all parts are ready",
        *replaced,
        "cluster shop is active: all parts are ready",
        f"{', '.join(sorted(spec.MEMBERS))}: being deleted",
        "cluster shop is gone: no part is left",
    ]
    parted = Counter(event.reason for event in book(story) if event.reason.startswith("Part"))
    # Each is ready when it is first made and when it was replaced, and away in between and at its end.
    assert parted["PartReady"] == len(spec.MEMBERS) + len(spec.API)
    assert parted["PartGone"] == len(spec.MEMBERS)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(told.FATES, strategies.lists(strategies.integers(0, 4), min_size=1, max_size=3), told.PAUSES)
def test_what_is_decided_again_and_again_is_told_once(fates: list[parts.Fate], sizes: list[int], pause: float) -> None:
    most = [max(sizes[: number + 1]) for number in range(len(sizes))]
    bodies = [
        (pause, told.group(size, top, update=str(n))) for n, (size, top) in enumerate(zip(sizes, most, strict=True))
    ]
    story = told.live(told.GROUP, fates, [*bodies, (pause, told.group(0, most[-1], deleting=True))], frozenset())
    found = book(story)
    assert all(event.message.partition(": ")[2] for event in found if event.reason in WORDS.values())
    taken = {(what, part, generation) for what, part, generation in story.world.steps}
    counted = decisions(found)
    distinct = {what: Counter((WORDS[what], part) for word, part, _ in taken if word == what) for what in WORDS}
    assert {key: count for key, count in counted.items() if key[0] == "Removing"} == distinct["remove"]
    # Of what is there already it is no news that it goes on as it is.
    making = Counter({key: count for key, count in counted.items() if key[0] == "Making"})
    assert making.keys() == distinct["tell"].keys()
    assert making <= distinct["tell"]
    replaced = {(WORDS[what], part) for what, part, _ in taken if what == "replace"}
    assert {key for key in counted if key[0] == WORDS["replace"]} == replaced


@pytest.mark.parametrize(
    ("key", "body", "status", "sentence"),
    [
        (told.CLUSTER, told.cluster("1.36"), "FAILED", "cluster shop is failed: etcd-a: there is no engine 1.36.3"),
        (
            told.GROUP,
            told.group(2, 2),
            "CREATE_FAILED",
            "nodegroup shop/workers is create_failed: node-1: there is no engine 1.36.3",
        ),
    ],
)
def test_a_part_that_is_refused_ends_the_making_with_its_reason(
    key: keys.Key, body: bytes, status: str, sentence: str
) -> None:
    async def lived() -> None:
        story = told.Story(key, [])
        story.world.refuses = frozenset({"1.36.3"})
        await story.live([(0.0, body)], frozenset())
        assert story.seen.status == status
        failed = [event for event in book(story) if event.reason == "CreateFailed"]
        assert [(event.severity, event.message) for event in failed] == [("ERROR", sentence)]
        state = await story.store.get(key)
        assert state is not None
        shown = views.cluster(state) if key == told.CLUSTER else views.nodegroup(state)
        assert {issue["message"].partition(": ")[2] for issue in shown["health"]["issues"]} == {
            "there is no engine 1.36.3"
        }

    asyncio.run(lived())


@pytest.mark.parametrize("ticks", range(0, 12))
@pytest.mark.parametrize("key", [told.CLUSTER, told.GROUP])
def test_what_is_deleted_half_made_leaves_nothing(key: keys.Key, ticks: int) -> None:
    """Deleted after each tick of its making, in which single steps are lost, late, doubled or end by half; and the
    reconciler dies at the same tick."""
    fates = [
        parts.Fate(arrivals=arrivals, start=1.0, lag=lag, fails=fails)
        for arrivals, fails, lag in itertools.product([(0.0,), (), (4.0, 9.0)], [45.0, 0.0], [0.0, 2.0])
    ]
    made, gone = (
        (told.cluster("1.36"), told.cluster("1.36", deleting=True))
        if key == told.CLUSTER
        else (told.group(3, 3), told.group(3, 3, deleting=True))
    )
    bodies = [(0.0, made), (ticks * told.TICK, gone)]
    story = told.live(key, fates, bodies, frozenset({ticks, ticks + 3}))
    assert key not in story.store.desired
    assert story.world.present() == []
    assert [event.reason for event in book(story)][-1] == "Deleted"
